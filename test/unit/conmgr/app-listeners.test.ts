import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { AppListeners } from '../../../src/conmgr/app-listeners.js';
import { resolveConmgrConfig } from '../../../src/core/config/resolve.js';
import { loadNative, type Native } from '../../../src/io/native.js';
import { UnixRights } from '../../../src/io/unix-rights.js';
import { freePort } from '../../support/free-ports.js';

const rights = new UnixRights(loadNative() as Native);

describe('a conmgr that listens again', () => {
  it('does so on the sockets it had: an address that was missing and is in use now is no matter', async () => {
    const port = await freePort();
    const parse = (addresses: string) => {
      const text = `backend_host0 = 127.0.0.1\nport = ${port}\nlisten_addresses = '${addresses}'\n`;
      const { config } = resolveConmgrConfig(text);
      assert.ok(config);
      return config;
    };
    const one = parse('127.0.0.1');
    const accept = (socket: net.Socket): void => {
      socket.end('served');
    };
    const before = await AppListeners.open(one, () => one, { write: () => {} }, accept);
    const copies = before.descriptors.map(({ fd, name }) => ({ fd: rights.duplicate(fd), name }));
    await before.close();
    const other = net.createServer().listen(port, '127.0.0.2');
    await once(other, 'listening');
    const both = parse('127.0.0.1, 127.0.0.2');
    const listeners = AppListeners.again(both, () => both, accept, copies);
    assert.deepEqual(listeners.addresses, ['127.0.0.1']);
    assert.deepEqual(
      listeners.descriptors.map(({ name }) => name),
      copies.map(({ name }) => name),
    );
    const [bytes] = await once(net.connect(port, '127.0.0.1'), 'data');
    assert.equal(String(bytes), 'served');
    await listeners.close();
    other.close();
  });
});
