/** A conmgr that is killed, and its port: rows 18, 19 and 67. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { TEST_CERTIFICATE } from '../support/certificate.js';
import type { InstanceLines } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { giveToServers } from '../support/postgres-account.js';
import { temporaryDirectory } from '../support/tree.js';
import { nowMs } from './harness/application.js';
import { Backends } from './harness/backends.js';
import { managerOf } from './harness/manager.js';
import type { Host } from './harness/network.js';
import { CONMGR_PORT, SERVER_PORT, WATCHDOG_PORT } from './harness/scene.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;
/** Connects while no conmgr is there. */
const QUEUED = 20;
/** restart_grace of row 19: how long a process may take to start while all processors are busy is no question of it. */
const GRACE_MS = 10_000;
/** Between its end and its start. */
const AWAY_MS = 1000;
/** In the certificate of the tests. */
const SERVER_NAME = 'db.test';

it(
  ...row(18, async (trial) => {
    const scene = await trial.scene({ withConmgr: false });
    const { app1 } = scene.network;
    for (let round = 0; round < 3; round += 1) {
      const conmgr = await scene.startConmgr();
      const app = await scene.app({ target: 'primary' });
      // Sessions that nobody tells anything: only the watchdog ends them.
      const held = await Promise.all([1, 2, 3].map(() => scene.session()));
      await scene.trusted();
      trial.load(await app.load());
      const backends = await Backends.watch(scene.primary, app1.address);
      const lateness = scene.lateness(app);
      const killedMs = nowMs();
      await conmgr.stop('SIGKILL');
      for (const { atMs, code } of await app.losses(0, PATIENCE_MS)) {
        trial.took('application told', atMs - killedMs, lateness);
        trial.never('applications told with another code than 08006', code === '08006' ? 0 : 1);
      }
      const { allMs } = await backends.ended(PATIENCE_MS);
      trial.took('sessions ended', allMs - killedMs, lateness);
      await Promise.all(held.map((client) => client.end().catch(() => {})));
    }
  }),
);

it(
  ...row(19, async (trial) => {
    const { manager } = managerOf(trial);
    const scene = await trial.scene({ withConmgr: false, watchdog: { restart_grace: `${GRACE_MS}ms` } });
    let conmgr = await scene.startConmgr(manager.start());
    const app = await scene.app({ target: 'primary', config: { conmgrLost: 'keep' } });
    const { app1 } = scene.network;
    for (let round = 0; round < 3; round += 1) {
      await scene.trusted();
      await eventually(() => manager.names.length > 0, { what: 'the manager has the listening socket' });
      trial.load(await app.load());
      await conmgr.stop('SIGKILL');
      const queued = Array.from({ length: QUEUED }, () => conmgr.ask({ target: 'primary' }));
      await delay(AWAY_MS);
      const startMs = nowMs();
      const { running } = scene.primary.watchdog;
      const up = running
        .waitForLine(/heartbeat link of .* is up$/, { after: running.lines.length })
        .then(() => nowMs());
      const lateness = scene.lateness();
      conmgr = await scene.startConmgr({ ...manager.start(), directory: conmgr.directory });
      trial.took('link up after the start', (await up) - startMs, lateness);
      const answered = await Promise.all(
        queued.map((client) =>
          client.candidates().then(
            () => true,
            // Before the link is up there is no candidate; that is an answer, too.
            () => client.refused !== undefined,
          ),
        ),
      );
      trial.never('connects that were not answered', answered.filter((one) => !one).length);
      for (const client of queued) client.vanish();
    }
    await delay(GRACE_MS + TIMING.T);
    await app.load();
    trial.never('sessions ended by a watchdog', scene.endedSessions());
    const left = await scene.sessionsAt(scene.primary, app1.address);
    trial.never('SQL sessions that are gone', app.sessions - left);
  }),
);

it(
  ...row(67, async (trial) => {
    const { manager, unitDown } = managerOf(trial);
    const folder = temporaryDirectory('tls-');
    const [cert, key] = [join(folder, 'server.crt'), join(folder, 'server.key')];
    writeFileSync(cert, TEST_CERTIFICATE.cert);
    writeFileSync(key, TEST_CERTIFICATE.key, { mode: 0o600 });
    for (const path of [folder, cert, key]) giveToServers(path);
    const named = ({ address }: Host): InstanceLines => ({
      host: SERVER_NAME,
      hostaddr: address,
      backendPort: SERVER_PORT,
      watchdogPort: WATCHDOG_PORT,
    });
    const scene = await trial.scene({
      standbys: 1,
      withConmgr: false,
      server: { ssl: 'on', ssl_cert_file: cert, ssl_key_file: key },
      lines: ([db1]) => [named(db1!)],
    });
    const { host, server } = scene.databases[1]!;
    // The server of the squatter has not the key of the real one.
    await server.configure({ ssl: 'off' });
    const tls = { ssl: { ca: TEST_CERTIFICATE.cert } };
    const conmgr = await scene.startConmgr(manager.start());
    const app = await scene.app({ target: 'any', config: tls });
    trial.load(await app.load());
    await eventually(() => manager.names.length > 0, { what: 'the manager has the listening socket' });
    await conmgr.stop('SIGKILL');
    trial.never('ports that could be taken while conmgr was away after a crash', (await canListen()) ? 1 : 0);
    const next = await scene.startConmgr({ ...manager.start(), directory: conmgr.directory });
    await next.stop('SIGTERM');
    unitDown();
    // Stopped for good: the port is anybody's. Here it is a conmgr that leads to another server.
    await scene.startConmgr({ instances: [named(host)] });
    const victim = scene.launchApp({ sessions: 1, target: 'any', config: tls });
    const { text } = await victim.wait('refused', 0);
    if (!/SSL|TLS|certificate/i.test(text ?? ''))
      throw new Error(`it was refused for another reason: ${text}`);
    trial.never('sessions at the server of the squatter', victim.events('connected').length);
  }),
);

/** Whether another process could listen where conmgr does. */
function canListen(): Promise<boolean> {
  return new Promise((resolve) => {
    const squatter = createServer();
    squatter.once('error', () => resolve(false));
    squatter.listen({ host: '127.0.0.1', port: CONMGR_PORT, exclusive: true }, () =>
      squatter.close(() => resolve(true)),
    );
  });
}
