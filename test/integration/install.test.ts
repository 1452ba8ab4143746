/** `make install`: what lies where, and that it runs from there. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { installTree } from '../../packaging/install-tree.js';
import { OPTIONS } from '../../src/core/ctl/options.js';
import { MODES } from '../../src/ctl/modes.js';
import { freePort } from '../support/free-ports.js';
import { built } from '../support/programs.js';
import { startCommand } from '../support/running.js';
import { inTree, temporaryDirectory } from '../support/tree.js';

const PROGRAMS = ['conmgr', 'conmgr-watchdog', 'cm_ctl', 'conmgr-helper'] as const;
const DOCUMENTS = 'usr/share/doc/conmgr';
const destination = join(temporaryDirectory(), 'root');
const at = (path: string): string => join(destination, path);
const install = (): void =>
  installTree({
    from: inTree('.'),
    destination,
    prefix: '/usr',
    shareDirectories: ['/usr/share/postgresql/15', '/usr/share/postgresql/17'],
  });

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

describe('an installation', () => {
  before(() => {
    const mask = process.umask(0o077);
    install();
    process.umask(mask);
  });

  it('has every part in its place, and none outside of DESTDIR', () => {
    for (const path of [
      'usr/lib/systemd/system/conmgr@.service',
      'usr/lib/systemd/system/conmgr-watchdog@.service',
      'usr/lib/systemd/system/conmgr-helper.service',
      'usr/lib/systemd/system/conmgr-redirect.service',
      'usr/lib/systemd/system/conmgr.target',
      'usr/lib/systemd/user/conmgr@.service',
      'usr/lib/systemd/user/conmgr-watchdog@.service',
      'usr/lib/systemd/system-preset/90-conmgr.preset',
      'usr/lib/systemd/catalog/conmgr.catalog',
      'usr/lib/sysusers.d/conmgr.conf',
      'usr/lib/tmpfiles.d/conmgr.conf',
      'usr/share/polkit-1/rules.d/60-conmgr.rules',
      'usr/share/bash-completion/completions/cm_ctl',
      'usr/share/conmgr/LICENSES.txt',
      'usr/share/conmgr/extension/watchdog.control',
      'usr/share/postgresql/15/extension/watchdog.control',
      'usr/share/postgresql/17/extension/watchdog--1.0.sql',
      join(DOCUMENTS, 'README.md'),
      join(DOCUMENTS, 'docs/protocol.md'),
    ]) {
      assert.ok(statSync(at(path)).size > 0, path);
    }
    for (const name of PROGRAMS)
      assert.equal(readlinkSync(at(`usr/bin/${name}`)), `../share/conmgr/${name}.js`);
    assert.equal(filesBelow(at('usr/lib')).filter((path) => path.endsWith('/conmgr/koffi.node')).length, 1);
  });

  it('can be read by everybody, whatever the umask of who installs, and programs alone are executable', () => {
    for (const path of filesBelow(destination)) {
      const stat = lstatSync(path);
      if (stat.isSymbolicLink()) continue;
      const program = /\/share\/conmgr\/[^/]+\.js$/.test(path);
      assert.equal((stat.mode & 0o777).toString(8), program ? '755' : '644', path);
    }
    for (const path of ['usr', 'usr/bin', 'usr/lib/systemd/system', 'usr/share/conmgr']) {
      assert.equal((statSync(at(path)).mode & 0o777).toString(8), '755', path);
    }
  });

  it('leaves nothing of an earlier version where it has directories of its own', () => {
    const old = at('usr/share/conmgr/old.js');
    const foreign = at('usr/share/postgresql/15/extension/other.control');
    for (const path of [old, foreign]) writeFileSync(path, 'x');
    install();
    assert.equal(existsSync(old), false);
    assert.equal(existsSync(foreign), true);
  });

  it('has the programs of dist/bin, and they tell their version', async () => {
    const { version } = JSON.parse(readFileSync(inTree('package.json'), 'utf8')) as { version: string };
    for (const name of PROGRAMS) {
      assert.deepEqual(readFileSync(at(`usr/bin/${name}`)), readFileSync(built(`bin/${name}.js`)));
      const { code, stdout } = await startCommand(process.execPath, [at(`usr/bin/${name}`), '--version'])
        .done;
      assert.deepEqual({ code, stdout }, { code: 0, stdout: `${name} ${version}\n` });
    }
  });

  it('has a conmgr that finds its native calls in the library directory, and a cm_ctl that starts and stops it', async () => {
    const directory = join(temporaryDirectory(), 'conmgr');
    const ctl = (...args: string[]) =>
      startCommand(process.execPath, [at('usr/bin/cm_ctl'), ...args, '-D', directory]).done;
    assert.equal((await ctl('init', '-s')).code, 0);
    const [port, watchdog] = [await freePort(), await freePort()];
    const lines = [`port = ${port}`, 'backend_host0 = 127.0.0.1', `watchdog_port0 = ${watchdog}`];
    writeFileSync(join(directory, 'conmgr.conf'), `${lines.join('\n')}\n`);
    const conmgr = startCommand(process.execPath, [at('usr/bin/conmgr'), '-D', directory]);
    await conmgr.waitForLine(/listening on .*port/);
    assert.doesNotMatch(conmgr.stderr, /native calls are not available/);
    const status = await ctl('status');
    assert.equal(status.code, 0, status.stderr);
    const stopped = await ctl('stop');
    assert.equal(stopped.code, 0, stopped.stderr);
    assert.equal((await conmgr.done).code, 0);
    const started = await ctl('start', '-W');
    assert.equal(started.code, 0, started.stderr);
    assert.equal((await ctl('stop')).code, 0);
  });

  it('has a client library for require and import', async () => {
    const folder = temporaryDirectory();
    mkdirSync(join(folder, 'node_modules'));
    // Debian's Node.js looks in /usr/share/nodejs for require; NODE_PATH stands for it here.
    const env = { NODE_PATH: `${at('usr/share/nodejs')}:${inTree('node_modules')}` };
    const script = "const { CmPool } = require('conmgr/client'); console.log(typeof CmPool)";
    const { stdout, stderr } = await startCommand(process.execPath, ['-e', script], { cwd: folder, env })
      .done;
    assert.equal(stdout, 'function\n', stderr);
    const manifest = JSON.parse(readFileSync(at('usr/share/nodejs/conmgr/package.json'), 'utf8'));
    for (const target of Object.values(
      manifest.exports['./client'] as Record<string, Record<string, string>>,
    )) {
      for (const path of Object.values(target))
        assert.ok(existsSync(at(`usr/share/nodejs/conmgr/${path}`)), path);
    }
    assert.equal(manifest.devDependencies, undefined);
  });
});

describe('the completion of cm_ctl', () => {
  before(install);

  /** What bash offers for the last of the words. */
  function offered(...words: string[]): string[] {
    const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; _cm_ctl
      ((\${#COMPREPLY[@]} == 0)) || printf '%s\\n' "\${COMPREPLY[@]}"`;
    const completion = at('usr/share/bash-completion/completions/cm_ctl');
    const output = execFileSync('bash', ['-c', script, 'bash', completion, 'cm_ctl', ...words], {
      encoding: 'utf8',
      cwd: destination,
    });
    return output.split('\n').filter((line) => line !== '');
  }

  it('offers every mode, and the second word of those of the watchdog', () => {
    const modes = MODES.map(({ name }) => name);
    for (const name of modes) assert.ok(offered('').includes(name.split(' ')[0] ?? ''), name);
    assert.deepEqual(
      offered('watchdog', ''),
      modes.flatMap((name) => name.split(' ')[1] ?? []),
    );
    assert.deepEqual(offered('res'), ['restart', 'resolve', 'resolve-conflict']);
  });

  it('offers for each mode the options it takes, and no other', () => {
    for (const mode of MODES) {
      const words = mode.name.split(' ');
      for (const [name, option] of Object.entries(OPTIONS)) {
        if (!('long' in option) || name === 'help') continue;
        const takes = (mode.options as readonly string[]).includes(name);
        assert.equal(
          offered(...words, '--').includes(`--${option.long}`),
          takes,
          `${mode.name} --${option.long}`,
        );
      }
    }
  });

  it('offers the values of options and operands, also behind an option with a value', () => {
    assert.deepEqual(offered('stop', '-m', ''), ['smart', 'fast', 'immediate']);
    assert.deepEqual(offered('status', '-i', 'a'), ['all', 'application']);
    assert.deepEqual(offered('init', '-D', 'us'), ['usr']);
    assert.deepEqual(offered('start', '-t', ''), []);
    assert.ok(offered('register', '-U', 'roo').includes('root'));
    assert.deepEqual(offered('logs', '-n', ''), []);
    assert.deepEqual(offered('-D', '/x', 'resolve', 'pr'), ['primary', 'prefer-standby']);
    assert.deepEqual(offered('resolve-conflict', 'pr'), []);
  });
});
