import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import { loadNative, type Native } from '../../../src/io/native.js';
import { packBundle, unpackBundle } from '../../../src/io/socket-bundle.js';
import { descriptorOf } from '../../../src/io/socket-handle.js';
import { NativeCallError, readWhole, UnixRights } from '../../../src/io/unix-rights.js';
import { bundleProgram } from '../../support/bundled-program.js';

const rights = new UnixRights(loadNative() as Native);
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

const open = (): number => readdirSync('/proc/self/fd').length;

/** Starts the taker with a bundle; resolves to what it says. */
async function take(bundle: number): Promise<string> {
  const program = await bundleProgram('test/support/bundle-taker.ts');
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit', bundle] });
  children.push(child);
  closeSync(bundle);
  const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
  return line;
}

/** Everything that a socket says until its end. */
async function allOf(socket: net.Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  await once(socket, 'close');
  return text;
}

describe('a bundle of sockets', () => {
  it('gives back what was put in, in its order, and leaves nothing open', () => {
    const before = open();
    const files = Array.from({ length: 600 }, () => openSync('/dev/null', 'r'));
    const inodes = [openSync('/proc/self/stat', 'r'), openSync('/proc/self/maps', 'r')];
    const given = [...files, ...inodes];
    const { fd, count } = packBundle(rights, given);
    assert.equal(count, given.length);
    const taken = unpackBundle(rights, fd, 1000);
    assert.equal(taken.length, given.length);
    assert.deepEqual(
      taken.slice(-2).map((one) => fstatSync(one).ino),
      inodes.map((one) => fstatSync(one).ino),
    );
    for (const one of [...given, ...taken]) closeSync(one);
    assert.equal(open(), before);
  });

  it('that is empty is no error', () => {
    const { fd, count } = packBundle(rights, []);
    assert.deepEqual([count, unpackBundle(rights, fd, 10)], [0, []]);
  });

  it('gives no more than is wanted; the others are closed', () => {
    const before = open();
    const files = Array.from({ length: 300 }, () => openSync('/dev/null', 'r'));
    const taken = unpackBundle(rights, packBundle(rights, files).fd, 260);
    assert.equal(taken.length, 260);
    for (const one of [...files, ...taken]) closeSync(one);
    assert.equal(open(), before);
  });

  it('that is none gives nothing', () => {
    assert.deepEqual(unpackBundle(rights, openSync('/dev/null', 'r'), 10), []);
  });

  it('holds four thousand', () => {
    const file = openSync('/dev/null', 'r');
    const { fd, count } = packBundle(rights, Array(4000).fill(file));
    assert.equal(count, 4000);
    const taken = unpackBundle(rights, fd, 4000);
    assert.equal(taken.length, 4000);
    for (const one of [file, ...taken]) closeSync(one);
  });

  it('carries sockets to another process: none of their peers notices, and whoever connects meanwhile waits', async () => {
    const server = net.createServer({ pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const accepted: net.Socket[] = [];
    server.on('connection', (socket) => accepted.push(socket));
    const all = new Promise<void>((resolve) => {
      server.on('connection', () => {
        if (accepted.length === 20) resolve();
      });
    });
    const clients = Array.from({ length: 20 }, () => net.connect(port, '127.0.0.1'));
    await all;
    const fds = [server, ...accepted].map((one) => descriptorOf(one) ?? -1);
    const { fd } = packBundle(rights, fds);
    server.close();
    for (const socket of accepted) socket.destroy();
    const late = net.connect(port, '127.0.0.1');
    clients[0]!.write('before');
    await once(late, 'connect');
    const answers = clients.map(allOf);
    assert.equal(await take(fd), '21 1');
    assert.equal(await allOf(late), 'new');
    for (const client of clients) client.end(' after');
    const [first, ...others] = await Promise.all(answers);
    assert.equal(first, 'BEFORE AFTER');
    assert.deepEqual(new Set(others), new Set([' AFTER']));
  });

  it('that nobody takes ends what is in it with its last descriptor', async () => {
    const server = net.createServer((socket) => {
      const { fd } = packBundle(rights, [descriptorOf(socket) ?? -1]);
      socket.destroy();
      setImmediate(() => closeSync(fd));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => {});
    client.resume();
    await once(client, 'close');
    server.close();
  });
});

describe('raw Unix sockets', () => {
  it('say when the other end is closed, and wait no longer than they are told', () => {
    const [one, other] = rights.pair();
    assert.equal(rights.receive(one, 10), undefined);
    assert.equal(rights.waitReadable(one, 20), false);
    assert.equal(rights.send(other, Buffer.from('hello')), 5);
    assert.equal(rights.waitReadable(one, 1000), true);
    assert.equal(rights.receive(one, 10)?.bytes.toString(), 'hello');
    closeSync(other);
    assert.equal(rights.waitReadable(one, 1000), true);
    assert.equal(rights.receive(one, 10)?.bytes.length, 0);
    assert.throws(() => rights.send(one, Buffer.from('x')), NativeCallError);
    closeSync(one);
  });

  it('name what is wrong when nobody listens', () => {
    const before = open();
    assert.throws(() => rights.connect('/nobody/here'), { name: 'NativeCallError', errno: 2 });
    assert.equal(open(), before);
  });

  it('keep a file in memory that is read as it was written, and that is bounded', () => {
    const fd = rights.memoryFile('test', [Buffer.from('one '), Buffer.alloc(0), Buffer.from('two')]);
    assert.equal(readWhole(fd, 100)?.toString(), 'one two');
    assert.equal(readWhole(fd, 6), undefined);
    closeSync(fd);
  });
});
