import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { whyNotRun } from '../support/postgres-binaries.js';
import { isThere, sessionFrom } from '../support/sql-client.js';
import { TestWatchdog } from '../support/watchdog.js';

const ADMIN_SHUTDOWN = '57P01';
const GRACE_MS = 1000;

for (const major of [13, 15, 17, 18]) {
  describe(`the terminator on PostgreSQL ${major}`, { skip: await whyNotRun(major) }, () => {
    let server: Server;
    let watchdog: TestWatchdog;

    before(async () => {
      server = await startPrimary({ major });
      watchdog = await TestWatchdog.start(server, {
        settings: { restart_grace: `${GRACE_MS}ms`, probe_interval: '200ms' },
      });
      await eventually(async () => (await watchdog.status()).instance.state === 'up', { what: 'up' });
    });
    after(async () => {
      await watchdog?.stop();
      await server?.end();
    });

    it('a link that times out ends all sessions of its address, and no others', async () => {
      const [own, alsoOwn, other, local] = await Promise.all([
        sessionFrom(server, '127.0.0.2'),
        sessionFrom(server, '127.0.0.2'),
        sessionFrom(server, '127.0.0.3'),
        server.connect({ host: server.socketDir }),
      ]);
      const peer = await watchdog.connect({ localAddress: '127.0.0.2', timeoutMs: 600 });
      await peer.prove();
      const { ended: endedBefore } = (await watchdog.status()).terminator;
      peer.fallSilent();
      const silentAt = performance.now();
      assert.equal(await own.ended, ADMIN_SHUTDOWN);
      assert.equal(await alsoOwn.ended, ADMIN_SHUTDOWN);
      const ms = performance.now() - silentAt;
      assert.ok(ms > 400 && ms < 1600, `ended after ${Math.round(ms)} ms with a time-out of 600 ms`);
      assert.ok(await isThere(server, other.pid));
      assert.deepEqual((await local.query('select 1 as one')).rows, [{ one: 1 }]);
      await watchdog.line(
        /LOG: {2}ended 2 sessions of 127\.0\.0\.2: heartbeat link of conmgr test:peer timed out/,
      );
      assert.equal((await watchdog.status()).terminator.ended, endedBefore + 2);
      await Promise.all([other.client.end(), local.end(), peer.end()]);
    });

    it('superuser sessions are ended by a superuser watchdog, replication connections are spared', async () => {
      const [superuser, walsender] = await Promise.all([
        sessionFrom(server, '127.0.0.4'),
        sessionFrom(server, '127.0.0.4', { replication: 'database' } as object),
      ]);
      const peer = await watchdog.connect({ localAddress: '127.0.0.4' });
      await peer.prove();
      await peer.goodbye('stop');
      assert.equal(await superuser.ended, ADMIN_SHUTDOWN);
      await watchdog.line(/ended 1 sessions of 127\.0\.0\.4: .* because conmgr stopped/);
      await watchdog.line(/DETAIL: {2}.*1 replication connections are spared/);
      assert.ok(await isThere(server, walsender.pid));
      await walsender.client.end();
    });

    it('a link that closes without goodbye ends sessions after restart_grace, unless the conmgr is back', async () => {
      const session = await sessionFrom(server, '127.0.0.5');
      const first = await watchdog.connect({ localAddress: '127.0.0.5' });
      const { conmgrId } = first;
      await first.prove();
      await first.end();
      await watchdog.line(/sessions of 127\.0\.0\.5 are ended in 1 s unless conmgr test:peer is back/);
      const second = await watchdog.connect({ localAddress: '127.0.0.5', conmgrId });
      await watchdog.line(/conmgr test:peer at 127\.0\.0\.5 is back after \d+ ms: no session is ended/);
      const { losses } = await watchdog.status();
      assert.ok(losses.every((loss) => loss.conmgrId !== conmgrId));
      // Its heartbeats go on counting where they were, so it need not prove itself again.
      const closedAt = performance.now();
      await second.end();
      assert.equal(await session.ended, ADMIN_SHUTDOWN);
      const ms = performance.now() - closedAt;
      assert.ok(ms >= GRACE_MS - 50 && ms < GRACE_MS + 1000, `ended after ${Math.round(ms)} ms`);
    });
  });
}
