/** The processes behind the sessions, looked up once for each and kept while it lasts. */
import type { Clock } from '../core/time.js';
import { findPeerProcesses } from '../io/peer-process.js';
import type { AppConnection } from './app-connection.js';
import type { PeerFacts } from './status.js';

/**
 * A look reads tables of all sockets, in pieces, which takes seconds on a busy host with thousands of them. A status is
 * not to wait that long: its callers take a conmgr for silent that says nothing for 5 s.
 */
const PATIENCE_MS = 2000;

/** What is asked of a connection. */
type Ends = Pick<AppConnection, 'localPort' | 'remotePort'>;

export class PeerProcesses {
  readonly #connection: (session: number) => Ends | undefined;
  readonly #clock: Clock;
  readonly #find: typeof findPeerProcesses;
  #known = new Map<number, PeerFacts>();
  /** The last look that was asked for; one at a time. */
  #looking: Promise<void> = Promise.resolve();

  constructor(
    connection: (session: number) => Ends | undefined,
    clock: Clock,
    find: typeof findPeerProcesses = findPeerProcesses,
  ) {
    this.#connection = connection;
    this.#clock = clock;
    this.#find = find;
  }

  /**
   * Facts for these sessions; others are forgotten. Costs a look into /proc only when there is a new one; without facts
   * are those that it has not found within 2 s, which the next call may have.
   */
  async look(sessions: readonly number[]): Promise<ReadonlyMap<number, PeerFacts>> {
    if (this.#unknown(sessions).length > 0) {
      this.#looking = this.#looking.then(() => this.#search(sessions));
      await this.#within(this.#looking);
    }
    const known = new Map<number, PeerFacts>();
    for (const session of sessions) {
      const facts = this.#known.get(session);
      if (facts !== undefined) known.set(session, facts);
    }
    this.#known = new Map(known);
    return known;
  }

  #unknown(sessions: readonly number[]): readonly (readonly [session: number, ends: Ends])[] {
    return sessions.flatMap((session) => {
      const ends = this.#known.has(session) ? undefined : this.#connection(session);
      return ends === undefined ? [] : [[session, ends] as const];
    });
  }

  /** What an earlier look has found meanwhile is not looked for again. */
  async #search(sessions: readonly number[]): Promise<void> {
    const unknown = this.#unknown(sessions);
    if (unknown.length === 0) return;
    // The peer's local port is our remote one.
    const found = await this.#find(
      unknown.map(([, { localPort, remotePort }]) => ({ localPort: remotePort, remotePort: localPort })),
    );
    unknown.forEach(([session], index) => {
      const facts = found[index];
      if (facts !== undefined) this.#known.set(session, facts);
    });
  }

  async #within(looking: Promise<void>): Promise<void> {
    await new Promise<void>((done) => {
      const timer = this.#clock.setTimer(PATIENCE_MS, done);
      void looking.then(() => {
        timer.cancel();
        done();
      });
    });
  }
}
