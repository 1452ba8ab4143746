import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { intentOfManager, type StopReason, stopReason, stopsAsMeant } from '../../../src/io/stop-reason.js';

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

  it('is a stop where asking fails, and where no service manager listens', async () => {
    assert.equal(await stopReason('SIGTERM', () => Promise.reject(new Error('no bus'))), 'stop');
    assert.equal(await intentOfManager(false)(), 'unknown');
  });
});

describe('signals that come while the manager is asked', () => {
  /** A manager that answers when told to. */
  function asked() {
    let answer: (intent: 'restart' | 'unknown') => void = () => {};
    let questions = 0;
    const stops = stopsAsMeant(() => {
      questions += 1;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    const acts: StopReason[] = [];
    return {
      signal: (signal: NodeJS.Signals) => stops(signal, (reason) => acts.push(reason)),
      answer: (intent: 'restart' | 'unknown') => answer(intent),
      acts,
      questions: () => questions,
    };
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it('a second SIGTERM neither asks nor acts again', async () => {
    const { signal, answer, acts, questions } = asked();
    for (let i = 0; i < 3; i += 1) signal('SIGTERM');
    answer('restart');
    await turn();
    signal('SIGTERM');
    await turn();
    assert.deepEqual([questions(), acts], [1, ['restart']]);
  });

  it('SIGINT does not wait for the answer', async () => {
    const { signal, acts } = asked();
    signal('SIGTERM');
    signal('SIGINT');
    await turn();
    assert.deepEqual(acts, ['stop']);
  });
});
