/** Scenes in which one conmgr takes over from another: what tests of the hand-over begin with. */
import { afterEach } from 'node:test';
import type { StatusReport } from '../../src/core/control/protocol.js';
import type { ConmgrProcess } from './conmgr-process.js';
import type { GatewayScene } from './gateway-scene.js';
import { type RawDriver, startup } from './raw-driver.js';
import { greeting, type ServerEnd } from './scripted-sql-server.js';

const heirs: ConmgrProcess[] = [];
afterEach(async () => {
  await Promise.all(heirs.splice(0).map((heir) => heir.stop('SIGQUIT')));
});

/** Has another conmgr take over; it ends with the test. */
export async function replace(conmgr: ConmgrProcess): Promise<ConmgrProcess> {
  const next = await conmgr.replaced();
  heirs.push(next);
  return next;
}

/** A driver that is served by instance 0, and its connection as that server has it. */
export async function served({ drive, servers }: GatewayScene): Promise<[RawDriver, ServerEnd]> {
  const server = servers[0]!;
  const count = server.ends.length;
  const driver = drive(startup());
  await driver.until(greeting(server.key).length);
  return [driver, await server.end(count + 1)];
}

/** Waits until so many sessions are there, all at instance 0. */
export function bound(conmgr: ConmgrProcess, count: number): Promise<StatusReport> {
  return conmgr.until(
    `${count} sessions are bound`,
    ({ applications }) =>
      applications.length === count && applications.every(({ instance }) => instance === 0),
  );
}
