/** The units as `make install` places them, judged by systemd's own programs; none of them needs a running systemd. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { installForTest } from '../support/installed-tree.js';
import { runProgram } from '../support/programs.js';
import { whyNoSystemd } from '../support/systemd-programs.js';
import { temporaryDirectory } from '../support/tree.js';

const TEMPLATES = ['conmgr@.service', 'conmgr-watchdog@.service'] as const;
const SERVICES = ['conmgr-helper.service', 'conmgr-redirect.service'] as const;
const MANAGERS = ['system', 'user'] as const;

/** Highest figure of `systemd-analyze security` that is accepted, in tenths. */
const MOST_EXPOSED = 15;

const prefix = join(temporaryDirectory(), 'usr');
const unitPath = (manager: string, name: string): string => join(prefix, 'lib/systemd', manager, name);

/** Values of a setting, one for each line that has it. */
function settings(manager: string, name: string, key: string): string[] {
  const text = readFileSync(unitPath(manager, name), 'utf8');
  return [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map((match) => match[1] ?? '');
}

describe('the installed units', () => {
  before(() => installForTest(prefix));

  it('call the programs of the prefix they are installed in', () => {
    for (const manager of MANAGERS) {
      for (const name of TEMPLATES) {
        const [command = ''] = settings(manager, name, 'ExecStart');
        assert.ok(command.startsWith(`${prefix}/bin/${name.split('@')[0]} --unit %i`), command);
      }
    }
  });

  it('report readiness from the main process, are watched, and are not tried again after 2, 77 and 78', () => {
    for (const manager of MANAGERS) {
      for (const name of TEMPLATES) {
        for (const [key, value] of [
          ['Type', 'notify'],
          ['NotifyAccess', 'main'],
          ['WatchdogSec', '60s'],
          ['Restart', 'on-failure'],
          ['RestartPreventExitStatus', '2 77 78'],
        ] as const) {
          assert.deepEqual(settings(manager, name, key), [value], `${manager} ${name} ${key}`);
        }
      }
    }
  });

  it('never hold what would break the programs or PostgreSQL', () => {
    for (const manager of MANAGERS) {
      for (const name of TEMPLATES) {
        for (const key of ['MemoryDenyWriteExecute', 'ProcSubset', 'PrivateUsers', 'RemoveIPC']) {
          assert.deepEqual(settings(manager, name, key), [], `${manager} ${name} ${key}`);
        }
        assert.deepEqual(settings(manager, name, 'ProtectHome'), ['read-only']);
        assert.match(settings(manager, name, 'SystemCallFilter').join(), /@pkey/);
      }
    }
  });

  it('order the watchdog after PostgreSQL without requiring it', () => {
    const name = 'conmgr-watchdog@.service';
    assert.match(settings('system', name, 'After').join(' '), /\bpostgresql\.service\b/);
    for (const key of ['Requires', 'BindsTo', 'Requisite'])
      assert.deepEqual(settings('system', name, key), []);
    assert.doesNotMatch(settings('system', name, 'Wants').join(' '), /postgresql/);
  });

  it('end before the system bus does, which tells them at SIGTERM what is meant', () => {
    for (const name of TEMPLATES)
      assert.match(settings('system', name, 'After').join(' '), /\bdbus\.service\b/, name);
  });

  it('start after the network, may write where instances live, and keep descriptors for a restart of conmgr', () => {
    for (const [name, places] of [
      ['conmgr@.service', '-/var/lib/conmgr -%f'],
      ['conmgr-watchdog@.service', '-/var/lib/postgresql -/var/lib/pgsql -%f'],
    ] as const) {
      assert.match(settings('system', name, 'After').join(' '), /\bnetwork-online\.target\b/, name);
      assert.deepEqual(settings('system', name, 'ReadWritePaths'), [places], name);
      assert.deepEqual(settings('system', name, 'PartOf'), ['conmgr.target'], name);
      for (const key of ['WorkingDirectory', 'StateDirectory', 'RuntimeDirectory'])
        assert.deepEqual(settings('system', name, key), [], `${name} ${key}`);
    }
    for (const manager of ['system', 'user'] as const)
      assert.deepEqual(settings(manager, 'conmgr@.service', 'FileDescriptorStoreMax'), ['512'], manager);
    assert.deepEqual(settings('system', 'conmgr-watchdog@.service', 'User'), ['postgres']);
  });

  it("leave out for users' managers what only the system's can do", () => {
    for (const name of TEMPLATES) {
      for (const key of ['User', 'CapabilityBoundingSet', 'PrivateDevices', 'PartOf', 'After', 'Wants']) {
        assert.notDeepEqual(settings('system', name, key), [], key);
        assert.deepEqual(settings('user', name, key), [], key);
      }
      assert.deepEqual(settings('system', name, 'WantedBy'), ['conmgr.target']);
      assert.deepEqual(settings('user', name, 'WantedBy'), ['default.target']);
      assert.match(settings('user', name, 'ReadWritePaths').join(' '), /%h\/\.local\/state\/conmgr/);
    }
    assert.match(settings('user', 'conmgr@.service', 'ExecStart').join(), / --user$/);
  });

  it('give the helper one right, a user of its own and an environment that nobody else writes', () => {
    const name = 'conmgr-helper.service';
    for (const [key, value] of [
      ['User', 'conmgr-helper'],
      ['Group', 'conmgr'],
      ['CapabilityBoundingSet', 'CAP_NET_ADMIN'],
      ['AmbientCapabilities', 'CAP_NET_ADMIN'],
      ['NoNewPrivileges', 'yes'],
      ['IPAddressDeny', 'any'],
      ['WantedBy', 'multi-user.target'],
    ] as const) {
      assert.deepEqual(settings('system', name, key), [value], key);
    }
    assert.match(settings('system', name, 'UnsetEnvironment').join(' '), /\bNODE_OPTIONS\b.*\bLD_PRELOAD\b/);
    assert.match(settings('system', name, 'ExecStopPost').join(), /conmgr-helper clear /);
    assert.equal(existsSync(unitPath('user', name)), false, "a user's manager cannot give the right");
    for (const conmgr of TEMPLATES) {
      for (const key of ['CapabilityBoundingSet', 'AmbientCapabilities']) {
        assert.deepEqual(settings('system', conmgr, key), [''], `${conmgr} ${key}`);
      }
    }
  });

  it('call programs that take the arguments', async () => {
    for (const [program, args, message] of [
      ['conmgr', ['--unit', 'no--path', '--user'], /instance name "no--path"/],
      ['conmgr-watchdog', ['--unit', 'no--path'], /instance name "no--path"/],
      ['conmgr-helper', ['load', '--cgroup', 'none', '--user', '-'], /there is no user "-"/],
    ] as const) {
      const { code, stderr } = await runProgram(program, args);
      assert.deepEqual({ code, said: message.test(stderr) }, { code: 78, said: true }, stderr);
    }
  });
});

describe('systemd-analyze', { skip: whyNoSystemd('systemd-analyze') }, () => {
  before(() => installForTest(prefix));

  const analyze = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', args, {
      encoding: 'utf8',
      env: { ...process.env, XDG_RUNTIME_DIR: temporaryDirectory(), SYSTEMD_PAGER: '' },
    });
    // It reads what the units of this machine are ordered after as well; those are not ours.
    const neighbour = /^\/(usr\/)?lib\/systemd\/|^\/etc\/systemd\//;
    const lines = `${stdout}${stderr}`.split(/^/m).filter((line) => !neighbour.test(line));
    return { status, output: lines.join('') };
  };

  /** Units that it loads beside them belong to the machine: each line about one begins with its file. */
  const verify = (paths: readonly string[], ...options: string[]) => {
    const { status, output } = analyze(...options, 'verify', '--man=no', ...paths);
    const lines = output.split('\n').filter((line) => line.startsWith(prefix) || !line.startsWith('/'));
    return { status, output: lines.join('\n') };
  };

  it('finds nothing to say about the units of the system', () => {
    const paths = [...TEMPLATES, ...SERVICES, 'conmgr.target'].map((name) => unitPath('system', name));
    assert.deepEqual(verify(paths), { status: 0, output: '' });
  });

  it('finds nothing to say about the units for users', () => {
    const paths = TEMPLATES.map((name) => unitPath('user', name));
    assert.deepEqual(verify(paths, '--user'), { status: 0, output: '' });
  });

  it('would say so if there were', () => {
    const folder = temporaryDirectory();
    const wrong = join(folder, 'conmgr@.service');
    const text = readFileSync(unitPath('system', 'conmgr@.service'), 'utf8');
    writeFileSync(wrong, text.replace('WatchdogSec=', 'WatchdogSeconds='));
    assert.match(analyze('verify', '--man=no', wrong).output, /WatchdogSeconds/);
  });

  it(`finds an exposure of ${MOST_EXPOSED / 10} at the most`, () => {
    for (const name of TEMPLATES) {
      const path = unitPath('system', name);
      const { status, output } = analyze(
        'security',
        '--offline=true',
        `--threshold=${MOST_EXPOSED}`,
        '--no-pager',
        path,
      );
      assert.equal(status, 0, output);
      const exposure = /exposure level for \S+: ([\d.]+)/.exec(output)?.[1];
      assert.ok(exposure !== undefined && Number(exposure) * 10 <= MOST_EXPOSED, output);
    }
  });
});

describe('systemd-sysusers and systemd-tmpfiles', {
  skip: whyNoSystemd('systemd-sysusers', 'systemd-tmpfiles'),
}, () => {
  before(() => installForTest(prefix));

  it('make the account in an empty root and accept the directory', () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, 'etc'));
    execFileSync('systemd-sysusers', [`--root=${root}`, join(prefix, 'lib/sysusers.d/conmgr.conf')], {
      stdio: 'pipe',
    });
    assert.match(
      readFileSync(join(root, 'etc/passwd'), 'utf8'),
      /^conmgr:[^:]*:\d+:\d+:[^:]*:\/var\/lib\/conmgr:\/\S*nologin$/m,
    );
    assert.match(readFileSync(join(root, 'etc/group'), 'utf8'), /^conmgr:/m);
    // Without the right to change the owner it goes as far as telling whose the directory would be.
    const { stderr } = spawnSync(
      'systemd-tmpfiles',
      ['--create', `--root=${root}`, join(prefix, 'lib/tmpfiles.d/conmgr.conf')],
      { encoding: 'utf8' },
    );
    assert.doesNotMatch(stderr, /Unknown|Invalid|Failed to (?:parse|resolve)/i);
  });
});
