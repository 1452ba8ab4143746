/**
 * A simulated network of hosts with TCP connections: ordered and reliable while there is a path, silent when there is
 * none. What was lost is sent again after 0.2 s, 0.4 s, … and with anything that is sent later, as TCP does.
 */
import type { Buffer } from 'node:buffer';
import type { Timeline } from './timeline.js';

export type PathState = 'open' | 'drop' | 'reject';

/** One direction between two hosts. */
export interface Path {
  state: PathState;
  delayMs: number;
  /** Share of packets lost at random, in [0, 1). */
  loss: number;
}

/** What a connection tells its owner. */
export interface EndEvents {
  connected?(): void;
  data(bytes: Buffer): void;
  /** FIN, RST or a failure to connect; nothing follows. */
  closed(text: string): void;
}

/** Called for a new connection; returns what the accepting end is to be told. */
export type Accept = (end: TcpEnd, from: string) => EndEvents;

/** How the end of a connection is told that its peer sent FIN. */
export const ORDERLY_END = 'connection closed by peer';

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5000;
const SYN_RETRIES_MS = [1000, 2000, 4000, 8000, 16_000];

export class Network {
  readonly timeline: Timeline;
  readonly #random: () => number;
  readonly #paths = new Map<string, Map<string, Path>>();
  readonly #hostOfAddress = new Map<string, string>();
  readonly #listeners = new Map<string, Accept>();
  readonly #dark = new Set<string>();

  constructor(timeline: Timeline, random: () => number) {
    this.timeline = timeline;
    this.#random = random;
  }

  /** The direction from one host to another; made open with 1 ms of delay when first asked for. */
  path(from: string, to: string): Path {
    const known = this.#paths.get(from)?.get(to);
    if (known !== undefined) return known;
    const path: Path = { state: 'open', delayMs: 1, loss: 0 };
    const ofHost = this.#paths.get(from) ?? new Map<string, Path>();
    this.#paths.set(from, ofHost.set(to, path));
    return path;
  }

  addAddress(address: string, host: string): void {
    this.#hostOfAddress.set(address, host);
  }

  /** The host loses power or gets it back; nothing passes meanwhile. */
  setDark(host: string, dark: boolean): void {
    if (dark) this.#dark.add(host);
    else this.#dark.delete(host);
  }

  isDark(host: string): boolean {
    return this.#dark.has(host);
  }

  listen(host: string, port: string, accept: Accept | undefined): void {
    if (accept === undefined) this.#listeners.delete(`${host} ${port}`);
    else this.#listeners.set(`${host} ${port}`, accept);
  }

  /** What becomes of one packet now. */
  passes(from: string, to: string): PathState {
    if (this.#dark.has(from) || this.#dark.has(to)) return 'drop';
    const { state, loss } = this.path(from, to);
    if (state === 'open' && loss > 0 && this.#random() < loss) return 'drop';
    return state;
  }

  /** Connects from a host to a port of an address. The caller gives up by `destroy`. */
  connect(from: string, address: string, port: string, events: EndEvents): TcpEnd {
    const to = this.#hostOfAddress.get(address) ?? '';
    const client = new TcpEnd(this, from, to, events);
    this.#syn(client, port, 0);
    return client;
  }

  #syn(client: TcpEnd, port: string, attempt: number): void {
    if (client.done) return;
    const { from, to } = client;
    const there = to === '' ? 'drop' : this.passes(from, to);
    const back = to === '' ? 'drop' : this.passes(to, from);
    if (there === 'open' && back === 'open') {
      const outward = this.path(from, to).delayMs;
      const inward = this.path(to, from).delayMs;
      this.timeline.after(outward, () => {
        if (client.done) return;
        const accept = this.#listeners.get(`${to} ${port}`);
        if (accept === undefined) {
          this.timeline.after(inward, () => client.finish('connection refused'));
          return;
        }
        const server = new TcpEnd(this, to, from, { data: () => {}, closed: () => {} });
        client.join(server);
        server.setEvents(accept(server, from));
        this.timeline.after(inward, () => client.begin());
      });
    } else if (there === 'reject' || back === 'reject') {
      this.timeline.after(this.path(from, to).delayMs, () => client.finish('host unreachable'));
    } else {
      const wait = SYN_RETRIES_MS[attempt];
      if (wait === undefined) this.timeline.after(32_000, () => client.finish('connection timed out'));
      else this.timeline.after(wait, () => this.#syn(client, port, attempt + 1));
    }
  }
}

type Segment = { readonly bytes: Buffer } | { readonly fin: true };

/** One end of a connection. */
export class TcpEnd {
  readonly from: string;
  readonly to: string;
  readonly #network: Network;
  readonly #way: Path;
  #events: EndEvents;
  #peer: TcpEnd | undefined;
  #unsent: Segment[] = [];
  #retryMs = FIRST_RETRY_MS;
  #retryPlanned = false;
  #lastArrival = 0;
  /** Nothing more is delivered to the owner. */
  #deaf = false;
  #ended = false;
  #open = false;

  constructor(network: Network, from: string, to: string, events: EndEvents) {
    this.#network = network;
    this.from = from;
    this.to = to;
    this.#way = network.path(from, to);
    this.#events = events;
  }

  get done(): boolean {
    return this.#deaf;
  }

  setEvents(events: EndEvents): void {
    this.#events = events;
  }

  join(server: TcpEnd): void {
    this.#peer = server;
    server.#peer = this;
    server.#open = true;
  }

  begin(): void {
    if (this.#deaf) return;
    this.#open = true;
    this.#events.connected?.();
  }

  send(bytes: Buffer): void {
    if (!this.#open || this.#ended) return;
    // Nobody changes octets that were encoded, so one encoding may be under way on many connections.
    this.#unsent.push({ bytes });
    this.#transmit();
  }

  /** Sends what is queued, then FIN. The owner hears nothing more. */
  end(): void {
    this.#deaf = true;
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#open) return;
    this.#unsent.push({ fin: true });
    this.#transmit();
  }

  /** RST, once. The owner hears nothing more. */
  destroy(): void {
    this.#deaf = true;
    this.#ended = true;
    this.#unsent = [];
    const peer = this.#peer;
    if (peer === undefined || this.#network.passes(this.from, this.to) !== 'open') return;
    this.#later(() => peer.finish('connection reset by peer'));
  }

  /** The owner is told that it is over. */
  finish(text: string): void {
    if (this.#deaf) return;
    this.#deaf = true;
    this.#ended = true;
    this.#unsent = [];
    this.#events.closed(text);
  }

  #transmit(): void {
    while (this.#unsent.length > 0) {
      const fate = this.#network.passes(this.from, this.to);
      if (fate === 'reject') {
        this.#unsent = [];
        this.finish('connection reset by peer');
        return;
      }
      if (fate === 'drop') {
        this.#retry();
        return;
      }
      this.#retryMs = FIRST_RETRY_MS;
      const segment = this.#unsent.shift()!;
      const peer = this.#peer;
      if (peer !== undefined) this.#later(() => peer.#take(segment));
    }
  }

  #retry(): void {
    if (this.#retryPlanned) return;
    this.#retryPlanned = true;
    this.#network.timeline.after(this.#retryMs, () => {
      this.#retryPlanned = false;
      this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
      this.#transmit();
    });
  }

  /** After the delay of the path, never before what was sent earlier. */
  #later(happen: () => void): void {
    const { timeline } = this.#network;
    this.#lastArrival = Math.max(this.#lastArrival, timeline.now + this.#way.delayMs);
    timeline.after(this.#lastArrival - timeline.now, happen);
  }

  #take(segment: Segment): void {
    if (this.#deaf) {
      // The kernel answers what comes to a connection that is gone with a reset.
      if ('bytes' in segment) this.destroy();
      return;
    }
    if ('bytes' in segment) this.#events.data(segment.bytes);
    else this.finish(ORDERLY_END);
  }
}
