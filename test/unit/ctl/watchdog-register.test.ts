import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { escapeUnitPath } from '../../../src/core/unit-name.js';
import type { Call } from '../../../src/ctl/call.js';
import type { RegistryPlaces } from '../../../src/ctl/registry.js';
import { runWatchdogRegister, runWatchdogUnregister } from '../../../src/ctl/watchdog-register.js';
import { ACCOUNT, Host } from './registry-scene.js';

const USER = ACCOUNT?.name ?? userInfo().username;

/** A host with a data directory of the unprivileged user; `cluster`: Debian knows it as 15-NAME. */
function scene(cluster?: string) {
  const host = new Host();
  const directory = host.directory('data');
  mkdirSync(join(directory, 'pg_stat_tmp'));
  writeFileSync(join(directory, 'PG_VERSION'), '15\n');
  const clusters = { configuration: join(host.home, 'etc'), programs: join(host.home, 'lib') };
  if (cluster !== undefined) {
    mkdirSync(join(clusters.configuration, '15', cluster), { recursive: true });
    mkdirSync(join(clusters.programs, '15/bin'), { recursive: true });
    const program = join(clusters.programs, '15/bin/postgres');
    writeFileSync(program, `#!/bin/sh\n[ "$1 $2" = '-C data_directory' ] && echo '${directory}'\n`);
    chmodSync(program, 0o755);
  }
  const run = (mode: 'register' | 'unregister', ...words: string[]) => {
    const act = mode === 'register' ? runWatchdogRegister : runWatchdogUnregister;
    const line = ['watchdog', mode, '-D', directory, ...words];
    return host.run(line, (call: Call, places: RegistryPlaces) => act(call, places, clusters));
  };
  return { host, directory, run };
}

describe('cm_ctl watchdog register', () => {
  it('enables the unit of the path, as the owner of the data directory', async () => {
    const { host, directory, run } = scene();
    const { status, stdout } = await run('register');
    assert.equal(status, 0);
    const unit = `conmgr-watchdog@${escapeUnitPath(directory)}.service`;
    assert.deepEqual(host.calls(), ['daemon-reload', `enable conmgr.target ${unit}`]);
    assert.match(host.dropIn(unit, '50-cm_ctl.conf') ?? '', new RegExp(`\\[Service\\]\\nUser=${USER}\\n$`));
    assert.match(stdout, /\nStart it with:\n {4}systemctl start /);
    assert.match((await run('register', '-U', USER)).stdout, /nothing was changed/);
    assert.deepEqual(host.calls(), []);
  });

  it('takes the name of a cluster of Debian, and lets the unit write to a directory it does not know', async () => {
    const { host, directory, run } = scene('my-cl');
    assert.equal((await run('register')).status, 0);
    const unit = 'conmgr-watchdog@15-my\\x2dcl.service';
    assert.ok(host.isEnabled(unit));
    assert.match(
      host.dropIn(unit, '50-cm_ctl.conf') ?? '',
      new RegExp(`\\nUser=${USER}\\nReadWritePaths=-${directory}\\n$`),
    );
  });

  it('lets it write where pg_stat_tmp leads', async () => {
    const { host, directory, run } = scene();
    const elsewhere = join(host.home, 'elsewhere');
    mkdirSync(elsewhere);
    const place = join(directory, 'pg_stat_tmp');
    rmdirSync(place);
    symlinkSync(elsewhere, place);
    await run('register');
    const unit = `conmgr-watchdog@${escapeUnitPath(directory)}.service`;
    assert.match(
      host.dropIn(unit, '50-cm_ctl.conf') ?? '',
      new RegExp(`\\nReadWritePaths=-${elsewhere}\\n$`),
    );
  });

  it('runs it as nobody else', async () => {
    const { run } = scene();
    const { status, stderr } = await run('register', '-U', USER === 'daemon' ? 'bin' : 'daemon');
    assert.equal(status, 1);
    assert.match(stderr, /belongs to user .*, not to .*\nHINT: {2}The watchdog runs as the owner/);
  });

  it('is undone by unregister', async () => {
    const { host, run } = scene('main');
    await run('register');
    host.set('running-conmgr-watchdog@15-main.service');
    host.calls();
    const { status, stderr } = await run('unregister');
    assert.equal(status, 0);
    assert.match(stderr, /HINT: {2}To stop it: systemctl stop conmgr-watchdog@15-main\.service\n/);
    assert.deepEqual(host.calls(), ['disable conmgr-watchdog@15-main.service', 'daemon-reload']);
    assert.equal(host.dropIn('conmgr-watchdog@15-main.service', '50-cm_ctl.conf'), undefined);
    assert.equal((await run('unregister')).status, 1);
  });
});
