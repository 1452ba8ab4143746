/** A watchdog that does what a test tells it, on the real codec and framed socket: the far end of conmgr's links. */
import type { Socket } from 'node:net';
import {
  attributeBits,
  type InstanceAttributes,
  UNKNOWN_ATTRIBUTES,
} from '../../src/core/protocol/attributes.js';
import { encodeAttributes } from '../../src/core/protocol/codec.js';
import {
  FRAME_LIMITS,
  GOODBYE_REASONS,
  type GoodbyeReason,
  type HeartbeatMessage,
  type HeartbeatMessageName,
  type HeartbeatMessageOf,
  REJECT_CODES,
  type RejectCode,
} from '../../src/core/protocol/messages.js';
import { FramedSocket } from '../../src/io/tcp-frames.js';
import { type Listener, listen } from '../../src/io/tcp-listener.js';
import { freePort } from './free-ports.js';
import { resetSocket } from './relay.js';

/** Cluster that scripted instances belong to unless told otherwise. */
export const TEST_CLUSTER = 7_000_000_000_000_000_001n;

const SOUND: InstanceAttributes = {
  ...UNKNOWN_ATTRIBUTES,
  state: 'up',
  timeline: 1,
  position: 0x5000028n,
  serverVersionNum: 170_010,
  systemIdentifier: TEST_CLUSTER,
};

/** A healthy primary. */
export const PRIMARY: InstanceAttributes = { ...SOUND, bits: attributeBits('accepting', 'primary') };
/** A healthy standby. */
export const STANDBY: InstanceAttributes = {
  ...SOUND,
  bits: attributeBits('accepting', 'standby', 'readOnlyByRecovery'),
};

/** What HELLO is answered with. welcome: the link comes up, beats flow and the attributes are told. */
export type Greeting =
  | 'welcome'
  | 'silence'
  | 'close'
  | {
      readonly reject: RejectCode;
      readonly retryAfterMs?: number;
      readonly text?: string;
    }
  /** Octets instead of an answer. */
  | { readonly raw: Buffer };

export interface WatchdogOptions {
  readonly host?: string;
  readonly port?: number;
  /** What it tells of its instance, default PRIMARY. */
  readonly attributes?: InstanceAttributes;
  readonly greeting?: Greeting;
  /** restart_grace it names, default 10 s. */
  readonly graceMs?: number;
  /** Named in WELCOME, default that of the attributes. */
  readonly systemIdentifier?: bigint;
}

/** How long a test waits for a message that must come. */
const PATIENCE_MS = 10_000;

interface Waiting {
  readonly matches: (message: HeartbeatMessage) => boolean;
  readonly found: (message: HeartbeatMessage) => void;
}

/** One connection of a conmgr. */
export class ScriptedLink {
  /** Every message that came, in its order, with the moment (performance.now()). */
  readonly received: { readonly message: HeartbeatMessage; readonly atMs: number }[] = [];
  /** Resolves with the reason when the connection is gone. */
  readonly closed: Promise<string>;
  readonly #watchdog: ScriptedWatchdog;
  readonly #socket: Socket;
  readonly #framed: FramedSocket;
  readonly #waiting = new Set<Waiting>();
  #ended!: (text: string) => void;
  #beats: NodeJS.Timeout | undefined;
  #intervalMs = 0;
  /** How many beats have been sent. */
  beatsSent = 0;
  #lastBeat: { readonly seq: number; readonly atMs: number } | undefined;
  open = true;

  constructor(socket: Socket, watchdog: ScriptedWatchdog) {
    this.#socket = socket;
    this.#watchdog = watchdog;
    this.closed = new Promise((resolve) => {
      this.#ended = resolve;
    });
    this.#framed = new FramedSocket(socket, {
      message: (message) => {
        if (message !== undefined) this.#receive(message);
      },
      violated: () => {},
      closed: (text) => {
        this.open = false;
        clearInterval(this.#beats);
        this.#ended(text);
      },
    });
  }

  /** The address the connection came to. */
  get localAddress(): string {
    return this.#framed.localAddress;
  }

  /** The HELLO of this link. */
  hello(): Promise<HeartbeatMessageOf<'hello'>> {
    return this.waitFor('hello');
  }

  /** How many messages of a kind have come. */
  count(name: HeartbeatMessageName): number {
    return this.received.filter(({ message }) => message.name === name).length;
  }

  /** The first message of a kind, or the first of those that come from `after` on. */
  waitFor<Name extends HeartbeatMessageName>(name: Name, after = 0): Promise<HeartbeatMessageOf<Name>> {
    const matches = (message: HeartbeatMessage): message is HeartbeatMessageOf<Name> => message.name === name;
    for (const { message } of this.received.slice(after)) {
      if (matches(message)) return Promise.resolve(message);
    }
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(one);
        act();
      };
      const one: Waiting = { matches, found: (message) => settle(() => resolve(message as never)) };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`conmgr sent no ${name} within ${PATIENCE_MS} ms`))),
        PATIENCE_MS,
      );
      this.#waiting.add(one);
    });
  }

  send(message: HeartbeatMessage): void {
    this.#framed.send(message);
  }

  /** Octets that are no message. */
  sendRaw(bytes: Buffer): void {
    this.#framed.sendEncoded(bytes);
  }

  /** WELCOME, a BEAT, the attributes; from now on a BEAT every interval. */
  welcome(hello: HeartbeatMessageOf<'hello'>): void {
    const { graceMs, systemIdentifier, bootId } = this.#watchdog;
    this.#framed.setLimit(FRAME_LIMITS.max);
    this.send({
      name: 'welcome',
      version: 1,
      intervalMs: hello.intervalMs,
      timeoutMs: hello.timeoutMs,
      restartGraceMs: graceMs,
      bootId,
      systemIdentifier,
      maxFrame: FRAME_LIMITS.max,
      software: 'scripted watchdog',
    });
    this.tell();
    this.speak(hello.intervalMs);
  }

  /** Beats at once and then every interval. */
  speak(intervalMs = this.#intervalMs): void {
    this.#intervalMs = intervalMs;
    clearInterval(this.#beats);
    this.beat();
    this.#beats = setInterval(() => this.beat(), intervalMs);
  }

  /** No further packet; the connection stays open. */
  silence(): void {
    clearInterval(this.#beats);
    this.#beats = undefined;
  }

  beat(): void {
    this.beatsSent += 1;
    const last = this.#lastBeat;
    this.send({
      name: 'beat',
      seq: this.beatsSent,
      echoSeq: last?.seq ?? 0,
      echoDelayUs: last === undefined ? 0 : Math.round((performance.now() - last.atMs) * 1000),
      attrVersion: this.#watchdog.attributes.version,
    });
  }

  /** ATTR with what the watchdog knows now. */
  tell(): void {
    this.send(encodeAttributes(this.#watchdog.attributes));
  }

  goodbye(reason: GoodbyeReason, retryAfterMs = 0, text = ''): void {
    this.silence();
    this.send({ name: 'goodbye', reason: GOODBYE_REASONS.indexOf(reason), retryAfterMs, text });
  }

  /** Ends the connection in order, without a goodbye. */
  close(): void {
    this.silence();
    this.#framed.end();
  }

  /** Ends it with a reset. */
  reset(): void {
    this.silence();
    resetSocket(this.#socket);
  }

  /** Reads nothing any more; the kernel's buffers fill up. */
  stopReading(): void {
    this.#socket.pause();
  }

  #receive(message: HeartbeatMessage): void {
    this.received.push({ message, atMs: performance.now() });
    switch (message.name) {
      case 'hello':
        this.#watchdog.greet(this, message);
        break;
      case 'beat':
        this.#lastBeat = { seq: message.seq, atMs: performance.now() };
        break;
      case 'retime':
        if (this.#beats !== undefined) this.speak(message.intervalMs);
        break;
      case 'goodbye':
        this.silence();
        if (this.#watchdog.acknowledges) this.send({ name: 'goodbyeAck' });
        break;
      default:
        break;
    }
    for (const one of [...this.#waiting]) {
      if (one.matches(message)) one.found(message);
    }
  }
}

export class ScriptedWatchdog {
  readonly bootId = '00112233445566778899aabbccddeeff';
  /** Every connection that came, in its order. */
  readonly links: ScriptedLink[] = [];
  attributes: InstanceAttributes;
  greeting: Greeting;
  graceMs: number;
  /** Whether GOODBYE is answered. */
  acknowledges = true;
  readonly #systemIdentifier: bigint | undefined;
  #listener: Listener | undefined;
  #waiting: (() => void)[] = [];

  private constructor(
    readonly host: string,
    readonly port: number,
    options: WatchdogOptions,
  ) {
    this.attributes = { ...(options.attributes ?? PRIMARY), version: 1 };
    this.greeting = options.greeting ?? 'welcome';
    this.graceMs = options.graceMs ?? 10_000;
    this.#systemIdentifier = options.systemIdentifier;
  }

  static async start(options: WatchdogOptions = {}): Promise<ScriptedWatchdog> {
    const watchdog = new ScriptedWatchdog(
      options.host ?? '127.0.0.1',
      options.port ?? (await freePort()),
      options,
    );
    await watchdog.accept();
    return watchdog;
  }

  get systemIdentifier(): bigint {
    return this.#systemIdentifier ?? this.attributes.systemIdentifier;
  }

  /** The newest connection. */
  get link(): ScriptedLink {
    const newest = this.links.at(-1);
    if (newest === undefined) throw new Error('no conmgr has connected');
    return newest;
  }

  /** The next connection from now on, once it has said HELLO; `after` connections that have come already. */
  async nextLink(after = this.links.length): Promise<ScriptedLink> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const link = this.links[after];
      if (link !== undefined) {
        await link.hello();
        return link;
      }
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no conmgr connected within ${PATIENCE_MS} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Changes what is known of the instance and tells it to every link at once. */
  tell(change: Partial<InstanceAttributes>): void {
    this.attributes = { ...this.attributes, ...change, version: this.attributes.version + 1 };
    for (const link of this.links) {
      if (link.open) link.tell();
    }
  }

  /** Called by a link when its HELLO has come. */
  greet(link: ScriptedLink, hello: HeartbeatMessageOf<'hello'>): void {
    const { greeting } = this;
    if (greeting === 'silence') return;
    if (greeting === 'welcome') link.welcome(hello);
    else if (greeting === 'close') link.close();
    else if ('raw' in greeting) link.sendRaw(greeting.raw);
    else {
      const { reject, retryAfterMs = 0, text = '' } = greeting;
      link.send({ name: 'reject', code: REJECT_CODES.indexOf(reject), retryAfterMs, text });
      link.close();
    }
  }

  /** Listens again after `refuse`. */
  async accept(): Promise<void> {
    this.#listener ??= await listen({
      addresses: [this.host],
      port: this.port,
      onConnection: (socket) => {
        this.links.push(new ScriptedLink(socket, this));
        for (const wake of this.#waiting.splice(0)) wake();
      },
    });
  }

  /** Stops listening; connections stay. */
  async refuse(): Promise<void> {
    await this.#listener?.close();
    this.#listener = undefined;
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    await this.refuse();
    for (const link of this.links) link.reset();
  }
}
