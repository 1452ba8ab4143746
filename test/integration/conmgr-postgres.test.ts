import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { CmError } from '../../src/client/errors.js';
import { LiveSet, serverOf } from '../support/live-set.js';
import { whyNotRun } from '../support/postgres-binaries.js';

/** A crashed instance on a living host is told within 100 ms; the rest is for a loaded machine. */
const CRASH_MS = 100 + 400;

for (const major of [13, 15, 17, 18]) {
  describe(`conmgr and PostgreSQL ${major}`, { skip: await whyNotRun(major) }, () => {
    let set: LiveSet;
    before(async () => {
      set = await LiveSet.start({ pair: { major } });
    });
    after(() => set?.end());

    it('knows what each instance is', async () => {
      const { instances, primary } = await set.conmgr.status();
      assert.equal(primary, 0);
      assert.deepEqual(
        instances.map(({ role, state, accepting, readOnly, timeline }) => ({
          role,
          state,
          accepting,
          readOnly,
          timeline,
        })),
        [
          { role: 'primary', state: 'up', accepting: true, readOnly: false, timeline: 1 },
          { role: 'standby', state: 'up', accepting: true, readOnly: true, timeline: 1 },
        ],
      );
      for (const { serverVersionNum, systemIdentifier, position } of instances) {
        assert.equal(Math.floor(serverVersionNum / 10_000), major);
        assert.equal(systemIdentifier, instances[0]?.systemIdentifier);
        assert.match(position, /^[0-9A-F]+\/[0-9A-F]+$/);
      }
    });

    it('leads an application to the server it asked for', async () => {
      const [writer, reader] = await Promise.all([
        set.client({ target_session_attrs: 'read-write' }),
        set.client({ target_session_attrs: 'standby' }),
      ]);
      assert.deepEqual([await serverOf(writer), await serverOf(reader)], ['primary', 'standby']);
      const { applications } = await set.conmgr.until('both have said where they went', (status) =>
        status.applications.every(({ instance }) => instance !== null),
      );
      assert.deepEqual(
        applications.map(({ target, instance, pid }) => ({ target, instance, pid })),
        [
          { target: 'read-write', instance: 0, pid: process.pid },
          { target: 'standby', instance: 1, pid: process.pid },
        ],
      );
      await Promise.all([writer.end(), reader.end()]);
    });

    it('a killed postmaster is told at once, and to the sessions of that server only', async () => {
      const reader = await set.conmgr.bound({ target: 'standby' });
      const app = await set.conmgr.bound({ target: 'primary' });
      const client = await set.client({ target_session_attrs: 'primary' });
      const lost = new Promise<CmError>((resolve) =>
        client.once('error', (error) => resolve(error as CmError)),
      );
      await set.conmgr.untilInstance(0, 'has two sessions', ({ sessions }) => sessions === 2);
      const killedMs = performance.now();
      const [down] = await Promise.all([app.next('down'), set.pair.primary.kill9()]);
      const tookMs = down.atMs - killedMs;
      assert.ok(tookMs < CRASH_MS, `told after ${Math.round(tookMs)} ms`);
      assert.equal(down.reason, 'instance down');
      assert.match(down.text, /postmaster/);
      // Either the server's end of the session or conmgr is heard first.
      assert.match((await lost).code ?? '', /^(08006|57P0[1-3])$/);
      assert.ok(!reader.messages.some(({ kind }) => kind === 'down'));
      assert.equal((await set.conmgr.ask({ target: 'primary' }).refusal()).sqlState, '57P03');
      await set.conmgr.logged(/WARNING: +instance 0 .* is down: .*\(PID \d+\) is gone/);
    });

    it('a promotion is followed: the session the application opens next is on the new primary', async () => {
      await set.pair.standby.promote();
      const promotedMs = performance.now();
      const { instances } = await set.conmgr.until('the standby is primary', ({ primary }) => primary === 1);
      const tookMs = performance.now() - promotedMs;
      assert.ok(tookMs < CRASH_MS, `followed after ${Math.round(tookMs)} ms`);
      assert.equal(instances[1]?.timeline, 2);
      const client = await set.client({ target_session_attrs: 'read-write' });
      assert.equal(await serverOf(client), 'standby');
      await client.query('create table proof (n int)');
      await client.end();
    });

    it('the former primary comes back as a standby and is offered as one', async () => {
      await set.pair.primary.rejoin(set.pair.standby);
      const instance = await set.conmgr.untilInstance(
        0,
        'is a standby',
        ({ role, state }) => role === 'standby' && state === 'up',
      );
      assert.equal(instance.conflict, false);
      const client = await set.client({ target_session_attrs: 'standby' });
      assert.equal(await serverOf(client), 'primary');
      assert.equal((await set.conmgr.status()).primary, 1);
      await client.end();
    });
  });
}
