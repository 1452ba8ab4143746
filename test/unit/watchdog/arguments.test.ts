import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseWatchdogArguments } from '../../../src/watchdog/arguments.js';

describe('arguments of conmgr-watchdog', () => {
  it('the data directory comes from -D, joined or not, or from PGDATA', () => {
    for (const [words, environment] of [
      [['-D', '/data'], {}],
      [['-D/data'], {}],
      [[], { PGDATA: '/data' }],
      [['-D', '/data'], { PGDATA: '/other' }],
    ] as const) {
      assert.deepEqual(parseWatchdogArguments(words, environment), {
        act: 'run',
        directory: { by: 'path', path: '/data' },
        takeOver: false,
      });
    }
  });

  it('--unit names it by the instance name of the systemd unit and wins over the environment', () => {
    assert.deepEqual(parseWatchdogArguments(['--unit', '15-main'], { PGDATA: '/data' }), {
      act: 'run',
      directory: { by: 'unit', unit: '15-main', user: false },
      takeOver: false,
    });
  });

  it('help and version win over everything behind them', () => {
    assert.deepEqual(parseWatchdogArguments(['--help', '--nonsense'], {}), { act: 'help' });
    assert.deepEqual(parseWatchdogArguments(['-V'], {}), { act: 'version' });
  });

  it('anything else is wrong and says what', () => {
    const problem = (words: readonly string[], environment = {}): string => {
      const parsed = parseWatchdogArguments(words, environment);
      return parsed.act === 'wrong' ? parsed.problem : parsed.act;
    };
    assert.equal(problem(['--port=1']), 'unknown argument "--port=1"');
    assert.equal(problem(['-D']), 'option -D needs a directory');
    assert.equal(problem(['--unit']), 'option --unit needs an instance name');
    assert.equal(problem(['--user', '--unit', '15-main']), 'unknown argument "--user"');
    assert.match(problem([], { PGDATA: '' }), /no data directory given/);
  });
});
