import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StatusReport } from '../../src/core/control/protocol.js';
import { gatewayScenes } from '../support/gateway-scene.js';
import { startup } from '../support/raw-driver.js';
import { greeting } from '../support/scripted-sql-server.js';

const start = gatewayScenes();

/** What must be the same before and after. */
function lasting({ applications }: StatusReport): unknown {
  return applications.map(({ since, ...rest }) => rest);
}

describe('a conmgr that takes over', () => {
  it('has the sessions of both kinds, with their numbers and figures', async () => {
    const { set, servers, drive } = await start(['serves']);
    const driver = drive(startup());
    await driver.until(greeting(servers[0]!.key).length);
    const app = await set.conmgr.bound({ app: 'shop' });
    const before = await set.conmgr.until(
      'two sessions are bound',
      ({ applications }) => applications.length === 2 && applications.every(({ instance }) => instance === 0),
    );
    const next = await set.conmgr.replaced();
    assert.deepEqual(await set.conmgr.running.exit, { code: 0, signal: null });
    const after = await next.status();
    assert.deepEqual(lasting(after), lasting(before));
    assert.equal(app.isOpen, true);
    await next.stop('SIGTERM');
    assert.equal((await app.next('bye')).bye, 'stop');
  });
});
