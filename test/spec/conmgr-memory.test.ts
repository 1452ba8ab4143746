import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { type GatewayScene, gatewayScene } from '../support/gateway-scene.js';
import { heapOf, reportingProgram } from '../support/heap-report.js';
import { startup } from '../support/raw-driver.js';
import { greeting } from '../support/scripted-sql-server.js';

/** Sessions of one round: all there at once, so that they outlive collections, as sessions do. */
const ROUND = 150;
const ROUNDS = 8;
/** An object for each session that is over would be several hundred kB in as many rounds; code that is compiled meanwhile counts, too. */
const MOST_GROWTH_KB = 512;

describe('the memory of conmgr', () => {
  let scene: GatewayScene;
  before(async () => {
    scene = await gatewayScene(['serves'], {}, { program: reportingProgram('conmgr') });
  });
  after(() => scene.end());

  const heap = () => heapOf(scene.set.conmgr.running);

  async function rounds(): Promise<void> {
    const octets = greeting(scene.servers[0]!.key).length;
    for (let round = 0; round < ROUNDS; round += 1) {
      const drivers = Array.from({ length: ROUND }, () => scene.drive(startup()));
      await Promise.all(drivers.map((driver) => driver.until(octets)));
      for (const { socket } of drivers) socket.destroy();
      await eventually(async () => (await scene.set.conmgr.status()).applications.length === 0, {
        what: 'no session is left',
      });
    }
  }

  it('has what served sessions took when they are over, and gives young objects no more room than at first', async () => {
    const first = await heap();
    await rounds();
    const warm = await heap();
    await rounds();
    const last = await heap();
    assert.ok(
      last.youngKb <= first.youngKb,
      `room for young objects: ${first.youngKb} kB, then ${last.youngKb} kB`,
    );
    const grownKb = Math.round(last.liveKb - warm.liveKb);
    assert.ok(grownKb < MOST_GROWTH_KB, `grown by ${grownKb} kB`);
  });
});
