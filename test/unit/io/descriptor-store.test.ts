import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { afterEach, before, describe, it } from 'node:test';
import { DescriptorStore, openStored } from '../../../src/io/descriptor-store.js';
import { loadNative, type Native } from '../../../src/io/native.js';
import { UnixRights } from '../../../src/io/unix-rights.js';
import { bundleProgram } from '../../support/bundled-program.js';
import { type Running, startCommand } from '../../support/running.js';
import { ServiceManager } from '../../support/service-manager.js';

const rights = new UnixRights(loadNative() as Native);
const ends: (() => unknown)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});
const open = (): number => readdirSync('/proc/self/fd').length;

describe('the descriptor store of a unit', () => {
  let program: string;
  before(async () => {
    program = await bundleProgram('test/support/storing-process.ts');
  });
  const unit = (most?: number): ServiceManager => {
    const manager = new ServiceManager(most);
    ends.push(() => manager.close());
    return manager;
  };
  const run = (manager: ServiceManager, ...args: readonly string[]): Running =>
    startCommand(process.execPath, [program, ...args], manager.start());

  it('has what the next process goes on with, and who connects meanwhile waits', async () => {
    const manager = unit();
    const running = run(manager, 'store');
    const { 1: port } = await running.waitForLine(/^port (\d+)$/);
    await running.waitForLine(/^handed over: yes/);
    await running.done;
    await manager.stored('hand-over', `listener-${port}-127.0.0.1`);
    const early = net.connect(Number(port), '127.0.0.1');
    ends.push(() => early.destroy());
    await once(early, 'connect');
    await run(manager, 'take').waitForLine(
      new RegExp(`^took listener-${port}-127\\.0\\.0\\.1 what is true 1$`),
    );
    // What is handed over is true once.
    await manager.stored(`listener-${port}-127.0.0.1`);
  });

  it('that is full keeps nothing of a hand-over, and the process learns it', async () => {
    const manager = unit(1);
    const running = run(manager, 'store');
    await running.waitForLine(/^handed over: the service manager keeps no more descriptors/);
    await running.done;
    assert.equal(manager.names.length, 1);
    await run(manager, 'take').waitForLine(/^took listener-\S+ undefined 0$/);
  });

  it('is emptied for a stop', async () => {
    const manager = unit();
    await run(manager, 'clear').done;
    await manager.stored();
  });

  it('of a service manager that does not answer holds up an end for two seconds', async () => {
    const manager = unit();
    const options = manager.start();
    manager.deaf();
    const running = startCommand(process.execPath, [program, 'store'], options);
    const { 1: ms } = await running.waitForLine(
      /^handed over: the service manager does not answer, (\d+) ms$/,
    );
    assert.ok(Number(ms) >= 1900, ms);
  });
});

describe('descriptors from the store', () => {
  const file = (): number => openSync('/dev/null', 'r');

  it('are closed unless they are known, so are those that come twice and a parcel that is none', () => {
    const before = open();
    const listener = file();
    const handed = openStored(rights, [
      { fd: file(), name: 'of a later version' },
      { fd: listener, name: 'listener-27546-127.0.0.1' },
      { fd: file(), name: 'hand-over' },
      { fd: file(), name: '' },
    ]);
    assert.deepEqual(handed, {
      state: undefined,
      listeners: [{ fd: listener, name: 'listener-27546-127.0.0.1' }],
    });
    closeSync(listener);
    assert.equal(open(), before);
  });

  it('without native calls are the listening sockets', () => {
    const before = open();
    assert.deepEqual(openStored(undefined, [{ fd: file(), name: 'hand-over' }]), {
      state: undefined,
      listeners: [],
    });
    assert.equal(open(), before);
  });

  it('that are not wanted any more are taken out by name, and kept ones stored again, which systemd sees', () => {
    const sent: string[] = [];
    const notifier = { sendNow: (text: string) => sent.push(text) > 0, barrier: () => true };
    const store = new DescriptorStore(notifier, ['listener-1-127.0.0.1', 'hand-over']);
    store.keep([{ fd: 0, name: 'listener-2-127.0.0.1' }]);
    assert.deepEqual(sent, [
      'FDSTOREREMOVE=1\nFDNAME=listener-1-127.0.0.1',
      'FDSTOREREMOVE=1\nFDNAME=hand-over',
      'FDSTORE=1\nFDNAME=listener-2-127.0.0.1\nFDPOLL=0',
    ]);
    store.clear();
    assert.deepEqual(sent.slice(3), ['FDSTOREREMOVE=1\nFDNAME=listener-2-127.0.0.1']);
  });
});
