import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { managerIntent, unitInCgroup, unitOfProcess } from '../../../src/io/systemd-job.js';
import { temporaryDirectory } from '../../support/tree.js';

const SYSTEM = '0::/system.slice/system-conmgr\\x2dwatchdog.slice/conmgr-watchdog@15-main.service\n';
const USER = '0::/user.slice/user-1000.slice/user@1000.service/app.slice/conmgr-watchdog@srv-data.service\n';

/** systemctl and busctl that answer as given; `state` may be a command that takes its time. */
function manager(cgroup: string, answers: { state?: string; job?: string; type?: string; wanted?: string }) {
  const folder = temporaryDirectory();
  const place = (name: string, script: string): string => {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const file = join(folder, 'cgroup');
  writeFileSync(file, cgroup);
  const { state = 'echo running', job = '', type = 's "restart"', wanted = '' } = answers;
  return managerIntent({
    cgroup: file,
    systemctl: place(
      'systemctl',
      `case "$*" in is-system-running) ${state} ;; "${wanted}show --property=Job --value -- "*@*.service) echo ${job} ;; esac`,
    ),
    busctl: place(
      'busctl',
      `[ "$*" = "${wanted}get-property org.freedesktop.systemd1 /org/freedesktop/systemd1/job/${job} org.freedesktop.systemd1.Job JobType" ] && echo '${type}'`,
    ),
  });
}

describe('the unit of a process', () => {
  it('is the service at the end of its control group, in the unified hierarchy or in that of systemd', () => {
    const unit = 'conmgr-watchdog@15-main.service';
    assert.deepEqual(unitInCgroup(SYSTEM), { unit, user: false });
    assert.deepEqual(unitInCgroup(`12:pids:/x.service\n1:name=systemd:/system.slice/${unit}\n0::/\n`), {
      unit,
      user: false,
    });
    assert.deepEqual(unitInCgroup(USER), { unit: 'conmgr-watchdog@srv-data.service', user: true });
  });

  it('is none in a session, in a container, and without a file', () => {
    for (const text of ['0::/user.slice/user-0.slice/session-1.scope\n', '0::/\n', '']) {
      assert.equal(unitInCgroup(text), undefined, text);
    }
    assert.equal(unitInCgroup('0::/user.slice/user@1000.service/init.scope\n'), undefined);
  });
});

describe('the unit of a process, for a shell', () => {
  const named = (cgroup: string): string => {
    const file = join(temporaryDirectory(), 'cgroup');
    writeFileSync(file, cgroup);
    return unitOfProcess('conmgr@NAME.service', file);
  };

  it('is named as systemctl takes it, with the manager of a user, and quoted where it has to be', () => {
    assert.equal(named('0::/system.slice/conmgr@app1.service\n'), 'conmgr@app1.service');
    assert.equal(named(USER), '--user conmgr-watchdog@srv-data.service');
    assert.equal(named('0::/system.slice/conmgr@my\\x2dapp.service\n'), "'conmgr@my\\x2dapp.service'");
  });

  it('is a placeholder outside of a service and where it cannot be known', () => {
    assert.equal(named('0::/\n'), 'conmgr@NAME.service');
    assert.equal(unitOfProcess('x.service', '/nonexistent/cgroup'), 'x.service');
  });
});

describe('the intent of the service manager', () => {
  it('is a restart when that is the job it runs for the unit', async () => {
    assert.equal(await manager(SYSTEM, { job: '123' }), 'restart');
    assert.equal(await manager(SYSTEM, { job: '123', type: 's "try-restart"' }), 'restart');
  });

  it("is asked of the user's manager for a unit of a user", async () => {
    assert.equal(await manager(USER, { job: '7', wanted: '--user ' }), 'restart');
  });

  it('is the end of the host when that is stopping, whatever the job', async () => {
    assert.equal(await manager(SYSTEM, { state: 'echo stopping; exit 1', job: '123' }), 'hostShutdown');
  });

  it('is unknown for any other job, without one, and outside of a service', async () => {
    assert.equal(await manager(SYSTEM, { job: '123', type: 's "stop"' }), 'unknown');
    assert.equal(await manager(SYSTEM, {}), 'unknown');
    assert.equal(await manager('0::/\n', { job: '123' }), 'unknown');
    const missing = { systemctl: '/nonexistent/systemctl', busctl: '/nonexistent/busctl' };
    assert.equal(await managerIntent(missing), 'unknown');
  });

  it('is unknown when it does not answer, and the stop does not wait for it', async () => {
    const begun = process.hrtime.bigint();
    assert.equal(await manager(SYSTEM, { state: 'exec sleep 30', job: '123' }), 'unknown');
    assert.ok(Number(process.hrtime.bigint() - begun) / 1e6 < 10_000);
  });
});
