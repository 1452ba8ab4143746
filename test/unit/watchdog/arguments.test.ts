import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseWatchdogArguments } from '../../../src/watchdog/arguments.js';
import { stopReason } from '../../../src/watchdog/stop-reason.js';

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
      });
    }
  });

  it('--unit names it by the instance name of the systemd unit and wins over the environment', () => {
    assert.deepEqual(parseWatchdogArguments(['--unit', '15-main'], { PGDATA: '/data' }), {
      act: 'run',
      directory: { by: 'unit', unit: '15-main', user: false },
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
    assert.match(problem([], { PGDATA: '' }), /no data directory given/);
  });
});

describe('the reason of a stop', () => {
  const reasons = (intent: 'restart' | 'hostShutdown' | 'unknown') =>
    Promise.all(
      (['SIGTERM', 'SIGINT', 'SIGUSR2'] as const).map((signal) => stopReason(signal, async () => intent)),
    );

  it('SIGTERM and SIGINT are a stop, SIGUSR2 announces a restart', async () => {
    assert.deepEqual(await reasons('unknown'), ['stop', 'stop', 'restart']);
  });

  it('SIGTERM is what the service manager intends', async () => {
    assert.deepEqual(await reasons('restart'), ['restart', 'stop', 'restart']);
    assert.deepEqual(await reasons('hostShutdown'), ['hostShutdown', 'stop', 'restart']);
  });
});
