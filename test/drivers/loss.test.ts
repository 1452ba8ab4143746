import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { type Adapter, type Failure, startAdapters } from './harness/adapter.js';
import type { Connection } from './harness/connection.js';
import { chosenDrivers, type Driver } from './harness/drivers.js';
import { observe } from './harness/observed.js';
import { type Waits, waitedMs, waits } from './harness/processor.js';
import { rootCertificate, Scene } from './harness/scene.js';
import { WAYS } from './harness/ways.js';

const TIMEOUT_MS = 2000;
const INTERVAL_MS = 100;
/** What a driver may take to return beyond heartbeat_timeout. */
const TOLD_MS = 100;

/** Far more than it takes to be connected again, and half of what a driver waits for a host that does not answer. */
const AGAIN_MS = 5000;

/** When and how a blocked driver returned, after its server fell silent. */
interface Return {
  readonly failure: Failure;
  readonly tookMs: number;
  /** The same from a moment at which it had not fallen silent yet. */
  readonly soonestMs: number;
  /** How long conmgr, the driver and this test have waited for a processor since the loss could be known. */
  readonly waitedMs: number;
}

const drivers = chosenDrivers();

/** Whether it gets past a lost host of a list by itself. */
function goesOn({ without }: Driver): boolean {
  return without['several hosts'] === undefined && without['lost hosts'] === undefined;
}

for (const way of WAYS) {
  describe(`when the host of the primary falls silent, a session by ${way.name}`, () => {
    const adapters = new Map<Driver, Adapter>();
    const returns = new Map<Driver, Promise<Return>>();
    let scene: Scene;

    const adapterOf = (driver: Driver): Adapter => adapters.get(driver)!;
    const connection = (driver: Driver, more: Partial<Connection> = {}): string =>
      driver.connection({ ...scene.route(driver, 'primary'), user: 'postgres', ...more });

    before(async () => {
      scene = await Scene.start(way, {
        conmgr: { heartbeat_interval: `${INTERVAL_MS}ms`, heartbeat_timeout: `${TIMEOUT_MS}ms` },
      });
      for (const adapter of await startAdapters(drivers, scene.within)) adapters.set(adapter.driver, adapter);
      for (const driver of drivers) await adapterOf(driver).connect(connection(driver));
      const failures = drivers.map((driver) => adapterOf(driver).fails('query', 'select pg_sleep(600)'));
      const blocked = "select from pg_stat_activity where wait_event = 'PgSleep'";
      await eventually(async () => (await scene.primary.sql(blocked)).length === drivers.length, {
        what: 'all drivers wait for their server',
      });
      const watch = (driver: Driver): Waits => waits([...scene.pids, process.pid], [adapterOf(driver).pid]);
      let before = drivers.map(watch);
      const begunAt = performance.now();
      scene.hosts[0].cut();
      const silentAt = performance.now();
      // Who waits before conmgr may know of the loss delays nobody.
      const sampling = setInterval(() => {
        if (performance.now() < silentAt + TIMEOUT_MS - INTERVAL_MS) before = drivers.map(watch);
        else clearInterval(sampling);
      }, INTERVAL_MS / 2);
      drivers.forEach((driver, number) => {
        const told = failures[number]!.then((failure) => ({
          failure,
          tookMs: failure.at - silentAt,
          soonestMs: failure.at - begunAt,
          waitedMs: waitedMs(before[number]!, watch(driver)),
        }));
        // Whoever waits for it is told.
        told.catch(() => {});
        returns.set(driver, told);
      });
    });
    after(async () => {
      for (const adapter of adapters.values()) await adapter.end();
      await scene?.end();
    });

    for (const driver of drivers) {
      it(`of ${driver.title}, blocked in a read, returns with an error within heartbeat_timeout + ${TOLD_MS} ms`, async (t) => {
        const { failure, tookMs, soonestMs, waitedMs: lateMs } = await returns.get(driver)!;
        t.diagnostic(
          `figure: ${driver.title} by ${way.name} was told after ${tookMs.toFixed(0)} ms; at the end ${lateMs.toFixed(0)} ms in wait for a processor`,
        );
        const boundMs = TIMEOUT_MS + TOLD_MS + lateMs;
        assert.ok(tookMs <= boundMs, `after ${tookMs} ms, at the end ${lateMs} ms in wait for a processor`);
        // Not by anything else than the loss: the last sign of life may have come an interval before.
        assert.ok(soonestMs > TIMEOUT_MS - 3 * INTERVAL_MS, `after ${soonestMs} ms already`);
        observe(way.name, adapterOf(driver), 'lost', failure);
      });
    }

    describe('after the standby was promoted', { concurrency: true }, () => {
      before(async () => {
        await scene.promote();
      });

      for (const driver of drivers) {
        it(`of ${driver.title} is made again, with the new primary`, async (t) => {
          const adapter = adapterOf(driver);
          const begunAt = performance.now();
          // Who knows one server only, or does not get past a lost one, must be told of the other one.
          if (way.direct && !goesOn(driver)) {
            await adapter.connect(connection(driver));
          } else await adapter.reconnect();
          const tookMs = performance.now() - begunAt;
          t.diagnostic(
            `figure: ${driver.title} by ${way.name} was connected again within ${tookMs.toFixed(0)} ms`,
          );
          assert.ok(tookMs < AGAIN_MS, `after ${tookMs} ms`);
          assert.equal(await adapter.does('query', "select current_setting('cluster_name')"), 'standby');
        });
      }
    });

    describe('while no host is left', { concurrency: true }, () => {
      before(async () => {
        scene.hosts[1].cut();
        await scene.conmgr.until('no instance is left', ({ primary }) => primary === null);
      });

      for (const driver of drivers) {
        it(`of ${driver.title} cannot be made, and the application is told so`, async () => {
          const adapter = adapterOf(driver);
          const { places } = scene.route(driver, 'primary');
          const tried =
            driver.without['giving up'] === undefined ? { places } : { places: places.slice(0, 1) };
          const plain = await adapter.fails('connect', connection(driver, tried));
          observe(way.name, adapter, 'unavailable', plain);
          const tls = { rootCertificate, channelBinding: false };
          const encrypted = await adapter.fails('connect', connection(driver, { ...tried, tls }));
          observe(way.name, adapter, 'unavailable with TLS', encrypted);
        });
      }
    });
  });
}
