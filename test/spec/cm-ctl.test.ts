/** What docs/cm_ctl.md promises to scripts: exit statuses, streams and words of the built cm_ctl. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { EXIT, EXIT_MEANING } from '../../src/core/ctl/exit-status.js';
import { OPTIONS, type OptionSpec } from '../../src/core/ctl/options.js';
import { CTL_MESSAGES } from '../../src/core/messages/ctl.js';
import { MODES } from '../../src/ctl/modes.js';
import { runProgram } from '../support/programs.js';
import { inTree, temporaryDirectory } from '../support/tree.js';

const ctl = (words: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  runProgram('cm_ctl', words, { env: { CMDATA: undefined, PGDATA: undefined, ...env } });

describe('exit statuses of cm_ctl', () => {
  const empty = temporaryDirectory();
  const wrong = temporaryDirectory();
  writeFileSync(join(wrong, 'conmgr.conf'), 'port = none\n');
  const closed = join(temporaryDirectory(), 'closed');
  mkdirSync(closed, { mode: 0 });

  const CASES: readonly (readonly [status: keyof typeof EXIT, why: string, words: string[]])[] = [
    ['done', '--help', ['--help']],
    ['done', '--version', ['--version']],
    ['done', 'list', ['list']],
    ['failed', 'stop of what does not run', ['stop', '-D', empty]],
    ['failed', 'reload of what does not run', ['reload', '-D', empty]],
    ['failed', 'resolve without conmgr', ['resolve', 'any', '-D', empty]],
    ['failed', 'start without directory', ['start', '-D', '/nonexistent/d']],
    ['failed', 'check without directory', ['check', '-D', '/nonexistent/d']],
    ['failed', 'init of a directory that is not empty', ['init', '-D', wrong]],
    ['usage', 'no mode', []],
    ['usage', 'an unknown mode', ['enlist', '-D', empty]],
    ['usage', 'an unknown option', ['status', '-D', empty, '--colour']],
    ['usage', 'a missing directory', ['status']],
    ['notRunning', 'status of what does not run', ['status', '-D', empty]],
    ['noDirectory', 'status without directory', ['status', '-D', '/nonexistent/d']],
    ['noDirectory', 'status of a closed directory', ['status', '-D', closed]],
    ['configuration', 'check of a wrong file', ['check', '-D', wrong]],
    ['configuration', 'check without file', ['check', '-D', empty]],
    ['configuration', 'start with a wrong file', ['start', '-D', wrong]],
    ['configuration', 'restart with a wrong file', ['restart', '-D', wrong]],
  ];
  for (const [status, why, words] of CASES) {
    it(`${EXIT[status]} (${EXIT_MEANING[status]}): ${why}`, async () => {
      const { code, stdout, stderr } = await ctl(words);
      assert.equal(code, EXIT[status], stdout + stderr);
      // Every user error is one clear line on standard error, perhaps with a detail and a hint.
      if (status !== 'done' && status !== 'notRunning') assert.match(stderr, /^cm_ctl: \S/m);
      assert.doesNotMatch(stderr, /^ +at /m);
    });
  }

  it('take the directory from CMDATA as from -D', async () => {
    assert.equal((await ctl(['status'], { CMDATA: empty })).code, EXIT.notRunning);
  });
});

describe('the manual of cm_ctl', () => {
  const manual = readFileSync(inTree('docs/cm_ctl.md'), 'utf8');

  it('has every mode', () => {
    for (const { name, operands } of MODES) {
      assert.ok(manual.includes(`| \`${[name, ...operands].join(' ')}\``), name);
    }
  });

  it('has every option', () => {
    for (const { short, long, value } of Object.values(OPTIONS) as OptionSpec[]) {
      const name = short === undefined ? `--${long}` : `-${short}`;
      assert.ok(
        manual.includes(`\`${name}${short !== undefined && value !== undefined ? ` ${value}` : ''}`),
        name,
      );
    }
  });

  it('has every exit status with its meaning', () => {
    for (const name of Object.keys(EXIT) as (keyof typeof EXIT)[]) {
      assert.ok(manual.includes(`| ${EXIT[name]} | ${EXIT_MEANING[name]} |`), name);
    }
  });
});

describe('messages of cm_ctl', () => {
  it('end with an exit status of the table', () => {
    const known: readonly number[] = [...Object.values(EXIT), 70];
    for (const [name, row] of Object.entries(CTL_MESSAGES)) {
      if ('exit' in row) assert.ok(known.includes(row.exit), name);
    }
  });
});
