import assert from 'node:assert/strict';
import { fstatSync, openSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { errnoName, loadNative, type Native } from '../../../src/io/native.js';
import { DatagramSender, peerCredentials, unixAddress } from '../../../src/io/unix-datagram.js';
import { DatagramReceiver, readAndClose } from '../../support/datagram-receiver.js';
import { temporaryDirectory } from '../../support/tree.js';

const native = loadNative() as Native;
const scratch = temporaryDirectory();

describe('a datagram sender', () => {
  it('delivers one datagram a call, and the receiver sees the pid of this process', async () => {
    const path = join(scratch, 'a');
    const receiver = new DatagramReceiver(path);
    const sender = new DatagramSender(native, path);
    assert.equal(sender.send(Buffer.from('first')), 0);
    assert.equal(sender.send(Buffer.from('sécond')), 0);
    const first = await receiver.next();
    assert.deepEqual([first.bytes.toString(), first.senderPid], ['first', process.pid]);
    assert.equal(await receiver.nextText(), 'sécond');
    sender.close();
    receiver.close();
  });

  it('reaches abstract sockets', async () => {
    const name = `@conmgr-test-${process.pid}`;
    const receiver = new DatagramReceiver(name);
    const sender = new DatagramSender(native, name);
    assert.equal(sender.send(Buffer.from('x')), 0);
    assert.equal(await receiver.nextText(), 'x');
    sender.close();
    receiver.close();
  });

  it('says at once that the queue is full instead of waiting', () => {
    const path = join(scratch, 'full');
    const receiver = new DatagramReceiver(path, { paused: true });
    const sender = new DatagramSender(native, path);
    let errno = 0;
    let sent = 0;
    for (; errno === 0 && sent < 100_000; sent += 1) errno = sender.send(Buffer.from('x'));
    assert.equal(errno, constants.errno.EAGAIN);
    assert.equal(receiver.takeTexts().length, sent - 1);
    assert.equal(sender.send(Buffer.from('x')), 0);
    sender.close();
    receiver.close();
  });

  it('names a missing receiver, and reaches a new one at the same path without any ado', async () => {
    const path = join(scratch, 'later');
    const sender = new DatagramSender(native, path);
    assert.equal(errnoName(sender.send(Buffer.from('x'))), 'ENOENT');
    const receiver = new DatagramReceiver(path);
    assert.equal(sender.send(Buffer.from('y')), 0);
    assert.equal(await receiver.nextText(), 'y');
    receiver.close();
    assert.equal(errnoName(sender.send(Buffer.from('z'))), 'ECONNREFUSED');
    sender.close();
  });

  it('passes descriptors, which stay open here', async () => {
    const path = join(scratch, 'fds');
    const receiver = new DatagramReceiver(path);
    const sender = new DatagramSender(native, path);
    const file = openSync('/proc/self/status', 'r');
    assert.equal(sender.send(Buffer.from('FDSTORE=1'), [file]), 0);
    const { fds, bytes } = await receiver.next();
    assert.equal(bytes.toString(), 'FDSTORE=1');
    assert.equal(fds.length, 1);
    assert.equal(fstatSync(fds[0]!).ino, fstatSync(file).ino);
    sender.close();
    receiver.close();
  });

  it('sends what is too big for a datagram as a memory file that nobody can change any more', async () => {
    const path = join(scratch, 'big');
    const receiver = new DatagramReceiver(path);
    const sender = new DatagramSender(native, path);
    const big = Buffer.alloc(3_000_000, 'MESSAGE=x\n');
    assert.equal(errnoName(sender.send(big)), 'EMSGSIZE');
    assert.equal(sender.sendAsMemoryFile(big), 0);
    const { fds, bytes } = await receiver.next();
    assert.equal(bytes.length, 0);
    const seals = native.func('int fcntl(int, int, ...)')(fds[0], 1034, 'int', 0);
    assert.equal(seals, 0xf);
    assert.equal(readAndClose(fds[0]!).compare(big), 0);
    sender.close();
    receiver.close();
  });
});

describe('the address of a Unix socket', () => {
  it('is refused when the path does not fit instead of being cut', () => {
    assert.throws(() => unixAddress(`/${'x'.repeat(107)}`), RangeError);
    assert.equal(unixAddress(`/${'x'.repeat(106)}`).length, 110);
  });
});

describe('the credentials of a peer', () => {
  it('are those of the process at the other end', async () => {
    const path = join(scratch, 'stream');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const client = connect(path);
    const { _handle: handle } = (await accepted) as unknown as { _handle: { fd: number } };
    assert.deepEqual(peerCredentials(native, handle.fd), {
      pid: process.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
    client.destroy();
    (await accepted).destroy();
    server.close();
  });

  it('are unknown for what is no socket', () => {
    assert.equal(peerCredentials(native, openSync('/dev/null', 'r')), undefined);
  });
});
