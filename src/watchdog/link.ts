/** One heartbeat link as the watchdog runs it: a framed socket, the machine of core/session, one timer. */
import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { normaliseIp } from '../core/config/address.js';
import { agreedFrameLimit } from '../core/protocol/codec.js';
import { FRAME_LIMITS, type HeartbeatMessage, type HeartbeatMessageOf } from '../core/protocol/messages.js';
import {
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
import { stepSession } from '../core/session/session-table.js';
import { BEATS_BEFORE_KILL } from '../core/terminator/verdict.js';
import { WatchedSessions } from '../core/terminator/watched.js';
import { type Clock, type MonotonicMs, NEVER, type TimerHandle } from '../core/time.js';
import { FramedSocket } from '../io/tcp-frames.js';

/** HELLO and three BEATs: a conmgr that reports has done so by then, for it is asked with WELCOME. */
const PACKETS_BEFORE_REPORT = 4;

/** What a link needs of, and tells, its owner. */
export interface LinkOwner {
  readonly clock: Clock;
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

export class Link {
  /** Normalised. */
  readonly address: string;
  readonly port: number;
  /** Another conmgr with the same identity tried to connect from elsewhere. */
  disputed = false;
  /** What its conmgr has reported; before the first report, what it had reported on its link before. */
  watched = new WatchedSessions();
  /** It has reported on this link. */
  hasReported = false;
  /** The peer has proven that it knows the secret. */
  readonly authenticated: boolean;
  readonly #owner: LinkOwner;
  readonly #socket: FramedSocket;
  #state: SessionState;
  #timer: TimerHandle | undefined;
  /** Moment the timer is set for. */
  #armedFor: MonotonicMs = NEVER;

  /** `raw`: the TCP connection below `socket` where that is one of TLS, which proved that the peer knows the secret. */
  constructor(socket: Socket, owner: LinkOwner, raw: Socket = socket) {
    this.#owner = owner;
    this.authenticated = raw !== socket;
    this.address = normaliseIp(socket.remoteAddress ?? '');
    this.port = socket.remotePort ?? 0;
    this.#state = newSession(owner.clock.monotonicMs());
    const events = {
      message: (message: HeartbeatMessage | undefined) => this.step({ type: 'received', message }),
      violated: (text: string) => this.step({ type: 'violated', text }),
      closed: (text: string) => {
        this.step({ type: 'closed', text });
        this.#timer?.cancel();
        owner.closed(this);
      },
    };
    this.#socket = new FramedSocket(socket, events, raw);
    this.#arm();
  }

  get phase(): SessionPhase {
    return this.#state.phase;
  }

  get data(): SessionData {
    return this.#state.data;
  }

  get hello(): HeartbeatMessageOf<'hello'> | undefined {
    return this.#state.data.hello;
  }

  /** For people: what the conmgr calls itself, or its identity. */
  get label(): string {
    const { hello } = this;
    const name = hello?.label ?? '';
    return `conmgr ${name === '' ? (hello?.conmgrId.slice(0, 8) ?? 'unknown') : name}`;
  }

  /** Address and port, as in log lines. */
  get peer(): string {
    return peerText(this.address, this.port);
  }

  isLive(now: MonotonicMs): boolean {
    return isLive(this.#state, now);
  }

  step(event: SessionEvent): void {
    const { beats } = this.#state.data;
    const { state, effects } = stepSession(this.#state, event, this.#owner.clock.monotonicMs());
    this.#state = state;
    // An older version than the one before will never report, and what that one did is no longer true.
    if (!this.hasReported && this.watched.told && state.data.packetsReceived > PACKETS_BEFORE_REPORT)
      this.watched = new WatchedSessions();
    for (const effect of effects) this.#carryOut(effect);
    if (state.data.beats === BEATS_BEFORE_KILL && beats < BEATS_BEFORE_KILL) this.#owner.proven(this);
    this.#arm();
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

  /** A packet only moves deadlines away, so the timer is set anew only when it would be too late. */
  #arm(): void {
    const dueAt = sessionWakeAt(this.#state);
    if (dueAt >= this.#armedFor) return;
    const { clock } = this.#owner;
    this.#timer?.cancel();
    this.#armedFor = dueAt;
    this.#timer = clock.setTimer(dueAt - clock.monotonicMs(), () => this.#wake(dueAt));
  }

  #wake(dueAt: MonotonicMs): void {
    const now = this.#owner.clock.monotonicMs();
    this.#armedFor = NEVER;
    const lateMs = now - dueAt;
    const wake = (): void => {
      this.step({ type: 'woke', lateMs, telling: this.#owner.telling() });
      this.#arm();
    };
    // What has arrived meanwhile is read before anybody is declared silent.
    if (this.phase === 'up' && now < this.data.silentAt) wake();
    else setImmediate(wake);
  }
}

/** Address and port of a peer, as in log lines. */
export function peerText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
