import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openControl } from '../../../src/conmgr/control.js';
import type { Daemon } from '../../../src/conmgr/daemon.js';
import { askControl, watchControl } from '../../../src/io/control-socket.js';
import { temporaryDirectory } from '../../support/tree.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** The control socket of something that answers as a Daemon does, as far as it is asked here. */
async function served(daemon: Partial<Daemon>): Promise<string> {
  const directory = temporaryDirectory();
  const control = await openControl(
    directory,
    () => daemon as Daemon,
    () => undefined,
  );
  ends.push(() => control.close());
  return directory;
}

describe('the control socket of conmgr', () => {
  it('whoever watches takes at most a fifth of the time, however fast things change and however long a status takes', async () => {
    const costMs = 40;
    const directory = await served({
      status: async () => {
        await delay(costMs);
        return {} as never;
      },
      onChange: (fn) => {
        const timer = setInterval(fn, 1);
        return () => clearInterval(timer);
      },
    });
    const times: number[] = [];
    await new Promise<void>((resolve) => {
      void watchControl(directory, () => {
        times.push(performance.now());
        if (times.length === 4) resolve();
      }).then((watch) => ends.push(() => watch.close()));
    });
    const took = (times[3] ?? 0) - (times[0] ?? 0);
    assert.ok(took >= 3 * 5 * costMs * 0.95, `three more in ${took} ms`);
  });

  it('a change that comes while a status is being made or right after it is not lost', async () => {
    let change = (): void => {};
    let value = 1;
    const directory = await served({
      status: async () => ({ value }) as never,
      onChange: (fn) => {
        change = fn;
        return () => {};
      },
    });
    const last = new Promise<void>((resolve) => {
      void watchControl(directory, (answer) => {
        const shown = (answer as unknown as { status: { value: number } }).status.value;
        if (shown === 3) resolve();
        else {
          value = shown + 1;
          change();
        }
      }).then((watch) => ends.push(() => watch.close()));
    });
    await last;
  });

  it('a status that cannot be made is an answer, not the end of the process', async () => {
    const directory = await served({ status: () => Promise.reject(new Error('no memory')) });
    const answer = await askControl(directory, { command: 'status' });
    assert.ok(!answer.ok);
    assert.match(answer.error.message, /no memory/);
  });
});
