import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, it } from 'node:test';
import type { AppConnection } from '../../../src/conmgr/app-connection.js';
import { ForwardedConnection } from '../../../src/conmgr/forwarded-connection.js';
import { eventually } from '../../support/eventually.js';
import { quietGateway } from '../../support/quiet-gateway.js';

const nothing = (): void => {};
const gateway = quietGateway();

const applications = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
before(async () => {
  applications.listen(0, '127.0.0.1');
  await once(applications, 'listening');
});
after(() => applications.close());

/** An application that is forwarded, as its end and as conmgr's. */
async function forwarded(): Promise<{
  readonly application: net.Socket;
  readonly socket: net.Socket;
  readonly session: ForwardedConnection;
}> {
  const accepted = once(applications, 'connection');
  const application = net.connect({
    port: (applications.address() as net.AddressInfo).port,
    host: '127.0.0.1',
  });
  application.on('error', nothing);
  const [socket] = (await accepted) as [net.Socket];
  socket.on('error', nothing);
  return {
    application,
    socket,
    session: new ForwardedConnection({ id: 1 } as AppConnection, socket, gateway),
  };
}

it('a session whose server has ended and is lost in the same turn is closed, and gives its descriptor back', async () => {
  const { application, socket, session } = await forwarded();
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  // What the end of the server's octets does; its shutdown is under way when the loss is told.
  socket.end();
  session.reset();
  await eventually(() => closed, { what: 'the connection says that it is closed', timeoutMs: 2000 });
  application.destroy();
});

it('a session whose server is lost is told by a reset', async () => {
  const { application, session } = await forwarded();
  const told = once(application, 'error');
  application.resume();
  session.reset();
  assert.equal(((await told)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
});
