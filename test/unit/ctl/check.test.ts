import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readUnitState } from '../../../src/core/ctl/unit-state.js';
import { runCheck } from '../../../src/ctl/check.js';
import type { Manager, UnitHandle } from '../../../src/ctl/manager.js';
import { freePort } from '../../support/free-ports.js';
import { FakeManager } from './fake-world.js';
import { Host } from './registry-scene.js';

const UNIT = 'conmgr@app1.service';

function systemManager(): Manager {
  const refuse = async (): Promise<never> => assert.fail('only asked');
  const unit: UnitHandle = {
    name: UNIT,
    state: async () => readUnitState({}),
    orderStop: refuse,
    reload: refuse,
    restart: refuse,
    orderRestart: refuse,
  };
  return Object.assign(new FakeManager(), { kind: 'system' as const, unit });
}

/** What check says of a configuration with so many connections, whose instance is not there. */
async function check(manager: Manager, maxConnections: number, dropIn?: string) {
  const host = new Host();
  const port = await freePort();
  const text = `backend_hostaddr0 = 127.0.0.1\nbackend_port0 = ${port}\nwatchdog_port0 = ${port}\nmax_connections = ${maxConnections}\n`;
  const directory = host.directory('app1', text);
  if (dropIn !== undefined) {
    const folder = join(host.places.units, `${UNIT}.d`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'override.conf'), dropIn);
  }
  const managers = { choose: async () => manager, list: async () => [] };
  return { directory, ...(await host.run(['check', '-D', directory], runCheck, { managers })) };
}

describe('cm_ctl check', () => {
  it('compares the figure with the limit of the unit, and names the command when it is too low', async () => {
    const { directory, status, stdout, stderr } = await check(systemManager(), 30000);
    assert.equal(status, 78);
    assert.match(stdout, /^needed: 9 \+ 2 x 1 instances \+ 30000 max_connections = 30011$/m);
    assert.match(stdout, /^limit of conmgr@app1\.service: 20000, too few$/m);
    assert.match(stderr, new RegExp(`HINT: {2}Use: cm_ctl register -D ${directory} --write-limits\\n`));
  });

  it('finds the limit of the unit enough', async () => {
    const { status, stdout, stderr } = await check(systemManager(), 100);
    assert.match(stdout, /^limit of conmgr@app1\.service: 20000, enough$/m);
    assert.doesNotMatch(stderr, /open files/);
    assert.equal(status, 1, 'the instance is not there');
  });

  it('compares it with the limit of this shell where no manager starts conmgr', async () => {
    const { stdout } = await check(new FakeManager(), 0);
    assert.match(stdout, /^limit of this shell: \d+, enough$/m);
  });
});
