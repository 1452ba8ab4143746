import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { managerIntent, unitInCgroup, unitOfProcess } from '../../../src/io/systemd-job.js';
import { temporaryDirectory } from '../../support/tree.js';

const SYSTEM = '0::/system.slice/system-conmgr\\x2dwatchdog.slice/conmgr-watchdog@15-main.service\n';
const USER = '0::/user.slice/user-1000.slice/user@1000.service/app.slice/conmgr-watchdog@srv-data.service\n';

const UNIT = 'conmgr-watchdog@15-main.service';

/** A systemctl that answers as given; `state` and `jobs` are commands, which may take their time. */
function manager(cgroup: string, answers: { state?: string; jobs?: string; wanted?: string }) {
  const folder = temporaryDirectory();
  const [systemctl, file] = [join(folder, 'systemctl'), join(folder, 'cgroup')];
  const { state = 'echo running', jobs = ':', wanted = '' } = answers;
  const list = `"${wanted}list-jobs --no-legend --plain --full"`;
  writeFileSync(
    systemctl,
    `#!/bin/sh\ncase "$*" in is-system-running) ${state} ;; ${list}) ${jobs} ;; esac\n`,
  );
  chmodSync(systemctl, 0o755);
  writeFileSync(file, cgroup);
  return managerIntent({ cgroup: file, systemctl, bus: join(folder, 'no-bus') });
}

/** Prints a list with a job of the unit among others. */
const job = (unit: string, type: string): string =>
  `printf '%s\\n' '  7 other@15-main.service restart waiting' ' 12 ${unit} ${type} running' '123 x.service stop waiting'`;

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
    assert.equal(await manager(SYSTEM, { jobs: job(UNIT, 'restart') }), 'restart');
    assert.equal(await manager(SYSTEM, { jobs: job(UNIT, 'try-restart') }), 'restart');
  });

  it('is compared with names as they are, escapes and all', async () => {
    const unit = 'conmgr@srv-my\\x2dapp.service';
    assert.equal(await manager(`0::/system.slice/${unit}\n`, { jobs: job(unit, 'restart') }), 'restart');
  });

  it("is asked of the user's manager for a unit of a user", async () => {
    const jobs = job('conmgr-watchdog@srv-data.service', 'restart');
    assert.equal(await manager(USER, { jobs, wanted: '--user ' }), 'restart');
  });

  it('is a restart also while the manager is too busy to say how the host is', async () => {
    assert.equal(await manager(SYSTEM, { state: 'exec sleep 30', jobs: job(UNIT, 'restart') }), 'restart');
  });

  it('is the end of the host when that is stopping, which stops every unit', async () => {
    const state = 'echo stopping; exit 1';
    assert.equal(await manager(SYSTEM, { state, jobs: job(UNIT, 'stop') }), 'hostShutdown');
    assert.equal(await manager(SYSTEM, { state }), 'hostShutdown');
  });

  it('is unknown for any other job, without one, and outside of a service', async () => {
    assert.equal(await manager(SYSTEM, { jobs: job(UNIT, 'stop') }), 'unknown');
    assert.equal(await manager(SYSTEM, {}), 'unknown');
    assert.equal(await manager('0::/\n', { jobs: job(UNIT, 'restart') }), 'unknown');
    assert.equal(await managerIntent({ systemctl: '/nonexistent/systemctl' }), 'unknown');
  });

  it('is unknown when it does not answer, and the stop does not wait for it', async () => {
    const begun = process.hrtime.bigint();
    assert.equal(await manager(SYSTEM, { jobs: 'exec sleep 30' }), 'unknown');
    assert.ok(Number(process.hrtime.bigint() - begun) / 1e6 < 10_000);
  });
});
