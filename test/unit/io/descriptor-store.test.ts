import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { constants } from 'node:os';
import { afterEach, before, describe, it } from 'node:test';
import { DescriptorStore, openStored } from '../../../src/io/descriptor-store.js';
import { loadNative, type Native } from '../../../src/io/native.js';
import type { Notifier } from '../../../src/io/notify.js';
import { packBundle } from '../../../src/io/socket-bundle.js';
import { NativeCallError, UnixRights } from '../../../src/io/unix-rights.js';
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

describe('a hand-over that fails', () => {
  const { EIO } = constants.errno;
  /** Hands over one end of a pair; `has` gets what the service manager keeps of the parcel. */
  function failing(notifier: (has: (fd: number) => void) => Pick<Notifier, 'sendNow' | 'barrier'>) {
    const before = open();
    const [near, far] = rights.pair();
    const kept: number[] = [];
    const store = new DescriptorStore(
      notifier((fd) => kept.push(rights.duplicate(fd))),
      [],
    );
    const document = rights.memoryFile('document', [Buffer.from('what was true')]);
    const { fd: bundle } = packBundle(rights, [near]);
    const reason = store.handOver(rights, { document, bundle });
    for (const fd of [near, document, bundle]) closeSync(fd);
    // Nobody has the other end open any more, though the service manager has the parcel.
    assert.equal(kept.length, 1);
    assert.ok(rights.waitReadable(far, 0));
    const { state } = openStored(
      rights,
      kept.map((fd) => ({ fd, name: 'hand-over' })),
    );
    assert.equal(state, undefined);
    closeSync(far);
    assert.equal(open(), before);
    return { reason, store };
  }
  const keeps =
    (has: (fd: number) => void): Notifier['sendNow'] =>
    (_text, fds) => {
      fds.forEach(has);
      return true;
    };

  it('because the service manager does not answer leaves nothing in it to be taken for true, nor a socket open', () => {
    const { reason } = failing((has) => ({ sendNow: keeps(has), barrier: () => false }));
    assert.equal(reason, 'the service manager does not answer');
  });

  it('in the middle leaves nothing to be taken for true either', () => {
    const { reason } = failing((has) => ({
      sendNow: keeps(has),
      barrier: () => {
        throw new NativeCallError('poll', EIO);
      },
    }));
    assert.equal(reason, `poll: error ${EIO}`);
  });

  it('and cannot be taken out of a store that takes no message is taken out when it takes one again', () => {
    const sent: string[] = [];
    let isDeaf = false;
    const { store } = failing((has) => ({
      sendNow: (text, fds) => {
        if (isDeaf) return false;
        sent.push(text);
        return keeps(has)(text, fds, 0);
      },
      barrier: () => {
        isDeaf = true;
        return false;
      },
    }));
    isDeaf = false;
    store.clear();
    assert.deepEqual(sent.slice(1), ['FDSTOREREMOVE=1\nFDNAME=hand-over']);
  });

  it('is not believed where its parcel was stored and never given', () => {
    const before = open();
    const [sender, fd] = rights.pair();
    const [witness, seal] = rights.pair();
    const document = rights.memoryFile('document', [Buffer.from('what was true')]);
    const { fd: bundle } = packBundle(rights, []);
    rights.send(sender, Buffer.from([0]), [document, bundle, seal, sender]);
    for (const one of [sender, seal, document, bundle]) closeSync(one);
    assert.equal(openStored(rights, [{ fd, name: 'hand-over' }]).state, undefined);
    closeSync(witness);
    assert.equal(open(), before);
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
