/** Instance names of units, compared with systemd's own program, and the directories they lead to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MessageError } from '../../src/core/messages/message-error.js';
import {
  escapeUnitName,
  escapeUnitPath,
  unescapeUnitName,
  unescapeUnitPath,
} from '../../src/core/unit-name.js';
import { conmgrDirectory, namedDirectories, watchdogDirectory } from '../../src/io/unit-directory.js';
import { postgresBinaries, usualMajor } from '../support/postgres-binaries.js';
import { runProgram } from '../support/programs.js';
import { whyNoSystemd } from '../support/systemd-programs.js';
import { temporaryDirectory } from '../support/tree.js';

const unit = (name: string, user = false) => ({ by: 'unit', unit: name, user }) as const;

function codeOf(error: unknown): string {
  assert.ok(error instanceof MessageError);
  return error.code;
}

describe('systemd-escape', { skip: whyNoSystemd('systemd-escape') }, () => {
  const systemdEscape = (...words: string[]): string =>
    execFileSync('systemd-escape', words, { encoding: 'utf8' }).replace(/\n$/, '');

  const names = [
    'app1',
    'my-app',
    '.hidden',
    'a.b',
    'two words',
    '\u00fc\u20ac\u{1f600}',
    'a:b_c',
    '\\',
    '@%',
    '\t',
  ];
  it('and conmgr escape every name alike, there and back', () => {
    for (const name of names) {
      const escaped = systemdEscape('--', name);
      assert.equal(escapeUnitName(name), escaped, name);
      assert.equal(unescapeUnitName(escaped), name);
      assert.equal(systemdEscape('--unescape', '--', escaped), name);
    }
  });

  it('and conmgr escape every path alike, there and back', () => {
    for (const path of [
      '/',
      '/app1',
      '/srv/my-app',
      '/.x/.y',
      '/a b/c',
      ...names.map((name) => `/srv/${name}`),
    ]) {
      const escaped = systemdEscape('--path', '--', path);
      assert.equal(escapeUnitPath(path), escaped, path);
      assert.equal(unescapeUnitPath(escaped), path);
      assert.equal(systemdEscape('--unescape', '--path', '--', escaped), path);
    }
    assert.equal(escapeUnitPath('/srv//app/'), systemdEscape('--path', '/srv//app/'));
  });
});

describe('the directory of a conmgr unit', () => {
  it('lies under /var/lib/conmgr for a name, in ~/.local/state/conmgr for a user, and is the path otherwise', () => {
    assert.equal(conmgrDirectory(unit('my\\x2dapp')), '/var/lib/conmgr/my-app');
    assert.equal(conmgrDirectory(unit('my\\x2dapp', true)), `${namedDirectories(true)}/my-app`);
    assert.equal(namedDirectories(true, '/srv/someone'), '/srv/someone/.local/state/conmgr');
    assert.equal(conmgrDirectory(unit('srv-app')), '/srv/app');
  });

  it('is refused where the unit cannot see it, and where there is none', () => {
    assert.throws(
      () => conmgrDirectory(unit('tmp-app')),
      (error) => codeOf(error) === 'CM1117',
    );
    assert.throws(
      () => conmgrDirectory(unit('a--b')),
      (error) => codeOf(error) === 'CM1116',
    );
  });

  it('ends conmgr with 78 and the cure when it cannot be used, so that systemd does not start it again', async () => {
    const { code, stderr } = await runProgram('conmgr', ['--unit', 'var-tmp-app']);
    assert.equal(code, 78);
    assert.match(stderr, /FATAL: {2}directory "\/var\/tmp\/app" cannot be used by a systemd unit\n/);
    assert.match(stderr, /HINT: {2}Move the directory/);
  });

  it('is looked for by conmgr under its name', async () => {
    const { code, stderr } = await runProgram('conmgr', ['--unit', 'no\\x2dsuch\\x2dapp']);
    assert.equal(code, 78);
    assert.match(stderr, /cannot use directory "\/var\/lib\/conmgr\/no-such-app": no such file or directory/);
  });
});

describe('the data directory of a watchdog unit', () => {
  it('is the one that the configuration of the Debian cluster names, also in an included file', async () => {
    const major = String(await usualMajor());
    const { bin } = await postgresBinaries(Number(major));
    const configuration = temporaryDirectory();
    const programs = temporaryDirectory();
    mkdirSync(join(programs, major));
    symlinkSync(bin, join(programs, major, 'bin'));
    const cluster = join(configuration, major, 'main');
    mkdirSync(join(cluster, 'conf.d'), { recursive: true });
    writeFileSync(join(cluster, 'postgresql.conf'), "data_directory = '/old'\ninclude_dir 'conf.d'\n");
    writeFileSync(join(cluster, 'conf.d/place.conf'), "data_directory = '/srv/it''s here'\n");
    assert.equal(
      await watchdogDirectory(unit(`${major}-main`), { configuration, programs }),
      "/srv/it's here",
    );
    await assert.rejects(watchdogDirectory(unit(`${major}-other`), { configuration, programs }), (error) => {
      assert.equal(codeOf(error), 'CM2057');
      assert.match((error as Error).message, /cluster \d+\/other: could not access/);
      return true;
    });
  });

  it('is what stands in its file when the server program refuses that for a mistake', async () => {
    const major = String(await usualMajor());
    const { bin } = await postgresBinaries(Number(major));
    const configuration = temporaryDirectory();
    const programs = temporaryDirectory();
    mkdirSync(join(programs, major));
    symlinkSync(bin, join(programs, major, 'bin'));
    const cluster = join(configuration, major, 'main');
    mkdirSync(cluster, { recursive: true });
    const file = join(cluster, 'postgresql.conf');
    writeFileSync(file, "data_directory = '/srv/it''s here' # moved\nlisten_addresses = 10.0.0.1\n");
    const found = (): Promise<string> =>
      watchdogDirectory(unit(`${major}-main`), { configuration, programs });
    assert.equal(await found(), "/srv/it's here");
    writeFileSync(file, 'listen_addresses = 10.0.0.1\n');
    await assert.rejects(found, (error) => {
      assert.equal(codeOf(error), 'CM2057');
      assert.match((error as Error).message, /cluster \d+\/main: syntax error in file "/);
      return true;
    });
  });

  it('ends the watchdog with 78 when the cluster does not exist', async () => {
    const { code, stderr } = await runProgram('conmgr-watchdog', ['--unit', '1-main']);
    assert.equal(code, 78);
    assert.match(
      stderr,
      /could not determine the data directory of cluster 1\/main: \/usr\/lib\/postgresql\/1\/bin\/postgres: no such file or directory/,
    );
  });

  it('is the path otherwise, without a word from PostgreSQL', async () => {
    assert.equal(await watchdogDirectory(unit('var-lib-pgsql-16-data')), '/var/lib/pgsql/16/data');
    await assert.rejects(watchdogDirectory(unit('tmp-data')), (error) => codeOf(error) === 'CM1117');
  });
});
