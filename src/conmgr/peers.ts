/** The processes behind the sessions, looked up once for each and kept while it lasts. */
import { findPeerProcesses } from '../io/peer-process.js';
import type { AppConnection } from './app-connection.js';
import type { PeerFacts } from './status.js';

export class PeerProcesses {
  readonly #connection: (session: number) => AppConnection | undefined;
  #known = new Map<number, PeerFacts>();

  constructor(connection: (session: number) => AppConnection | undefined) {
    this.#connection = connection;
  }

  /** Facts for these sessions; others are forgotten. Costs a look into /proc only when there is a new one. */
  async look(sessions: readonly number[]): Promise<ReadonlyMap<number, PeerFacts>> {
    const known = new Map<number, PeerFacts>();
    const unknown: { session: number; localPort: number; remotePort: number }[] = [];
    for (const session of sessions) {
      const facts = this.#known.get(session);
      const connection = this.#connection(session);
      if (facts !== undefined) known.set(session, facts);
      else if (connection !== undefined) {
        unknown.push({ session, localPort: connection.localPort, remotePort: connection.remotePort });
      }
    }
    if (unknown.length > 0) {
      // The peer's local port is our remote one.
      const found = await findPeerProcesses(
        unknown.map(({ localPort, remotePort }) => ({ localPort: remotePort, remotePort: localPort })),
      );
      unknown.forEach(({ session }, index) => {
        const facts = found[index];
        if (facts !== undefined) known.set(session, facts);
      });
    }
    this.#known = known;
    return known;
  }
}
