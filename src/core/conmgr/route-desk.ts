/**
 * Where sessions that conmgr forwards are placed. A stock driver knows one address only, so conmgr does for it what an
 * aware one does by itself: one place after the other is tried, by the same rules, until one serves it.
 */
import type { Ask } from '../protocol/ask.js';
import type { Candidate } from '../protocol/first-phase.js';
import type { InstanceSet } from './instance-set.js';
import type { Outbox } from './outbox.js';
import type { FailedRoute, Session, SessionTable } from './sessions.js';

export class RouteDesk {
  readonly #set: InstanceSet;
  readonly #out: Outbox;
  readonly #sessions: SessionTable;
  readonly #candidates: (ask: Ask) => readonly Candidate[];

  constructor(
    set: InstanceSet,
    out: Outbox,
    sessions: SessionTable,
    candidates: (ask: Ask) => readonly Candidate[],
  ) {
    this.#set = set;
    this.#out = out;
    this.#sessions = sessions;
    this.#candidates = candidates;
  }

  /** Tries the best place that has not just failed; false when there is none. */
  place(session: Session): boolean {
    const failed = this.#failedNow(session).map(({ instance }) => instance);
    const next = this.#candidates({ ...session.ask, exclude: failed }).find(
      ({ instance }) => !failed.includes(instance),
    );
    if (next === undefined) return false;
    this.#sessions.settle(session, 'answered');
    this.#sessions.assign(session, next.instance);
    this.#out.push({ do: 'route', session: session.id, place: next });
    return true;
  }

  /** The place that was tried does not serve it; the session waits. False when that is no news. */
  failed(session: Session, instance: number, text: string): boolean {
    if (session.phase !== 'answered' || session.instance !== instance) return false;
    session.failed = [...this.#failedNow(session), { instance, text, view: this.#set.viewNumber }];
    this.#sessions.waitAgain(session);
    const place = this.#set.get(instance);
    if (place !== undefined) this.#out.log('routeFailed', { ...this.#set.params(place), reason: text });
    return true;
  }

  /** Sessions whose server is lost: those that are forwarded are reset, those that are not yet look for another. */
  lost(sessions: readonly Session[]): void {
    const forwarded = sessions.filter(({ phase }) => phase === 'bound');
    if (forwarded.length > 0) this.#out.push({ do: 'reset', sessions: forwarded.map(({ id }) => id) });
    for (const session of sessions) {
      if (session.phase !== 'answered') continue;
      this.#sessions.waitAgain(session);
      this.#out.push({ do: 'hold', session: session.id });
    }
  }

  /** What was tried in vain, as sentences for DETAIL. */
  describe(session: Session): string {
    return session.failed
      .map(({ instance, text }) => `${capital(this.#set.nameOf(instance))} was tried: ${text}.`)
      .join(' ');
  }

  /** What failed before the picture changed may work now. */
  #failedNow(session: Session): readonly FailedRoute[] {
    return session.failed.filter(({ view }) => view === this.#set.viewNumber);
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
