import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { whyNotStart } from '../../../src/conmgr/next-start.js';
import { Reloads, type ReloadsOptions } from '../../../src/conmgr/reloads.js';
import { resolveConmgrConfig } from '../../../src/core/config/resolve.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';
import { temporaryDirectory } from '../../support/tree.js';

const SERVER = 'backend_host0 = 192.0.2.10\n';

/** Of a process that may open 1,000 files. */
async function reasons(text: string, nextLimit: number | undefined): Promise<readonly string[]> {
  const { config, problems } = resolveConmgrConfig(`${SERVER}${text}`, 'conmgr.conf');
  assert.ok(config, JSON.stringify(problems));
  const { clock, helperSocket } = surroundings();
  return passing(
    clock,
    whyNotStart({
      ...{ directory: '/srv/app', config, clock, helperSocket, descriptorLimit: 1000 },
      nextLimit: async () => nextLimit,
    }),
  );
}

const surroundings = () => ({
  clock: new FakeClock(),
  helperSocket: join(temporaryDirectory(), 'helper.sock'),
});

/** A helper that is not there is waited for, so time passes until there is an answer. */
async function passing<T>(clock: FakeClock, looked: Promise<T>): Promise<T> {
  let isSettled = false;
  const note = (): void => {
    isSettled = true;
  };
  looked.then(note, note);
  await eventually(
    () => {
      if (!isSettled) clock.advance(25);
      return isSettled;
    },
    { everyMs: 2, what: 'the look' },
  );
  return looked;
}

describe('what keeps the next process of a unit from starting', () => {
  it('is nothing where its limit of open files is enough', async () => {
    assert.deepEqual(await reasons('max_connections = 900\n', 1000), []);
    assert.deepEqual(await reasons('max_connections = 9000\n', Number.POSITIVE_INFINITY), []);
  });

  it('is max_connections above the limit that the unit has now, not that of this process', async () => {
    assert.deepEqual(await reasons('max_connections = 900\n', 500), [
      'limit of 500 open files is too low: at least 911 are needed',
    ]);
    assert.deepEqual(await reasons('max_connections = 2000\n', 3000), []);
  });

  it('is judged by the limit of this process where the service manager does not tell that of the next', async () => {
    assert.deepEqual(await reasons('max_connections = 900\n', undefined), []);
    assert.deepEqual(await reasons('max_connections = 2000\n', undefined), [
      'limit of 1000 open files is too low: at least 2011 are needed',
    ]);
  });

  it('is guard = on where conmgr-helper cannot be reached', async () => {
    const [reason, ...others] = await reasons('guard = on\n', 1000);
    assert.match(reason ?? '', /^guard = on is not possible: conmgr-helper cannot be reached: /);
    assert.deepEqual(others, []);
  });

  it('is looked for in conmgr.conf as it is now when a restart begins', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'conmgr.conf'), `${SERVER}guard = on\n`);
    const { clock, helperSocket } = surroundings();
    const log = { write: () => {} };
    const options = { directory, clock, helperSocket, log, descriptorLimit: 1_000_000 };
    const problems = await passing(clock, new Reloads(options as unknown as ReloadsOptions).problems());
    assert.ok(
      problems.some((problem) => problem.startsWith('guard = on is not possible: ')),
      problems.join('\n'),
    );
  });
});
