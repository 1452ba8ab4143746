/**
 * Many conmgrs, each as light as it can be: a heartbeat link from an address of its own that says HELLO, sends a BEAT
 * every interval and notes when it hears one. It runs in a process of its own, so that its cost is not the watchdog's.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { encodeHeartbeat } from '../../src/core/protocol/codec.js';
import { HEARTBEAT_MAGIC, HEARTBEAT_MESSAGES, HEARTBEAT_VERSION } from '../../src/core/protocol/messages.js';

/** Links that are being made at a time: a watchdog bears 32 connections that have not said HELLO. */
const AT_A_TIME = 24;
/** How often it looks which links are to beat. */
const TICK_MS = 1;
/** A BEAT later than this after the one before it is one of the next interval. */
const LONGEST_LATENESS = 0.9;

export interface CrowdOptions {
  readonly port: number;
  /** Number of its first link: two crowds of a watchdog share none. */
  readonly first: number;
  readonly count: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** What a crowd heard while it measured. */
export interface Heard {
  /** Lateness of the beats in ms: how much later than their link's spacing asks for. */
  readonly lateness: readonly number[];
  readonly beats: number;
  /** Links that ended. */
  readonly lost: number;
}

/** The word with which a benchmark is started anew as a crowd. */
export const CROWD = 'crowd';

/** A crowd, in a process of its own. */
export class Crowd {
  private constructor(private readonly child: ChildProcess) {}

  /** Returns when every link was answered. */
  static async start(options: CrowdOptions): Promise<Crowd> {
    const child = fork(process.argv[1]!, [CROWD, JSON.stringify(options)], { stdio: 'inherit' });
    const [said] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => ['the crowd ended']),
    ]);
    if (said !== 'linked') throw new Error(String(said));
    return new Crowd(child);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** What was heard so far only tells the spacing of each link. */
  begin(): void {
    this.child.send('begin');
  }

  /** What was heard since `begin`. */
  async heard(): Promise<Heard> {
    const answer = once(this.child, 'message');
    this.child.send('tell');
    return (await answer)[0] as Heard;
  }

  async end(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}

/** One link: a socket, what it sends, and when it heard. */
class CrowdLink {
  /** Moments of the BEATs, without that of WELCOME, which has no spacing. */
  readonly heardAt: number[] = [];
  #seq = 0;
  readonly #beat = encodeHeartbeat({ name: 'beat', seq: 0, echoSeq: 0, echoDelayUs: 0, attrVersion: 0 });

  constructor(readonly socket: net.Socket) {}

  beat(): void {
    this.#seq += 1;
    // Behind length, type and flags.
    this.#beat.writeUInt32BE(this.#seq, 6);
    this.socket.write(this.#beat);
  }

  hear(octets: number, buffer: Uint8Array): void {
    const view = Buffer.from(buffer.buffer, buffer.byteOffset, octets);
    for (let at = 0; at + 5 <= octets; at += 4 + view.readUInt32BE(at)) {
      if (view[at + 4] === HEARTBEAT_MESSAGES.beat.id) this.heardAt.push(performance.now());
    }
  }

  /** How much later than a spacing of `intervalMs` each BEAT since `from` came; of all, the earliest sets the spacing. */
  lateness(intervalMs: number, from: number): number[] {
    let turn = 0;
    const offsets = this.heardAt.map((at, index) => {
      const before = this.heardAt[index - 1];
      if (before !== undefined) turn += Math.max(1, Math.round((at - before) / intervalMs));
      return at - turn * intervalMs;
    });
    const earliest = Math.min(...offsets);
    return offsets
      .filter((_offset, index) => this.heardAt[index]! >= from)
      .map((offset) => Math.min(offset - earliest, LONGEST_LATENESS * intervalMs));
  }
}

/** Runs as a crowd when the process was started as one; the promise then never settles. */
export async function beCrowdIfAsked(): Promise<void> {
  if (process.argv[2] !== CROWD) return;
  const options = JSON.parse(process.argv[3]!) as CrowdOptions;
  const { first, count, intervalMs } = options;
  const links: CrowdLink[] = [];
  let lost = 0;
  let begun = 0;
  const shared = Buffer.alloc(64 * 1024);
  const open = async (number: number): Promise<void> => {
    links.push(
      await linkTo(options, number, shared, () => {
        lost += 1;
      }),
    );
  };
  for (let next = 0; next < count; next += AT_A_TIME) {
    const batch = Math.min(AT_A_TIME, count - next);
    await Promise.all(Array.from({ length: batch }, (_none, at) => open(first + next + at)));
  }
  beatEvery(links, intervalMs);
  process.on('message', (order) => {
    if (order === 'begin') begun = performance.now();
    if (order === 'tell') {
      const lateness = links.flatMap((link) => link.lateness(intervalMs, begun));
      process.send!({ lateness, beats: lateness.length, lost } satisfies Heard);
    }
  });
  process.send!('linked');
  await new Promise(() => {});
}

/** Each link beats every interval, all of them evenly spread over it. */
function beatEvery(links: readonly CrowdLink[], intervalMs: number): void {
  const begun = performance.now();
  let done = 0;
  setInterval(() => {
    const due = Math.floor(((performance.now() - begun) / intervalMs) * links.length);
    for (; done < due; done += 1) links[done % links.length]?.beat();
  }, TICK_MS);
}

function linkTo(
  { port, intervalMs, timeoutMs }: CrowdOptions,
  number: number,
  buffer: Buffer,
  onLost: () => void,
): Promise<CrowdLink> {
  return new Promise((resolve, reject) => {
    let link: CrowdLink | undefined;
    const callback = (octets: number, into: Uint8Array): boolean => {
      if (link !== undefined) link.hear(octets, into);
      else if (into[4] === HEARTBEAT_MESSAGES.reject.id) reject(new Error('the watchdog refused a link'));
      else {
        link = new CrowdLink(socket);
        resolve(link);
      }
      return true;
    };
    const socket = net.connect({
      host: '127.0.0.1',
      port,
      localAddress: `127.1.${number >> 8}.${number & 255}`,
      noDelay: true,
      onread: { buffer, callback },
    });
    socket.on('error', reject);
    socket.on('close', onLost);
    socket.write(
      encodeHeartbeat({
        name: 'hello',
        magic: HEARTBEAT_MAGIC,
        versionMin: HEARTBEAT_VERSION.min,
        versionMax: HEARTBEAT_VERSION.max,
        intervalMs,
        timeoutMs,
        conmgrId: randomBytes(16).toString('hex'),
        bootId: randomBytes(16).toString('hex'),
        systemIdentifier: 0n,
        software: 'conmgr 1.0.0',
        label: `app${number}.example.com:/var/lib/conmgr/main`,
      }),
    );
  });
}
