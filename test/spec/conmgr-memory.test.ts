import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { eventually } from '../support/eventually.js';
import { type GatewayScene, gatewayScene } from '../support/gateway-scene.js';
import { built } from '../support/programs.js';
import { startup } from '../support/raw-driver.js';
import { greeting } from '../support/scripted-sql-server.js';
import { temporaryDirectory } from '../support/tree.js';

/** Sessions of one round: all there at once, so that they outlive collections, as sessions do. */
const ROUND = 150;
const ROUNDS = 8;
/** An object for each session that is over would be several hundred kB in as many rounds; code that is compiled meanwhile counts, too. */
const MOST_GROWTH_KB = 512;

/** conmgr that says on stderr, on SIGUSR2, how much room young objects have and, after a collection, what lives. */
const PROGRAM = `
import v8 from 'node:v8';
import vm from 'node:vm';
process.on('SIGUSR2', () => {
  const young = v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size;
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  collect();
  setImmediate(() => {
    collect();
    process.stderr.write('young ' + young + ' live ' + process.memoryUsage().heapUsed + '\\n');
  });
});
await import(${JSON.stringify(pathToFileURL(built('bin/conmgr.js')).href)});
`;

describe('the memory of conmgr', () => {
  let scene: GatewayScene;
  before(async () => {
    const program = join(temporaryDirectory(), 'conmgr.mjs');
    writeFileSync(program, PROGRAM);
    scene = await gatewayScene(['serves'], {}, { program });
  });
  after(() => scene.end());

  async function heap(): Promise<{ readonly youngKb: number; readonly liveKb: number }> {
    const { conmgr } = scene.set;
    const { mark } = conmgr;
    process.kill(conmgr.pid, 'SIGUSR2');
    const [, young, live] = await conmgr.logged(/^young (\d+) live (\d+)$/, mark);
    return { youngKb: Number(young) / 1024, liveKb: Number(live) / 1024 };
  }

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
