/** The table of application sessions: who asked for what, and to which instance its SQL connection goes. */
import { normaliseIp, parseIp } from '../config/address.js';
import type { Ask } from '../protocol/ask.js';
import type { WatchedEnd } from '../protocol/session-list.js';
import { type MonotonicMs, NEVER } from '../time.js';

/** How an application uses conmgr: it asked and connects by itself, or its bytes are forwarded. */
export type Attachment = 'aware' | 'gateway';

/** An instance that could not serve a session, and what was known when. */
export interface FailedRoute {
  readonly instance: number;
  /** Why, in words. */
  readonly text: string;
  /** While the picture has this number, another attempt would end the same way. */
  readonly view: number;
}

/** One application's attachment to conmgr. */
export interface Session {
  readonly id: number;
  readonly mode: Attachment;
  /** Its own wishes, or for a stock driver those of the port it came to. */
  ask: Ask;
  /**
   * waiting: for an instance that fits · answered: candidates sent, or a route is being tried · bound: its SQL
   * connection is known, or its bytes are forwarded.
   */
  phase: 'waiting' | 'answered' | 'bound';
  /** Where it goes: the first candidate, then what BOUND says; undefined once told of the loss. */
  instance: number | undefined;
  /** Local end of its SQL connection. */
  address: string;
  port: number;
  /** Process ID of its backend; 0 = not known. */
  pid: number;
  /** When it asked; waiting ends with a refusal resolve_wait after it. */
  readonly since: MonotonicMs;
  /** Where forwarding failed so far. */
  failed: readonly FailedRoute[];
}

/** Sessions by id and by the instance they go to. */
export class SessionTable {
  readonly #all = new Map<number, Session>();
  readonly #byInstance = new Map<number, Set<number>>();
  readonly #waiting = new Set<number>();
  /** Called for the instance that a session goes to, or went to, when something about it has changed. */
  onTouched: (instance: number, session: number) => void = () => {};

  get size(): number {
    return this.#all.size;
  }

  get(id: number): Session | undefined {
    return this.#all.get(id);
  }

  all(): IterableIterator<Session> {
    return this.#all.values();
  }

  add(session: Session): void {
    this.#all.set(session.id, session);
    if (session.phase === 'waiting') this.#waiting.add(session.id);
  }

  remove(id: number): void {
    const session = this.#all.get(id);
    if (session === undefined) return;
    this.assign(session, undefined);
    this.#waiting.delete(id);
    this.#all.delete(id);
  }

  /** Moves a session to another instance, or to none. */
  assign(session: Session, instance: number | undefined): void {
    if (session.instance !== undefined) {
      this.#byInstance.get(session.instance)?.delete(session.id);
      this.onTouched(session.instance, session.id);
    }
    session.instance = instance;
    if (instance === undefined) return;
    this.onTouched(instance, session.id);
    const ids = this.#byInstance.get(instance) ?? new Set<number>();
    this.#byInstance.set(instance, ids);
    ids.add(session.id);
  }

  /** Notes the backend of a session. */
  identify(session: Session, pid: number): void {
    session.pid = pid;
    if (session.instance !== undefined) this.onTouched(session.instance, session.id);
  }

  /** The client's end of a session that goes to the instance; undefined for any other session. */
  endOf(id: number, instance: number): WatchedEnd | undefined {
    const session = this.#all.get(id);
    if (session?.phase !== 'bound' || session.instance !== instance) return undefined;
    const { port, pid } = session;
    const address = normaliseIp(session.address).replace(/%.*$/, '');
    return port === 0 || parseIp(address) === undefined ? undefined : { address, port, pid };
  }

  /** Ends the waiting of a session. */
  settle(session: Session, phase: 'answered' | 'bound'): void {
    session.phase = phase;
    this.#waiting.delete(session.id);
  }

  /** A route has come to nothing: the session waits as long as if it had waited from the start. */
  waitAgain(session: Session): void {
    this.assign(session, undefined);
    session.phase = 'waiting';
    const later = [...this.#waiting].filter((id) => (this.#all.get(id)?.since ?? 0) > session.since);
    this.#waiting.add(session.id);
    // Those that began later keep their place behind it.
    for (const id of later) {
      this.#waiting.delete(id);
      this.#waiting.add(id);
    }
  }

  /** The earliest end of a wait of `waitMs`. Waits begin in this order and last equally long, so the first ends first. */
  waitingUntil(waitMs: number): MonotonicMs {
    const [first] = this.#waiting;
    const session = first === undefined ? undefined : this.#all.get(first);
    return session === undefined ? NEVER : session.since + waitMs;
  }

  /** Those that wait, the longest first; one that is settled or removed on the way is no obstacle. */
  *waiting(): Generator<Session, void, void> {
    for (const id of this.#waiting) {
      const session = this.#all.get(id);
      if (session !== undefined) yield session;
    }
  }

  /** Sessions whose SQL connection goes, or is about to go, to the instance. */
  of(instance: number): readonly Session[] {
    return [...(this.#byInstance.get(instance) ?? [])].flatMap((id) => this.#all.get(id) ?? []);
  }

  countOf(instance: number): number {
    return this.#byInstance.get(instance)?.size ?? 0;
  }
}
