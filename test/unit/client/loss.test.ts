import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { CmClientConfig } from '../../../src/client/options.js';
import { eventually } from '../../support/eventually.js';
import { offering } from '../../support/fake-conmgr.js';
import { conmgr, connected, endOf, instance, offer, portOf, rejection } from './scripted-peers.js';

describe('a loss', () => {
  async function session(config: CmClientConfig = {}, graceMs = 1000) {
    const primary = await instance();
    const fake = await conmgr(offering(offer(primary), graceMs));
    const { client, errors } = await connected([fake], config);
    const side = fake.sessions[0];
    assert.ok(side !== undefined);
    await side.bound;
    return { primary, fake, client, errors, side };
  }

  it('ends the session with 08006, the instance and the reason: the running query rejects, one error is emitted', async () => {
    const { primary, client, errors, side } = await session();
    const running = rejection(client.query('hang'));
    const queued = rejection(client.query('SELECT 2'));
    await eventually(() => primary.queries.includes('hang'), { what: 'the query runs' });
    const ended = endOf(client);
    side.drop(1, 'heartbeat timeout', 'no packet for 3 s');
    const expected = { instance: 1, host: '127.0.0.1', port: primary.port, reason: 'heartbeat timeout' };
    for (const error of [await running, await queued]) {
      assert.deepEqual([error.code, error.conmgr], ['08006', expected]);
    }
    await ended;
    assert.equal(errors.length, 1);
    assert.deepEqual(
      [errors[0]?.code, errors[0]?.conmgr, errors[0]?.detail],
      ['08006', expected, 'no packet for 3 s'],
    );
    assert.equal(client.status, 'bad');
    assert.equal(client.cmSocket(), undefined);
    assert.equal(await side.left, 'said goodbye');
    await eventually(() => primary.connections === 0, { what: 'the SQL connection is closed' });
  });

  it('ends a session under TLS in the same way', async () => {
    const server = await instance({ tls: true });
    const fake = await conmgr(offering(offer(server)));
    const { client, errors } = await connected([fake], { ssl: { rejectUnauthorized: false } });
    const running = rejection(client.query('hang'));
    await eventually(() => server.queries.includes('hang'), { what: 'the query runs' });
    fake.sessions[0]?.drop(1, 'link closed');
    assert.equal((await running).conmgr?.reason, 'link closed');
    assert.deepEqual(errors, [await running]);
    await eventually(() => server.connections === 0, { what: 'the SQL connection is closed' });
  });

  it('is not one when conmgr speaks of another instance or only advises', async () => {
    const { client, errors, side } = await session();
    side.drop(2, 'instance down');
    side.say({ kind: 'down', view: 2, instance: 1, action: 'advice', reason: 'operator', text: '' });
    side.say({ kind: 'changed', view: 3, instance: 1, bits: 0 }, { kind: 'ping' });
    side.bye('restart');
    await once(client.cmSocket() as NodeJS.EventEmitter, 'data');
    await portOf(client);
    assert.deepEqual(errors, []);
  });

  it('is a conmgr that vanishes without a word', async () => {
    const { client, errors, fake } = await session();
    const ended = endOf(client);
    await fake.stop();
    await ended;
    assert.equal(errors[0]?.code, '08006');
    assert.equal(errors[0]?.conmgr?.reason, 'conmgr gone');
  });

  it('is a conmgr that breaks the protocol', async () => {
    for (const garbage of ['HTTP/1.1 500\r\n', 'm\u0000\u00ff\u00ff\u00ff', 'm\0\0\0\u0005\u0003']) {
      const { client, errors, side } = await session();
      const ended = endOf(client);
      side.socket.write(Buffer.from(garbage, 'latin1'));
      await ended;
      assert.equal(errors[0]?.conmgr?.reason, 'conmgr gone', garbage);
    }
  });

  it('is a conmgr that closes its half of the connection', async () => {
    const { client, errors, side } = await session();
    const ended = endOf(client);
    side.socket.end();
    await ended;
    assert.equal(errors[0]?.conmgr?.reason, 'conmgr gone');
  });

  it('is a conmgr that stops', async () => {
    const { client, errors, side } = await session();
    const ended = endOf(client);
    side.bye('stop');
    await ended;
    assert.equal(errors[0]?.conmgr?.reason, 'conmgr stopped');
  });

  it('is not the end of conmgr with conmgrLost: "keep"', async () => {
    const { primary, client, errors, side } = await session({ conmgrLost: 'keep' });
    side.bye('stop');
    assert.equal(await side.left, 'said goodbye');
    assert.equal(client.cmSocket(), undefined);
    assert.equal(await portOf(client), primary.port);
    assert.deepEqual(errors, []);
  });

  it('is a server that closes without a code: 08006 too', async () => {
    const { primary, client, errors, side } = await session();
    const running = rejection(client.query('hang'));
    await eventually(() => primary.queries.includes('hang'), { what: 'the query runs' });
    primary.cut();
    assert.equal((await running).code, '08006');
    assert.equal(errors.length, 1);
    assert.equal(errors[0]?.conmgr?.reason, 'connection closed');
    assert.equal(await side.left, 'said goodbye');
  });

  it('is a connection that the operating system broke: 08006 too, with its error as the cause', async () => {
    const { client, errors } = await session();
    const running = rejection(client.query('hang'));
    const { stream } = client.connection;
    stream.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }));
    const error = await running;
    assert.deepEqual([error.code, error.conmgr?.reason], ['08006', 'connection closed']);
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'ECONNRESET');
    assert.deepEqual(errors, [error]);
  });

  it('is reported with 08006 also for a host used directly', async () => {
    const server = await instance();
    const { client, errors } = await connected([server]);
    const ended = endOf(client);
    server.cut();
    await ended;
    assert.equal(errors[0]?.code, '08006');
    assert.equal(errors[0]?.conmgr, undefined);
  });

  it('that comes before the connection is complete makes the client go on to the next host', async () => {
    const primary = await instance();
    const leaving = await conmgr((session) => {
      session.offer(offer(primary));
      session.socket.end();
    });
    const staying = await conmgr(offering(offer(primary)));
    const { client } = await connected([leaving, staying]);
    assert.equal(await portOf(client), primary.port);
    await staying.sessions[0]?.bound;
  });
});

describe('a restart of conmgr', () => {
  async function restarting(graceMs: number, config: CmClientConfig = {}) {
    const primary = await instance();
    const fake = await conmgr(offering(offer(primary), graceMs));
    const { client, errors } = await connected([fake], config);
    const before = fake.sessions[0];
    await before?.bound;
    return { primary, fake, client, errors, before };
  }

  it('keeps the session: the client attaches again and tells where it is bound', async () => {
    const { primary, fake, client, errors, before } = await restarting(10_000);
    const first = await before?.bound;
    before?.bye('restart');
    await fake.stop();
    assert.equal(await portOf(client), primary.port);
    await fake.listen();
    const after = await fake.nextSession();
    assert.equal(after.ask.attach, 1);
    assert.deepEqual(await after.bound, first);
    assert.deepEqual(errors, []);
    assert.ok(client.cmSocket() !== undefined);
  });

  it('does not end the watching: a loss told by the new conmgr counts', async () => {
    const { fake, client, errors, before } = await restarting(10_000);
    before?.bye('restart');
    await fake.stop();
    await fake.listen();
    const after = await fake.nextSession();
    await after.bound;
    const ended = endOf(client);
    after.drop(1, 'instance down');
    await ended;
    assert.equal(errors[0]?.conmgr?.reason, 'instance down');
  });

  it('takes word of a loss that comes with the first answer of the new conmgr', async () => {
    const { fake, client, errors, before } = await restarting(10_000);
    fake.script = (session) => {
      session.offer([]);
      session.drop(1, 'instance down');
    };
    const ended = endOf(client);
    before?.bye('restart');
    before?.socket.end();
    await ended;
    assert.equal(errors[0]?.conmgr?.reason, 'instance down');
  });

  it('that takes longer than the grace is a loss', async () => {
    const { fake, client, errors, before } = await restarting(150);
    const ended = endOf(client);
    before?.bye('restart');
    await fake.stop();
    await ended;
    assert.equal(errors[0]?.conmgr?.reason, 'conmgr gone');
  });

  it('with conmgrLost: "keep" may be a crash, and may even be for ever', async () => {
    const { primary, fake, client, errors } = await restarting(150, { conmgrLost: 'keep' });
    await fake.stop();
    await fake.listen();
    const after = await fake.nextSession();
    await after.bound;
    await fake.stop();
    await eventually(() => client.cmSocket() === undefined, { what: 'the side socket is gone' });
    assert.equal(await portOf(client), primary.port);
    assert.deepEqual(errors, []);
  });

  it('is waited for while the new conmgr still refuses', async () => {
    const { primary, fake, client, errors, before } = await restarting(10_000);
    fake.script = (session) => session.refuse('57P03', 'conmgr: starting');
    const refused = fake.nextSession();
    before?.bye('restart');
    before?.socket.end();
    await refused;
    fake.script = offering([]);
    const after = await fake.nextSession();
    await after.bound;
    assert.equal(await portOf(client), primary.port);
    assert.deepEqual(errors, []);
  });
});
