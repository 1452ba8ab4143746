import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { hasAttribute } from '../../src/core/protocol/attributes.js';
import { type Pair, startPair } from '../support/postgres.js';
import { whyNotRun } from '../support/postgres-binaries.js';
import { TestWatchdog } from '../support/watchdog.js';

/** Well above what a loaded machine needs, well below the regular check of a second. */
const AT_ONCE_MS = 500;

for (const major of [13, 15, 17, 18]) {
  describe(`attributes of PostgreSQL ${major}`, { skip: await whyNotRun(major) }, () => {
    let pair: Pair;
    let onPrimary: TestWatchdog;
    let onStandby: TestWatchdog;

    before(async () => {
      pair = await startPair({ major });
      [onPrimary, onStandby] = await Promise.all([
        TestWatchdog.start(pair.primary),
        TestWatchdog.start(pair.standby, { settings: { check_attr_interval: '10000' } }),
      ]);
    });
    after(async () => {
      await Promise.all([onPrimary?.stop(), onStandby?.stop()]);
      await pair?.end();
    });

    it('a primary is told as up, accepting, primary, with timeline, position, version and system identifier', async () => {
      const peer = await onPrimary.connect();
      const { attributes } = await peer.told(({ state }) => state === 'up', 'up');
      assert.ok(hasAttribute(attributes.bits, 'primary'));
      assert.ok(hasAttribute(attributes.bits, 'accepting'));
      assert.ok(!hasAttribute(attributes.bits, 'readOnlyByRecovery'));
      assert.equal(attributes.timeline, 1);
      assert.equal(Math.floor(attributes.serverVersionNum / 10_000), major);
      const [row] = await pair.primary.sql('select system_identifier::text as id from pg_control_system()');
      assert.equal(String(attributes.systemIdentifier), row?.['id']);
      assert.equal(peer.welcome.systemIdentifier, attributes.systemIdentifier);
      await peer.end();
    });

    it('positions move with the writes of the primary, on both sides', async () => {
      const [first, second] = await Promise.all([onPrimary.connect(), onStandby.connect()]);
      const { attributes } = await first.told(({ position }) => position > 0n, 'a position');
      await pair.primary.sql('create table if not exists moved (n int)');
      await first.told(({ position }) => position > attributes.position, 'a later position');
      const standby = await second.told(({ state }) => state === 'up', 'up');
      assert.ok(standby.attributes.position > 0n);
      assert.ok(standby.attributes.receivedPosition > 0n);
      await Promise.all([first.end(), second.end()]);
    });

    it('default_transaction_read_only of the instance is told after a reload of the instance', async () => {
      const peer = await onPrimary.connect();
      await peer.told(({ state }) => state === 'up', 'up');
      await pair.primary.configure({ default_transaction_read_only: 'on' });
      await peer.told(({ bits }) => hasAttribute(bits, 'readOnlyByDefault'), 'read-only');
      await pair.primary.configure({ default_transaction_read_only: 'off' });
      const from = peer.arrivals.length;
      await peer.told(({ bits }) => !hasAttribute(bits, 'readOnlyByDefault'), 'read-write', {
        from: from - 1,
      });
      await peer.end();
    });

    it('a promotion is told by the file event, not by the next regular check', async () => {
      const peer = await onStandby.connect();
      const before = await peer.told(({ state }) => state === 'up', 'up');
      assert.ok(hasAttribute(before.attributes.bits, 'standby'));
      assert.ok(hasAttribute(before.attributes.bits, 'readOnlyByRecovery'));
      const told = peer.told(({ bits }) => hasAttribute(bits, 'primary'), 'primary');
      await pair.standby.promote();
      const promotedAt = performance.now();
      const { attributes, at } = await told;
      assert.ok(at - promotedAt < AT_ONCE_MS, `told ${Math.round(at - promotedAt)} ms after the promotion`);
      assert.equal(attributes.timeline, 2);
      assert.ok(!hasAttribute(attributes.bits, 'standby'));
      await peer.end();
    });
  });
}
