/** A conmgr reduced to its heartbeat link, for tests of the watchdog: says what the test tells it to, and remembers. */
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import type { InstanceAttributes } from '../../src/core/protocol/attributes.js';
import { decodeAttributes } from '../../src/core/protocol/codec.js';
import {
  FRAME_LIMITS,
  GOODBYE_REASONS,
  type GoodbyeReason,
  HEARTBEAT_MAGIC,
  HEARTBEAT_VERSION,
  type HeartbeatMessage,
  type HeartbeatMessageName,
  type HeartbeatMessageOf,
} from '../../src/core/protocol/messages.js';
import { type LinkSecurity, secureClient, UNPROTECTED } from '../../src/io/link-security.js';
import { FramedSocket } from '../../src/io/tcp-frames.js';

export interface PeerOptions {
  readonly port: number;
  readonly host?: string;
  /** The address it comes from, 127.0.0.2 for instance. */
  readonly localAddress?: string;
  readonly conmgrId?: string;
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly systemIdentifier?: bigint;
  readonly label?: string;
  /** Default: it speaks without TLS. */
  readonly secret?: string;
  /** The same for whatever protects the link. */
  readonly security?: LinkSecurity;
  /** Fields of HELLO to put in other values for. */
  readonly hello?: Partial<HeartbeatMessageOf<'hello'>>;
}

/** A message and when it came (performance.now()). */
export interface Arrival {
  readonly message: HeartbeatMessage;
  readonly at: number;
}

interface Waiting {
  readonly from: number;
  readonly fits: (arrival: Arrival) => boolean;
  readonly resolve: (arrival: Arrival) => void;
  readonly reject: (error: Error) => void;
}

const PATIENCE_MS = 10_000;

/** 128 random bits as the protocol has them. */
export function newId(): string {
  return randomBytes(16).toString('hex');
}

function securityOf({ secret, security = UNPROTECTED }: PeerOptions): LinkSecurity {
  return secret === undefined ? security : { kind: 'secret', secrets: [secret] };
}

export class HeartbeatPeer {
  readonly arrivals: Arrival[] = [];
  readonly conmgrId: string;
  /** Settles when the connection is gone, with the reason and the moment. */
  readonly closed: Promise<{ readonly text: string; readonly at: number }>;
  readonly #options: PeerOptions;
  readonly #framed: FramedSocket;
  readonly #socket: net.Socket;
  readonly #waiting = new Set<Waiting>();
  #beats: NodeJS.Timeout | undefined;
  #seq = 0;
  #heard = { seq: 0, at: 0 };
  #over: string | undefined;

  private constructor(options: PeerOptions) {
    this.#options = options;
    this.conmgrId = options.conmgrId ?? newId();
    const { host = '127.0.0.1', port, localAddress } = options;
    const security = securityOf(options);
    const raw = net.connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
    this.#socket = security.kind === 'none' ? raw : secureClient(raw, security, host);
    let closed: (end: { text: string; at: number }) => void = () => {};
    this.closed = new Promise((resolve) => {
      closed = resolve;
    });
    const events = {
      message: (message: HeartbeatMessage | undefined) => this.#take(message),
      violated: () => {},
      closed: (text: string) => {
        this.#over = text;
        clearInterval(this.#beats);
        for (const one of this.#waiting) one.reject(new Error(`the connection ended: ${text}`));
        closed({ text, at: performance.now() });
      },
    };
    this.#framed = new FramedSocket(this.#socket, events, raw);
    this.#framed.setLimit(FRAME_LIMITS.max);
  }

  /** Connects at TCP level and says nothing. */
  static async open(options: PeerOptions): Promise<HeartbeatPeer> {
    const peer = new HeartbeatPeer(options);
    await new Promise<void>((resolve, reject) => {
      peer.#socket.once(securityOf(options).kind === 'none' ? 'connect' : 'secureConnect', resolve);
      peer.#socket.once('error', reject);
    });
    return peer;
  }

  /** Connects, says HELLO, is welcomed and sends BEATs from then on. */
  static async connect(options: PeerOptions): Promise<HeartbeatPeer> {
    const peer = await HeartbeatPeer.open(options);
    peer.hello();
    await peer.next('welcome');
    peer.beat();
    peer.#beats = setInterval(() => peer.beat(), options.intervalMs ?? 1000);
    return peer;
  }

  get welcome(): HeartbeatMessageOf<'welcome'> {
    const found = this.arrivals.find(({ message }) => message.name === 'welcome');
    if (found === undefined) throw new Error('not welcomed');
    return found.message as HeartbeatMessageOf<'welcome'>;
  }

  /** What the watchdog said last about its instance. */
  get attributes(): InstanceAttributes {
    const found = [...this.arrivals].reverse().find(({ message }) => message.name === 'attr');
    if (found === undefined) throw new Error('no attributes yet');
    return decodeAttributes(found.message as HeartbeatMessageOf<'attr'>);
  }

  send(message: HeartbeatMessage): void {
    this.#framed.send(message);
  }

  /** Sends bytes as they are. */
  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  hello(fields: Partial<HeartbeatMessageOf<'hello'>> = {}): void {
    const { intervalMs = 1000, timeoutMs = 3000, systemIdentifier = 0n, label = 'test:peer' } = this.#options;
    this.send({
      name: 'hello',
      magic: HEARTBEAT_MAGIC,
      versionMin: HEARTBEAT_VERSION.min,
      versionMax: HEARTBEAT_VERSION.max,
      intervalMs,
      timeoutMs,
      conmgrId: this.conmgrId,
      bootId: newId(),
      systemIdentifier,
      software: 'heartbeat-peer 1',
      label,
      ...this.#options.hello,
      ...fields,
    });
  }

  beat(): void {
    this.#seq += 1;
    const echoDelayUs = this.#heard.seq === 0 ? 0 : Math.round((performance.now() - this.#heard.at) * 1000);
    this.send({ name: 'beat', seq: this.#seq, echoSeq: this.#heard.seq, echoDelayUs, attrVersion: 0 });
  }

  /** Sends BEATs until the watchdog has answered this many, so that the loss of this link counts. */
  async prove(beats = 3): Promise<void> {
    for (let sent = 0; sent < beats; sent += 1) this.beat();
    const last = this.#seq;
    await this.next('beat', (message) => message.echoSeq >= last);
  }

  /** Stops sending BEATs; the connection stays. */
  fallSilent(): void {
    clearInterval(this.#beats);
  }

  /** Says goodbye and waits for the answer and the end. */
  async goodbye(reason: GoodbyeReason): Promise<void> {
    clearInterval(this.#beats);
    const answered = this.next('goodbyeAck');
    this.send({ name: 'goodbye', reason: GOODBYE_REASONS.indexOf(reason), retryAfterMs: 0, text: '' });
    await answered;
    await this.closed;
  }

  /** Ends without a goodbye: as a process that was killed. */
  async end(): Promise<void> {
    clearInterval(this.#beats);
    this.#framed.destroy();
    await this.closed;
  }

  /** The next message of a kind, or one that came after `from` arrivals. */
  async next<Name extends HeartbeatMessageName>(
    name: Name,
    fits: (message: HeartbeatMessageOf<Name>) => boolean = () => true,
    { from = 0, timeoutMs = PATIENCE_MS }: { readonly from?: number; readonly timeoutMs?: number } = {},
  ): Promise<HeartbeatMessageOf<Name>> {
    const arrival = await this.arrival(
      ({ message }) => message.name === name && fits(message as HeartbeatMessageOf<Name>),
      `${name}`,
      { from, timeoutMs },
    );
    return arrival.message as HeartbeatMessageOf<Name>;
  }

  /** The first telling of the instance that fits, now or later, and when it came. */
  async told(
    fits: (attributes: InstanceAttributes) => boolean,
    what: string,
    options: { readonly from?: number; readonly timeoutMs?: number } = {},
  ): Promise<{ readonly attributes: InstanceAttributes; readonly at: number }> {
    const read = ({ message }: Arrival): InstanceAttributes =>
      decodeAttributes(message as HeartbeatMessageOf<'attr'>);
    const arrival = await this.arrival(
      (one) => one.message.name === 'attr' && fits(read(one)),
      `attributes: ${what}`,
      options,
    );
    return { attributes: read(arrival), at: arrival.at };
  }

  arrival(
    fits: (arrival: Arrival) => boolean,
    what: string,
    { from = 0, timeoutMs = PATIENCE_MS }: { readonly from?: number; readonly timeoutMs?: number } = {},
  ): Promise<Arrival> {
    const already = this.arrivals.slice(from).find(fits);
    if (already !== undefined) return Promise.resolve(already);
    if (this.#over !== undefined)
      return Promise.reject(new Error(`no ${what}; the connection ended: ${this.#over}`));
    return new Promise((resolve, reject) => {
      const settle =
        <T>(act: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          this.#waiting.delete(one);
          act(value);
        };
      const one: Waiting = { from, fits, resolve: settle(resolve), reject: settle(reject) };
      const timer = setTimeout(
        () => one.reject(new Error(`no ${what} within ${timeoutMs} ms; got ${this.#names()}`)),
        timeoutMs,
      );
      this.#waiting.add(one);
    });
  }

  #names(): string {
    return this.arrivals
      .slice(-20)
      .map(({ message }) => message.name)
      .join(', ');
  }

  #take(message: HeartbeatMessage | undefined): void {
    if (message === undefined) return;
    const arrival = { message, at: performance.now() };
    this.arrivals.push(arrival);
    if (message.name === 'beat') this.#heard = { seq: message.seq, at: arrival.at };
    if (message.name === 'goodbye') this.send({ name: 'goodbyeAck' });
    for (const one of [...this.#waiting]) {
      if (this.arrivals.length > one.from && one.fits(arrival)) one.resolve(arrival);
    }
  }
}
