import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { DOCUMENT_MAGIC, DOCUMENT_VERSION } from '../../src/core/handover/document.js';
import { bundleProgram } from '../support/bundled-program.js';
import { ConmgrProcess, type ConmgrSettings } from '../support/conmgr-process.js';
import { freePort } from '../support/free-ports.js';
import { startCommand } from '../support/running.js';
import { PRIMARY, ScriptedWatchdog } from '../support/scripted-watchdog.js';
import { ServiceManager } from '../support/service-manager.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function unit(): ServiceManager {
  const manager = new ServiceManager();
  ends.push(() => manager.close());
  return manager;
}

/** A conmgr of the unit, with a link to a primary. */
async function started(
  manager: ServiceManager,
  watchdog: ScriptedWatchdog,
  backendPort: number,
  settings: ConmgrSettings,
  directory?: string,
): Promise<ConmgrProcess> {
  const conmgr = await ConmgrProcess.start({
    instances: [{ backendPort, watchdogPort: watchdog.port }],
    settings,
    ...(directory === undefined ? {} : { directory }),
    ...manager.start(),
  });
  ends.push(() => conmgr.stop('SIGKILL'));
  await conmgr.linked();
  return conmgr;
}

async function scene() {
  const manager = unit();
  const watchdog = await ScriptedWatchdog.start({ attributes: PRIMARY });
  ends.push(() => watchdog.stop());
  const [backendPort, port, listener] = [await freePort(), await freePort(), await freePort()];
  const start = (settings: ConmgrSettings, directory?: string): Promise<ConmgrProcess> =>
    started(manager, watchdog, backendPort, settings, directory);
  return { manager, port, listener, start };
}

describe('the service manager keeps the listening sockets of conmgr', () => {
  it('so whoever connects after a crash waits and is served by the next process, refused by none', async () => {
    const { manager, port, listener, start } = await scene();
    const settings = {
      port,
      resolve_wait: '5s',
      listener_port0: listener,
      listener_target_session_attrs0: 'primary',
    };
    const first = await start(settings);
    await manager.stored(`listener-${port}-127.0.0.1`, `listener-${listener}-127.0.0.1`);
    await first.stop('SIGKILL');
    const early = [port, port, listener].map((one) => connect(one, '127.0.0.1'));
    ends.push(() => {
      for (const socket of early) socket.destroy();
    });
    await Promise.all(early.map((socket) => once(socket, 'connect')));
    const app = first.ask();
    const next = await start(settings, first.directory);
    assert.equal((await app.candidates()).length, 1);
    assert.equal(next.linesLike(/listening on/).length, 2);
    await manager.stored(`listener-${port}-127.0.0.1`, `listener-${listener}-127.0.0.1`);
  });

  it('but not those that the configuration has no more', async () => {
    const { manager, port, listener, start } = await scene();
    const first = await start({ port });
    await manager.stored(`listener-${port}-127.0.0.1`);
    await first.stop('SIGKILL');
    await start({ port: listener }, first.directory);
    await manager.stored(`listener-${listener}-127.0.0.1`);
    const [error] = (await once(connect(port, '127.0.0.1'), 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  });

  it('until a stop, which leaves none, also where the unit is started again by itself', async () => {
    const { manager, port, start } = await scene();
    const conmgr = await start({ port });
    await manager.stored(`listener-${port}-127.0.0.1`);
    await conmgr.stop('SIGTERM');
    await manager.stored();
  });
});

describe('what a predecessor has left with the service manager', () => {
  const newer = Buffer.from(`${DOCUMENT_MAGIC}........`);
  newer.writeUInt32BE(DOCUMENT_VERSION + 1, DOCUMENT_MAGIC.length);
  for (const [what, document, said] of [
    [
      'in a later version',
      newer.toString('hex'),
      /could not take over the sessions of the predecessor: version 2 of the hand-over is not known here/,
    ],
    [
      'and makes no sense',
      '00',
      /could not take over the sessions of the predecessor: it does not begin as one/,
    ],
  ] as const) {
    it(`${what} is not used, but for the listening socket`, async () => {
      const { manager, start } = await scene();
      const program = await bundleProgram('test/support/storing-process.ts');
      const storing = startCommand(process.execPath, [program, 'store', document], manager.start());
      const { 1: port = '' } = await storing.waitForLine(/^port (\d+)$/);
      await storing.done;
      await manager.stored('hand-over', `listener-${port}-127.0.0.1`);
      const early = connect(Number(port), '127.0.0.1');
      ends.push(() => early.destroy());
      await once(early, 'connect');
      const conmgr = await start({ port: Number(port), resolve_wait: '5s' });
      assert.match(conmgr.linesLike(/ERROR/)[0] ?? '', said);
      await manager.stored(`listener-${port}-127.0.0.1`);
      const app = conmgr.ask();
      await app.candidates();
    });
  }
});
