import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDaemonArguments } from '../../../src/conmgr/arguments.js';

describe('arguments of conmgr', () => {
  it('the directory comes from -D, joined or not, or from CMDATA', () => {
    for (const [words, environment] of [
      [['-D', '/srv/app'], {}],
      [['-D/srv/app'], {}],
      [[], { CMDATA: '/srv/app' }],
      [['-D', '/srv/app'], { CMDATA: '/other' }],
    ] as const) {
      assert.deepEqual(parseDaemonArguments(words, environment), {
        act: 'run',
        directory: { by: 'path', path: '/srv/app' },
        takeOver: false,
      });
    }
  });

  it('--unit names it by the instance name of the systemd unit, --user in the place of a user', () => {
    for (const [words, user] of [
      [['--unit', 'my\\x2dapp'], false],
      [['--unit', 'my\\x2dapp', '--user'], true],
      [['--user', '--unit', 'my\\x2dapp'], true],
    ] as const) {
      assert.deepEqual(parseDaemonArguments(words, { CMDATA: '/other' }), {
        act: 'run',
        directory: { by: 'unit', unit: 'my\\x2dapp', user },
        takeOver: false,
      });
    }
  });

  it('--take-over has it take over from the one that runs', () => {
    const parsed = parseDaemonArguments(['-D', '/srv/app', '--take-over'], {});
    assert.deepEqual(parsed, { act: 'run', directory: { by: 'path', path: '/srv/app' }, takeOver: true });
  });

  it('anything else is wrong and says what', () => {
    const problem = (words: readonly string[], environment = {}): string => {
      const parsed = parseDaemonArguments(words, environment);
      return parsed.act === 'wrong' ? parsed.problem : parsed.act;
    };
    assert.equal(problem(['--port=1']), 'unknown argument "--port=1"');
    assert.equal(problem(['-D']), 'option -D needs a directory');
    assert.equal(problem(['--unit']), 'option --unit needs an instance name');
    assert.equal(problem(['--user'], { CMDATA: '/d' }), 'option --user needs option --unit');
    assert.match(problem([], { CMDATA: '' }), /no directory given/);
  });
});
