/** Hosts that know each other by IPv6: row 31. */
import { it } from 'node:test';
import { Backends } from './harness/backends.js';
import type { Host } from './harness/network.js';
import { SERVER_PORT, WATCHDOG_PORT } from './harness/scene.js';
import { measureSilence } from './harness/silence.js';
import { row } from './harness/trial.js';

/** How the database host listens, how conmgr reaches it, and what the server sees of the application host. */
const KINDS: readonly {
  readonly listen: (database: Host) => string;
  readonly watchdog?: string;
  readonly reach: (database: Host) => string;
  readonly seen: (application: Host) => string;
}[] = [
  { listen: ({ address6 }) => address6, reach: ({ address6 }) => address6, seen: ({ address6 }) => address6 },
  { listen: () => '::', reach: (host) => `${host.linkLocal()}%eth0`, seen: (host) => host.linkLocal() },
  {
    listen: ({ address }) => address,
    // Dual stack: the watchdog sees IPv4 peers as IPv4 mapped into IPv6.
    watchdog: '*',
    reach: ({ address }) => address,
    seen: ({ address }) => address,
  },
];

it(
  ...row(31, async (trial) => {
    for (const { listen, watchdog, reach, seen } of KINDS) {
      const scene = await trial.scene({
        listen,
        ...(watchdog === undefined ? {} : { watchdog: { listen_addresses: watchdog } }),
        lines: ([db1]) => [{ host: reach(db1!), backendPort: SERVER_PORT, watchdogPort: WATCHDOG_PORT }],
      });
      const app = await scene.app({ target: 'primary' });
      await scene.trusted();
      trial.load(await app.load());
      const backends = await Backends.watch(scene.primary, seen(scene.network.app1));
      if (backends.atFirst !== app.sessions) throw new Error(`${backends.atFirst} sessions are of the host`);
      await measureSilence(trial, { scene, app, backends }, () => scene.primary.host.cut(), {
        told: 'application told',
        ended: 'sessions ended',
      });
      trial.never('sessions left', await scene.sessionsAt(scene.primary));
      await scene.end();
    }
  }),
);
