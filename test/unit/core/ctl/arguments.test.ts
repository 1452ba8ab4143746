import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ModeSpec, parseArguments } from '../../../../src/core/ctl/arguments.js';
import { helpPage } from '../../../../src/core/ctl/help.js';
import { OPTIONS } from '../../../../src/core/ctl/options.js';
import { textWidth } from '../../../../src/core/ctl/text-width.js';
import { CTL_MESSAGES } from '../../../../src/core/messages/ctl.js';
import type { MessageSpec } from '../../../../src/core/messages/message.js';
import { MODES } from '../../../../src/ctl/modes.js';

const ROWS: Readonly<Record<string, MessageSpec>> = CTL_MESSAGES;

const parse = (line: string, environment: Record<string, string> = {}) =>
  parseArguments<ModeSpec>(
    line.split(' ').filter((word) => word !== ''),
    MODES,
    environment,
  );

/** What the options of a good line say. */
function options(line: string, environment: Record<string, string> = {}) {
  const parsed = parse(line, environment);
  if (parsed.act !== 'run') assert.fail(`"${line}": ${JSON.stringify(parsed)}`);
  return { mode: parsed.mode.name, operands: parsed.operands, ...parsed.options };
}

/** What is said about a bad line. */
function refusal(line: string): { readonly text: string; readonly params: unknown } {
  const parsed = parse(line);
  if (parsed.act !== 'wrong') assert.fail(`"${line}" was taken`);
  return { text: parsed.message, params: parsed.params };
}

describe('the command line of cm_ctl', () => {
  it('has defaults for everything but the directory', () => {
    assert.deepEqual(options('start -D /d'), {
      mode: 'start',
      operands: [],
      directory: '/d',
      timeoutMs: 60_000,
      wait: true,
      silent: false,
      stopMode: undefined,
      logFile: undefined,
      manager: undefined,
      complete: false,
      show: 'all',
      json: false,
      watch: false,
      forgetCluster: false,
      all: false,
      dryRun: false,
      name: undefined,
      user: undefined,
      writeLimits: false,
      follow: false,
      lines: undefined,
    });
  });

  const SAME: readonly (readonly string[])[] = [
    ['stop -D /d -t 5 -m smart -W', 'stop -D/d -t5 -msmart -W', '-W -t5 -m smart stop -D /d'],
    [
      'stop -D /d -t 5 -s -W',
      'stop -sWt5 -D /d',
      'stop -sWD/d --timeout=5',
      'stop --silent --no-wait --timeout 5 --directory /d',
    ],
    ['stop -D /d -W', 'stop -D /d -w -W'],
    ['stop -D /d', 'stop -D /d -W -w', 'stop -D /e -D /d', 'stop -D /d --'],
  ];
  for (const [first = '', ...others] of SAME) {
    for (const other of others) {
      it(`reads "${other}" as "${first}"`, () => assert.deepEqual(options(other), options(first)));
    }
  }

  it('takes the directory from CMDATA, and -D before it', () => {
    assert.equal(options('status', { CMDATA: '/e' }).directory, '/e');
    assert.equal(options('status -D /d', { CMDATA: '/e' }).directory, '/d');
    assert.equal(parse('status', { CMDATA: '' }).act, 'wrong');
  });

  it('takes the data directory of a watchdog from PGDATA', () => {
    assert.equal(options('watchdog status', { PGDATA: '/p', CMDATA: '/e' }).directory, '/p');
  });

  it('takes words behind -- as operands even if they look like options', () => {
    assert.deepEqual(options('resolve -D /d -- -x').operands, ['-x']);
  });

  it('takes an option value that looks like an option, as getopt does', () => {
    assert.equal(options('status -D -x').directory, '-x');
  });

  it('needs no directory for list', () => {
    assert.equal(options('list --json').json, true);
  });

  it('lets -N stand in for the directory of register and unregister, whatever the environment has', () => {
    const environment = { CMDATA: '/other' };
    assert.equal(options('register -N app1 -U alice', environment).directory, undefined);
    assert.equal(options('unregister -N app1', environment).directory, undefined);
    assert.equal(options('register -N app1 -D /d', environment).directory, '/d');
    assert.equal(options('register', environment).directory, '/other');
  });

  it('shows help and version whatever else is wrong', () => {
    for (const line of ['--help', '-?', '-h', 'start -X --help', 'nonsense -x -?']) {
      assert.equal(parse(line).act, 'help', line);
    }
    for (const line of ['--version', '-V', 'start -V']) assert.equal(parse(line).act, 'version', line);
  });

  const WRONG: readonly (readonly [line: string, message: string, params: object])[] = [
    ['', 'noMode', {}],
    ['strat', 'unknownModeNear', { mode: 'strat', near: 'start' }],
    ['promote', 'unknownMode', { mode: 'promote' }],
    [
      'watchdog',
      'noWatchdogMode',
      { modes: 'status, check, register, unregister, pause, resume, terminate' },
    ],
    ['watchdog staus -D /p', 'unknownModeNear', { mode: 'watchdog staus', near: 'watchdog status' }],
    ['vacuum -D /d', 'unknownMode', { mode: 'vacuum' }],
    ['status', 'noDirectoryGiven', { variable: 'CMDATA' }],
    ['register -U alice', 'noDirectoryGiven', { variable: 'CMDATA' }],
    ['logs -D /d -n x', 'wrongLines', { option: '-n', value: 'x' }],
    ['watchdog pause', 'noDirectoryGiven', { variable: 'PGDATA' }],
    ['status -D', 'optionNeedsValue', { option: '-D' }],
    ['status --directory', 'optionNeedsValue', { option: '--directory' }],
    ['status -D /d -x', 'unknownOption', { option: '-x' }],
    ['status -D /d --jsn', 'unknownOptionNear', { option: '--jsn', near: '--json' }],
    ['status -D /d --elephant', 'unknownOption', { option: '--elephant' }],
    ['status -D /d --json=yes', 'optionWithoutValue', { option: '--json' }],
    [
      'status -D /d -i apps',
      'optionChoice',
      { option: '-i', value: 'apps', choices: 'all, instance, application' },
    ],
    [
      'stop -D /d -m slow',
      'optionChoice',
      { option: '-m', value: 'slow', choices: 'smart, fast, immediate' },
    ],
    ['stop -D /d -t 1.5', 'optionSeconds', { option: '-t', value: '1.5', limit: 2147483 }],
    ['stop -D /d -t -1', 'optionSeconds', { option: '-t', value: '-1', limit: 2147483 }],
    ['stop -D /d -t 2147484', 'optionSeconds', { option: '-t', value: '2147484', limit: 2147483 }],
    ['status -D /d -m fast', 'optionNotForMode', { option: '-m', mode: 'status' }],
    ['list -D /d', 'optionNotForMode', { option: '-D', mode: 'list' }],
    ['resolve -D /d', 'operandMissing', { mode: 'resolve', operand: 'TARGET' }],
    ['watchdog terminate -D /p', 'operandMissing', { mode: 'watchdog terminate', operand: 'ADDRESS' }],
    ['resolve any primary -D /d', 'operandSurplus', { word: 'primary' }],
    ['resolve-conflict 1 2 -D /d', 'operandSurplus', { word: '2' }],
    ['start now -D /d', 'operandSurplus', { word: 'now' }],
  ];
  for (const [line, text, params] of WRONG) {
    it(`refuses "${line}"`, () => assert.deepEqual(refusal(line), { text, params }));
  }

  it('calls every refusal wrong usage, exit status 2', () => {
    for (const [, message] of WRONG) {
      assert.equal(ROWS[message]?.exit, 2, message);
    }
  });

  it('never throws, whatever the words', () => {
    const word = fc.oneof(
      fc.constantFrom(...MODES.flatMap(({ name }) => name.split(' '))),
      fc.constantFrom('-D', '-t', '-m', '-i', '--timeout=', '--json', '-', '--', '', '-W', '/d', '5'),
      fc.string({ maxLength: 10 }),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (words) => {
        const parsed = parseArguments(words, MODES, {});
        if (parsed.act === 'wrong') assert.ok(parsed.message in CTL_MESSAGES);
      }),
    );
  });
});

describe('cm_ctl --help', () => {
  const page = helpPage(MODES);

  it('fits a page of 50 lines and 80 columns', () => {
    const lines = page.trimEnd().split('\n');
    assert.ok(lines.length <= 50, `${lines.length} lines`);
    for (const line of lines) assert.ok(textWidth(line) <= 80, line);
  });

  it('names every mode, every option and every exit status', () => {
    for (const { name, operands } of MODES) {
      for (const word of [...name.split(' '), ...operands]) assert.ok(page.includes(word), word);
    }
    for (const option of Object.values(OPTIONS)) {
      const { short, long }: { short?: string; long?: string } = option;
      if (short !== undefined) assert.ok(page.includes(`  -${short}`), short);
      if (long !== undefined) assert.ok(page.includes(`--${long}`), long);
    }
    for (const status of [0, 1, 2, 3, 4, 78]) assert.match(page, new RegExp(`\\b${status} \\w`));
  });
});
