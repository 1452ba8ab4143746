/** The table of application sessions: who asked for what, and to which instance its SQL connection goes. */
import type { Ask } from '../protocol/ask.js';
import { type MonotonicMs, NEVER } from '../time.js';

/** One application's attachment to conmgr. */
export interface Session {
  readonly id: number;
  readonly ask: Ask;
  /** waiting: for an instance that fits · answered: candidates sent · bound: its SQL connection is known. */
  phase: 'waiting' | 'answered' | 'bound';
  /** Where it goes: the first candidate, then what BOUND says; undefined once told of the loss. */
  instance: number | undefined;
  /** Local end of its SQL connection. */
  address: string;
  port: number;
  /** When it asked; waiting ends with a refusal resolve_wait after it. */
  readonly since: MonotonicMs;
}

/** Sessions by id and by the instance they go to. */
export class SessionTable {
  readonly #all = new Map<number, Session>();
  readonly #byInstance = new Map<number, Set<number>>();
  readonly #waiting = new Set<number>();

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
    if (session.instance !== undefined) this.#byInstance.get(session.instance)?.delete(session.id);
    session.instance = instance;
    if (instance === undefined) return;
    const ids = this.#byInstance.get(instance) ?? new Set<number>();
    this.#byInstance.set(instance, ids);
    ids.add(session.id);
  }

  /** Ends the waiting of a session. */
  settle(session: Session, phase: 'answered' | 'bound'): void {
    session.phase = phase;
    this.#waiting.delete(session.id);
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
