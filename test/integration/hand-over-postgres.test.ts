import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type pg from 'pg';
import type { CmClient } from '../../src/client/client.js';
import { LiveSet } from '../support/live-set.js';
import { longestPause, replaceMeasured } from '../support/measured-restart.js';
import { usualMajor } from '../support/postgres-binaries.js';
import { Pulse } from '../support/pulse.js';
import { stockClient } from '../support/stock-client.js';

/** Shorter than the test: a watchdog that waited in vain would have ended the sessions by its end. */
const GRACE_MS = 1000;

let set: LiveSet | undefined;
afterEach(() => set?.end());

describe('a restart of conmgr under load, with real servers and watchdogs', () => {
  it('ends no session, fails no statement and holds up none for a second', async () => {
    set = await LiveSet.start({
      pair: { major: await usualMajor() },
      watchdog: { restart_grace: `${GRACE_MS}ms`, terminate_on: 'any' },
    });
    const clients: (CmClient | pg.Client)[] = [];
    for (let i = 0; i < 8; i += 1) {
      clients.push(await set.client({ target_session_attrs: i % 2 === 0 ? 'primary' : 'standby' }));
      clients.push(await stockClient(set.conmgr.port));
    }
    await set.trusted();
    const pidOf = async (client: CmClient | pg.Client): Promise<number> =>
      (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;
    const pids = await Promise.all(clients.map(pidOf));
    const attached = clients.map((client) => ('cmSocket' in client ? client.cmSocket() : undefined));
    const pulses = clients.map(
      (client, at) => new Pulse(async () => assert.equal(await pidOf(client), pids[at])),
    );
    for (let i = 0; i < 3; i += 1) {
      const marks = set.watchdogs.map(({ running }) => running.lines.length);
      longestPause(pulses);
      const { conmgr } = set;
      const { next, allowedMs } = await replaceMeasured(conmgr, () => set!.replaceConmgr());
      await next.linked();
      const longestMs = longestPause(pulses);
      assert.ok(longestMs < allowedMs, `${longestMs} ms, ${allowedMs} ms are allowed`);
      for (const [at, { running }] of set.watchdogs.entries()) {
        await running.waitForLine(/is back after \d+ ms: no session is ended/, { after: marks[at]! });
      }
    }
    // Until every grace would be over.
    const untilMs = performance.now() + 2 * GRACE_MS;
    await Promise.all(
      pulses.map(async (pulse) => {
        await pulse.until(() => performance.now() >= untilMs);
        await pulse.stop();
      }),
    );
    assert.deepEqual(
      clients.map((client) => ('cmSocket' in client ? client.cmSocket() : undefined)),
      attached,
    );
    const { applications } = await set.conmgr.status();
    assert.equal(applications.length, clients.length);
    await Promise.all(clients.map((client) => client.end()));
  });
});
