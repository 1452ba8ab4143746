import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  parsePostmasterOpts,
  parsePostmasterPid,
  settingArguments,
} from '../../../../src/core/instance/postmaster-files.js';
import { includesIn, watchdogNamesIn } from '../../../../src/core/instance/setting-names.js';

const PID = `4711
/var/lib/postgresql/17/main
1795250000
5432
/run/postgresql
*
  5432001     32768
ready   
`;

describe('postmaster.pid', () => {
  it('tells process, port, socket directory, listen address and state', () => {
    assert.deepEqual(parsePostmasterPid(PID), {
      pid: 4711,
      startTime: 1795250000,
      port: 5432,
      socketDirectory: '/run/postgresql',
      listenAddress: '*',
      status: 'ready',
    });
  });

  it('is read in every state of its making', () => {
    const lines = PID.split('\n');
    for (let count = 1; count <= lines.length; count += 1) {
      const file = parsePostmasterPid(lines.slice(0, count).join('\n'));
      assert.equal(file?.pid, 4711);
      assert.equal(file?.status, count >= 8 ? 'ready' : undefined);
    }
    assert.equal(parsePostmasterPid(''), undefined);
    assert.equal(parsePostmasterPid('\n'), undefined);
  });

  it('has a negative process id in single-user mode', () => {
    assert.equal(parsePostmasterPid('-4711\n/data\n')?.pid, -4711);
  });

  it('may lack a socket directory and a TCP address', () => {
    const file = parsePostmasterPid(PID.replace('/run/postgresql', '').replace('*', ''));
    assert.deepEqual([file?.socketDirectory, file?.listenAddress], ['', '']);
  });
});

describe('postmaster.opts', () => {
  it('tells the program and its arguments, blanks included', () => {
    const text = '/usr/lib/postgresql/17/bin/postgres "-D" "/my data" "-c" "config_file=/etc/a b.conf"\n';
    assert.deepEqual(parsePostmasterOpts(text), {
      program: '/usr/lib/postgresql/17/bin/postgres',
      args: ['-D', '/my data', '-c', 'config_file=/etc/a b.conf'],
    });
  });

  it('may have no arguments, or be empty', () => {
    assert.deepEqual(parsePostmasterOpts('/bin/postgres\n'), { program: '/bin/postgres', args: [] });
    assert.equal(parsePostmasterOpts(''), undefined);
  });

  it('arguments are passed on without the data directory, in any spelling', () => {
    const kept = ['-c', 'config_file=/etc/x', '-p', '5433', '--max_connections=7', '-i'];
    assert.deepEqual(settingArguments(['-D', '/data', ...kept]), kept);
    assert.deepEqual(settingArguments([...kept, '-D/data']), kept);
  });
});

describe('names of watchdog.* in configuration files', () => {
  it('are found at the beginning of lines in any letter case, and not in comments or values', () => {
    const text =
      "watchdog.port = 1\n  Watchdog.Prot 2\n#watchdog.no = 1\nx = 'watchdog.neither'\nwatchdog.a=1 # c\n";
    assert.deepEqual(watchdogNamesIn(text), ['watchdog.port', 'watchdog.prot', 'watchdog.a']);
  });

  it('are looked for in included files', () => {
    const text =
      "include 'a.conf'\ninclude_if_exists = '/etc/it''s.conf'\n#include 'no'\n include_dir conf.d # x\n";
    assert.deepEqual(includesIn(text), [
      { path: 'a.conf', directory: false },
      { path: "/etc/it's.conf", directory: false },
      { path: 'conf.d', directory: true },
    ]);
  });
});
