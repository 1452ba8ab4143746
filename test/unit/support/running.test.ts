import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRunning } from '../../support/processes.js';
import { type Running, startCommand } from '../../support/running.js';

const script = (text: string): Running => startCommand('/bin/sh', ['-c', text]);

describe('a program started by a test', () => {
  it('is followed line by line, whichever stream a line comes on', async () => {
    const running = script(
      'echo one; echo two >&2; read answer; echo "got $answer"; printf unfinished; exit 3',
    );
    assert.equal((await running.waitForLine(/^t(w)o$/))[1], 'w');
    const before = running.lines.length;
    running.stdin.write('it\n');
    await running.waitForLine(/^got it$/, { after: before });
    await running.waitForLine(/unfinished/);
    assert.deepEqual(await running.done, {
      code: 3,
      signal: null,
      stdout: 'one\ngot it\nunfinished',
      stderr: 'two\n',
    });
  });

  it('fails a wait with all it printed when it ends, when it has ended, and when it takes too long', async () => {
    const ending = script('echo the reason; read line');
    const waiting = ending.waitForLine(/never/);
    ending.stdin.end();
    await assert.rejects(waiting, /no line that matches \/never\/ before it ended \(1\):\nthe reason/);
    await assert.rejects(ending.waitForLine(/never/), /and it has ended:\nthe reason/);
    const hanging = script('echo here; read line');
    await hanging.waitForLine(/here/);
    await assert.rejects(hanging.waitForLine(/never/, { timeoutMs: 20 }), /within 20 ms:\nhere/);
    hanging.stdin.end();
    await hanging.done;
  });

  it('does not find a line before the place asked for', async () => {
    const running = script('echo ready; read line; echo ready again');
    await running.waitForLine(/ready/);
    const again = running.waitForLine(/ready/, { after: running.lines.length });
    running.stdin.end('\n');
    assert.equal((await again).input, 'ready again');
  });

  it('can be stopped by a signal', async () => {
    const running = script('echo ready; exec sleep 60');
    await running.waitForLine(/ready/);
    const { pid } = running;
    assert.deepEqual(await running.stop('SIGTERM').then(({ code, signal }) => ({ code, signal })), {
      code: null,
      signal: 'SIGTERM',
    });
    assert.equal(isRunning(pid), false);
  });

  it('says what could not be started', async () => {
    await assert.rejects(startCommand('/no/such/program', []).done, /ENOENT/);
  });
});
