/** One heartbeat link as the watchdog runs it: a framed socket, the machine of core/session, one deadline. */
import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { normaliseIp } from '../core/config/address.js';
import type { LinkProtection } from '../core/link/protection.js';
import { agreedFrameLimit } from '../core/protocol/codec.js';
import { FRAME_LIMITS, type HeartbeatMessage } from '../core/protocol/messages.js';
import {
  type Caller,
  isLive,
  newSession,
  type SessionData,
  type SessionEffect,
  type SessionEvent,
  type SessionPhase,
  type SessionState,
  sessionWakeAt,
  type Telling,
} from '../core/session/session.js';
import type { Row, SessionStore } from '../core/session/session-store.js';
import { stepSession } from '../core/session/session-table.js';
import { BEATS_BEFORE_KILL } from '../core/terminator/verdict.js';
import { WatchedSessions } from '../core/terminator/watched.js';
import { type Clock, type MonotonicMs, NEVER } from '../core/time.js';
import { type FramedEvents, FramedSocket } from '../io/tcp-frames.js';
import type { Deadline, Deadlines } from './deadlines.js';

/** HELLO and three BEATs: a conmgr that reports has done so by then, for it is asked with WELCOME. */
const PACKETS_BEFORE_REPORT = 4;

/** Of every link that has reported nothing; never changed. */
export const NOTHING_WATCHED: WatchedSessions = new WatchedSessions();

/** What a link needs of, and tells, its owner. */
export interface LinkOwner {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** Where the states of all links are. */
  readonly store: SessionStore;
  readonly telling: () => Telling;
  /** The ATTR of the present telling, encoded. */
  readonly attributes: () => Buffer;
  /** Everything that is not about the socket itself. */
  readonly report: (link: Link, effect: ReportEffect) => void;
  /** The link has had as many BEATs as its loss needs to count. */
  readonly proven: (link: Link) => void;
  /** The connection is gone; nothing follows. */
  readonly closed: (link: Link) => void;
}

export type ReportEffect = Exclude<
  SessionEffect,
  { do: 'send' } | { do: 'sendAttributes' } | { do: 'end' } | { do: 'destroy' }
>;

export class Link implements FramedEvents, Deadline {
  /** Normalised. */
  readonly address: string;
  readonly port: number;
  /** Another conmgr with the same identity tried to connect from elsewhere. */
  disputed = false;
  /** What its conmgr has reported; before the first report, what it had reported on its link before. */
  watched = NOTHING_WATCHED;
  /** It has reported on this link. */
  hasReported = false;
  /** By what the peer has proven that it may connect. */
  readonly protection: LinkProtection;
  dueAt: MonotonicMs = NEVER;
  place = 0;
  readonly #owner: LinkOwner;
  readonly #socket: FramedSocket;
  readonly #row: Row;
  /** Set when the connection is gone and the row is another's. */
  #last: SessionState | undefined;

  /** `secured`: where `socket` is one of TLS, the TCP connection below it, and what the peer has proven by it. */
  constructor(
    socket: Socket,
    owner: LinkOwner,
    { raw, protection }: { readonly raw: Socket; readonly protection: LinkProtection } = {
      raw: socket,
      protection: 'none',
    },
  ) {
    this.#owner = owner;
    this.protection = protection;
    this.address = normaliseIp(socket.remoteAddress ?? '');
    this.port = socket.remotePort ?? 0;
    this.#row = owner.store.add(newSession(owner.clock.monotonicMs()));
    this.#socket = new FramedSocket(socket, this, raw);
    this.#arm(this.#state);
  }

  /** Of the connection. */
  message(message: HeartbeatMessage | undefined): void {
    this.step({ type: 'received', message });
  }

  /** Of the connection. */
  violated(text: string): void {
    this.step({ type: 'violated', text });
  }

  /** Of the connection. */
  closed(text: string): void {
    const { deadlines, store } = this.#owner;
    this.step({ type: 'closed', text });
    deadlines.set(this, NEVER);
    this.#owner.closed(this);
    this.#last = this.#state;
    store.release(this.#row);
  }

  get #state(): SessionState {
    return this.#last ?? this.#owner.store.get(this.#row);
  }

  get authenticated(): boolean {
    return this.protection !== 'none';
  }

  get phase(): SessionPhase {
    return this.#state.phase;
  }

  get data(): SessionData {
    return this.#state.data;
  }

  get caller(): Caller | undefined {
    return this.data.caller;
  }

  /** For people: what the conmgr calls itself, or its identity. */
  get label(): string {
    const { caller } = this;
    const name = caller?.label ?? '';
    return `conmgr ${name === '' ? (caller?.conmgrId.slice(0, 8) ?? 'unknown') : name}`;
  }

  /** Address and port, as in log lines. */
  get peer(): string {
    return peerText(this.address, this.port);
  }

  isLive(now: MonotonicMs): boolean {
    return isLive(this.#state, now);
  }

  step(event: SessionEvent): void {
    const { clock, store } = this.#owner;
    const before = this.#state;
    const { state, effects } = stepSession(before, event, clock.monotonicMs());
    if (this.#last === undefined) store.put(this.#row, state);
    else this.#last = state;
    // An older version than the one before will never report, and what that one did is no longer true.
    if (!this.hasReported && this.watched.told && state.data.packetsReceived > PACKETS_BEFORE_REPORT)
      this.watched = NOTHING_WATCHED;
    if (effects.length === 1) this.#carryOut(effects[0]!);
    else if (effects.length > 1) {
      this.#socket.together(() => {
        for (const effect of effects) this.#carryOut(effect);
      });
    }
    if (state.data.beats === BEATS_BEFORE_KILL && before.data.beats < BEATS_BEFORE_KILL)
      this.#owner.proven(this);
    // An effect may have made the next step.
    this.#arm(effects.length === 0 ? state : this.#state);
  }

  /** Closes without a word. */
  destroy(): void {
    this.#socket.destroy();
  }

  #carryOut(effect: SessionEffect): void {
    switch (effect.do) {
      case 'send':
        if (effect.message.name === 'welcome') this.#socket.setLimit(agreedFrameLimit(FRAME_LIMITS.max));
        this.#socket.send(effect.message);
        return;
      case 'sendAttributes':
        this.#socket.sendEncoded(this.#owner.attributes());
        return;
      case 'end':
        this.#socket.end();
        return;
      case 'destroy':
        this.#socket.destroy();
        return;
      default:
        this.#owner.report(this, effect);
    }
  }

  /** A packet only moves deadlines away, so the present one is replaced only when it would be too late. */
  #arm(state: SessionState): void {
    if (this.#last !== undefined) return;
    const wakeAt = sessionWakeAt(state);
    if (wakeAt < this.dueAt) this.#owner.deadlines.set(this, wakeAt);
  }

  due(dueAt: MonotonicMs): void {
    const { clock, store } = this.#owner;
    const now = clock.monotonicMs();
    // What has arrived meanwhile is read before anybody is declared silent.
    if (now < store.silentAt(this.#row)) this.#wake(now - dueAt);
    else setImmediate(() => this.#wake(now - dueAt));
  }

  #wake(lateMs: number): void {
    this.step({ type: 'woke', lateMs, telling: this.#owner.telling() });
  }
}

/** Address and port of a peer, as in log lines. */
export function peerText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
