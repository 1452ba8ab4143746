/** A database host that shuts down in order: row 66. */
import { chmodSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { findCgroup2 } from '../../src/io/redirect-programs.js';
import { DatagramReceiver } from '../support/datagram-receiver.js';
import { eventually } from '../support/eventually.js';
import { temporaryDirectory } from '../support/tree.js';
import { nowMs } from './harness/application.js';
import { offeredBy } from './harness/requests.js';
import { TIMING } from './harness/timing.js';
import { row } from './harness/trial.js';

const PATIENCE_MS = 60_000;

/** Says what systemctl(1) says while the host shuts down. */
const SYSTEMCTL = `#!/bin/sh
case "$*" in
*is-system-running*) echo stopping; exit 1 ;;
*) exit 0 ;;
esac
`;

it(
  ...row(66, async (trial) => {
    const folder = temporaryDirectory();
    writeFileSync(join(folder, 'systemctl'), SYSTEMCTL, { mode: 0o755 });
    const notify = new DatagramReceiver(join(folder, 'notify'));
    // The watchdog is of another account.
    chmodSync(folder, 0o711);
    chmodSync(join(folder, 'notify'), 0o666);
    trial.atEnd(() => notify.close());
    const root = findCgroup2();
    if (root === undefined) throw new Error('there are no control groups of version 2');
    const group = join(root, `conmgr-chaos-${process.pid}.service`);
    mkdirSync(group);
    trial.atEnd(() =>
      eventually(
        () => {
          rmdirSync(group);
          return true;
        },
        { what: 'the control group is empty' },
      ),
    );
    const scene = await trial.scene({
      watchdogEnv: { NOTIFY_SOCKET: join(folder, 'notify'), PATH: `${folder}:${process.env['PATH']}` },
    });
    const { conmgr } = scene;
    const { server, watchdog } = scene.primary;
    writeFileSync(join(group, 'cgroup.procs'), String(watchdog.running.pid));
    const app = await scene.app({ target: 'primary', pauseMs: 200 });
    await scene.trusted();
    trial.load(await app.load());
    const lateness = scene.lateness(app);
    const goodbyeMs = nowMs();
    await watchdog.stop('SIGTERM');
    await eventually(async () => (await offeredBy(conmgr, 'primary')) === '57P03', {
      what: 'it is not offered any more',
    });
    trial.took('not offered after the goodbye', nowMs() - goodbyeMs, lateness);
    await delay(TIMING.T + TIMING.G);
    await app.load();
    trial.never('sessions told while the server runs', app.events('lost').length);
    const ended = scene.lateness(app);
    const endMs = nowMs();
    const stopped = server.stop('fast');
    for (const { atMs } of await app.losses(0, PATIENCE_MS)) {
      trial.took('application told after the end of the postmaster', atMs - endMs, ended);
    }
    await stopped;
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
