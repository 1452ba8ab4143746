import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type AskedHandOver, askHandOver, giveThrough } from '../../../src/io/hand-over-socket.js';
import { loadNative, type Native } from '../../../src/io/native.js';
import { packBundle } from '../../../src/io/socket-bundle.js';
import { descriptorOf } from '../../../src/io/socket-handle.js';
import { UnixRights } from '../../../src/io/unix-rights.js';
import { temporaryDirectory } from '../../support/tree.js';

const native = loadNative() as Native;
const open = (): number => readdirSync('/proc/self/fd').length;

/** Acts in the moment in which the predecessor begins to wait. */
class Interrupted extends UnixRights {
  readonly #meanwhile: () => void;

  constructor(meanwhile: () => void) {
    super(native);
    this.#meanwhile = meanwhile;
  }

  override waitReadable(socket: number, timeoutMs: number): boolean {
    this.#meanwhile();
    return super.waitReadable(socket, timeoutMs);
  }
}

/** What giveThrough says when the successor does this as soon as it has everything. */
function given(meanwhile: (successor: number, rights: UnixRights) => void): string {
  const rights = new UnixRights(native);
  const before = open();
  const [ours, theirs] = rights.pair();
  const files = [1, 2, 3].map(() => openSync('/dev/null', 'r'));
  const [document = -1, bundle = -1, lock = -1] = files;
  const handed = { state: { document, bundle }, listeners: [] };
  const reason = giveThrough(new Interrupted(() => meanwhile(theirs, rights)), ours, handed, lock);
  for (const fd of rights.receive(theirs, 65_536)?.fds ?? []) closeSync(fd);
  for (const fd of [ours, theirs, ...files]) closeSync(fd);
  assert.equal(open(), before);
  return reason;
}

describe('what is given to a successor over the control socket', () => {
  const taken = Buffer.from([1]);

  it('is its own as soon as it says so', () => {
    assert.equal(
      given((successor, rights) => rights.send(successor, taken)),
      '',
    );
  });

  it('is not when it says something else', () => {
    assert.equal(
      given((successor, rights) => rights.send(successor, Buffer.from([2]))),
      'it has closed the connection',
    );
  });

  it('stays here when this process stood still until the successor may have given up, though it had answered', () => {
    const reason = given((successor, rights) => {
      rights.send(successor, taken);
      // As SIGSTOP does it: no turn of the event loop, and time goes on.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2100);
    });
    assert.equal(reason, 'no answer within 2 s');
  });
});

describe('what a predecessor answers', () => {
  const rights = new UnixRights(native);

  /** What comes of an answer that brings this many descriptors, the third of which is a bundle of one. */
  async function answered(answer: unknown, count: number): Promise<AskedHandOver> {
    const directory = temporaryDirectory();
    let end = (): void => {};
    const server = createServer((socket) => {
      socket.on('error', () => {});
      end = () => void socket.destroy();
      socket.once('data', () => {
        const fds = Array.from({ length: count }, () => openSync('/dev/null', 'r'));
        const listening = packBundle(rights, fds.slice(0, 1)).fd;
        const sent = [...fds.slice(0, 2), listening, ...fds.slice(2)].slice(0, count);
        rights.send(descriptorOf(socket) ?? -1, Buffer.from(`${JSON.stringify(answer)}\n`), sent);
        for (const fd of [...fds, listening]) closeSync(fd);
      });
    });
    await new Promise<void>((done) => server.listen(join(directory, 'conmgr.sock'), done));
    const asked = await askHandOver(directory, native, 1);
    end();
    await new Promise((done) => server.close(done));
    return asked;
  }

  const unreadable: readonly (readonly [answer: unknown, descriptors: number])[] = [
    [{ ok: true }, 4],
    [{ ok: true, handOver: null }, 4],
    [{ ok: true, handOver: { pid: process.pid } }, 4],
    [{ ok: true, handOver: { pid: process.pid, listeners: 'port' } }, 4],
    [{ ok: true, handOver: { pid: process.pid, listeners: [5432] } }, 4],
    [{ ok: true, handOver: { pid: '1', listeners: [] } }, 4],
    [{ ok: true, handOver: { pid: -1, listeners: [] } }, 4],
    [{ ok: true, handOver: { pid: process.pid, listeners: [] } }, 3],
  ];
  for (const [answer, count] of unreadable) {
    it(`${JSON.stringify(answer)} with ${count} descriptors cannot be read, and none stays open`, async () => {
      await answered({ ok: true }, 4);
      const before = open();
      const asked = await answered(answer, count);
      assert.deepEqual(asked, { kind: 'refused', reason: 'its answer cannot be read', code: '' });
      assert.equal(open(), before);
    });
  }

  it('is taken with its four descriptors; what comes besides is closed', async () => {
    const answer = { ok: true, handOver: { pid: process.pid, listeners: ['one'] } };
    await answered({ ok: true }, 4);
    const before = open();
    const asked = await answered(answer, 6);
    assert.ok(asked.kind === 'handed' && asked.handed.state !== undefined);
    const { state, listeners } = asked.handed;
    assert.deepEqual(
      listeners.map(({ name }) => name),
      ['one'],
    );
    for (const fd of [state.document, state.bundle, asked.lock, ...listeners.map((one) => one.fd)])
      closeSync(fd);
    // The connection itself, which stays for the octet.
    assert.equal(open(), before + 1);
  });

  it('has a word of its own when the connection is closed without one', async () => {
    const directory = temporaryDirectory();
    const server = createServer((socket) => socket.once('data', () => socket.end()));
    await new Promise<void>((done) => server.listen(join(directory, 'conmgr.sock'), done));
    const asked = await askHandOver(directory, native, 1);
    server.close();
    assert.deepEqual(asked, { kind: 'refused', reason: 'it has closed the connection', code: '08006' });
  });
});
