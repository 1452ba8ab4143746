import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CmClient } from '../../../src/client/client.js';
import { CmError } from '../../../src/client/errors.js';
import { CLIENT_MESSAGES } from '../../../src/core/messages/client.js';
import { eventually } from '../../support/eventually.js';
import { offering } from '../../support/fake-conmgr.js';
import { freePort } from '../../support/free-ports.js';
import { conmgr, connected, endOf, instance, newClient, offer, portOf, rejection } from './scripted-peers.js';

describe('connecting through conmgr', () => {
  it('goes straight to the instance that conmgr offers, and shows it as its own host and port', async () => {
    const primary = await instance();
    const fake = await conmgr(offering(offer(primary)));
    const { client } = await connected([fake], { target_session_attrs: 'read-write' });
    assert.equal(await portOf(client), primary.port);
    assert.deepEqual([client.host, client.port], ['127.0.0.1', primary.port]);
    assert.deepEqual(client.cmInstance, { instance: 1, host: '127.0.0.1', port: primary.port });
    assert.equal(fake.sessions[0]?.ask.target, 'read-write');
    assert.equal(primary.startups.length, 1);
    assert.equal(primary.startups[0]?.params.has('_pq_.conmgr'), false);
  });

  it('tells conmgr the instance and the local end of the SQL connection', async () => {
    const primary = await instance();
    const fake = await conmgr(offering(offer(primary)));
    const { client } = await connected([fake]);
    const bound = await fake.sessions[0]?.bound;
    const stream = (client as unknown as { connection: { stream: { localPort: number } } }).connection.stream;
    assert.deepEqual(bound, { kind: 'bound', instance: 1, port: stream.localPort, address: '127.0.0.1' });
  });

  it('works with a callback, which gets the client', async () => {
    const primary = await instance();
    const client = newClient([await conmgr(offering(offer(primary)))]);
    const got = await new Promise((resolve, reject) =>
      client.connect((error: Error | null, same?: unknown) =>
        error === null ? resolve(same) : reject(error),
      ),
    );
    assert.equal(got, client);
  });

  it('gives the error to the callback', async () => {
    const client = newClient([{ port: await freePort() }]);
    const error = await new Promise((resolve) =>
      client.connect(((one: Error) => resolve(one)) as () => void),
    );
    assert.equal((error as CmError).code, '08001');
  });

  it('runs queries that were issued before it was connected', async () => {
    const primary = await instance();
    const client = newClient([await conmgr(offering(offer(primary)))]);
    const query = portOf(client);
    await client.connect();
    assert.equal(await query, primary.port);
  });

  it('passes on what was hung on its connection before it was connected, as Sequelize does', async () => {
    const primary = await instance();
    const client = newClient([await conmgr(offering(offer(primary)))]);
    const parameters: string[] = [];
    const listener = (message: { parameterName: string }) => parameters.push(message.parameterName);
    (client.connection as NodeJS.EventEmitter).on('parameterStatus', listener);
    await client.connect();
    assert.deepEqual(parameters, ['in_hot_standby', 'default_transaction_read_only']);
    (client.connection as NodeJS.EventEmitter).removeListener('parameterStatus', listener);
    assert.equal(client.connection.listenerCount('parameterStatus'), 0);
  });

  it('shows in its status where it is', async () => {
    const primary = await instance();
    const seen: string[] = [];
    const fake = await conmgr((session) => {
      seen.push(client.status);
      session.offer(offer(primary));
    });
    const client = newClient([fake]);
    seen.push(client.status);
    const connecting = client.connect();
    seen.push(client.status);
    await connecting;
    seen.push(client.status);
    await client.end();
    seen.push(client.status);
    assert.deepEqual(seen, ['needed', 'awaiting_cm_response', 'awaiting_cm_response', 'ok', 'bad']);
  });

  it('cannot be connected twice', async () => {
    const primary = await instance();
    const { client } = await connected([await conmgr(offering(offer(primary)))]);
    assert.match((await rejection(client.connect())).message, /already been connected/);
  });

  it("connects to the address of conmgr's own link and keeps the name", async () => {
    const primary = await instance();
    const offered = { instance: 1, port: primary.port, host: 'db.test', hostaddr: '127.0.0.1' };
    const { client } = await connected([await conmgr(offering([offered]))]);
    assert.equal(client.host, 'db.test');
    assert.equal(await portOf(client), primary.port);
  });

  it('lets a client of its own cancel at the real server', async () => {
    const primary = await instance();
    const fake = await conmgr(
      offering([{ instance: 1, port: primary.port, host: 'db.test', hostaddr: '127.0.0.1' }]),
    );
    const { client } = await connected([fake]);
    const hanging = client.query('hang');
    const { activeQuery } = client as unknown as { activeQuery: unknown };
    // As with pg, a client that cancelled has no session to end.
    new CmClient({ host: '127.0.0.1', port: fake.port }).cancel(client, activeQuery);
    await eventually(() => primary.cancels.length === 1, { what: 'the cancel request arrives' });
    assert.deepEqual(primary.cancels, [4711]);
    primary.cut();
    await assert.rejects(hanging);
  });

  it('tries the next candidate when one refuses, then asks again without those that failed', async () => {
    const [first, second, third] = await Promise.all([
      instance({ refusal: { sqlState: '57P03', message: 'the database system is starting up' } }),
      instance({ refusal: { sqlState: '53300', message: 'sorry, too many clients already' } }),
      instance(),
    ]);
    const all = offer(first, second, third);
    const fake = await conmgr((session) =>
      session.offer(all.slice(session.ask.exclude.length, session.ask.exclude.length + 2)),
    );
    const { client } = await connected([fake]);
    assert.equal(await portOf(client), third.port);
    assert.deepEqual(
      fake.sessions.map((session) => session.ask.exclude),
      [[], [1, 2]],
    );
    assert.equal(await fake.sessions[0]?.left, 'said goodbye');
  });

  it('does not wait for a candidate that conmgr calls down meanwhile', async () => {
    const dead = await instance({ silent: true });
    const alive = await instance();
    const fake = await conmgr(offering(offer(dead, alive)));
    const client = newClient([fake]);
    const connecting = client.connect();
    await eventually(() => dead.startups.length === 1, { what: 'the dead server is tried' });
    fake.sessions[0]?.drop(1, 'heartbeat timeout');
    await connecting;
    assert.equal(await portOf(client), alive.port);
    assert.equal((await fake.sessions[0]?.bound)?.instance, 2);
  });

  it('goes on to the next host of the list when conmgr has nothing', async () => {
    const primary = await instance();
    const empty = await conmgr((session) => session.refuse('57P03', 'conmgr: no instance fits'));
    const full = await conmgr(offering(offer(primary)));
    const { client } = await connected([{ port: await freePort() }, empty, full]);
    assert.equal(await portOf(client), primary.port);
  });

  it('does not try a wrong password anywhere else', async () => {
    const refusal = { sqlState: '28P01', message: 'password authentication failed for user "me"' };
    const [first, second] = await Promise.all([instance({ refusal }), instance()]);
    const error = await rejection(newClient([await conmgr(offering(offer(first, second)))]).connect());
    assert.equal(error.code, '28P01');
    assert.equal(second.startups.length, 0);
  });

  it('gives each server the password of the options, not the one found for another', async () => {
    const first = await instance({ wantsPassword: true, standby: true });
    const second = await instance({ wantsPassword: true });
    const asked: number[] = [];
    const { client } = await connected([await conmgr(offering(offer(first, second)))], {
      target_session_attrs: 'primary',
      password: () => `password ${asked.push(1)}`,
    });
    assert.equal(await portOf(client), second.port);
    assert.deepEqual([...first.passwords, ...second.passwords], ['password 1', 'password 2']);
  });

  it('gathers the errors of all attempts', async () => {
    const starting = await instance({
      refusal: { sqlState: '57P03', message: 'the database system is starting up' },
    });
    const fake = await conmgr(offering(offer(starting)));
    const error = await rejection(newClient([{ port: await freePort() }, fake]).connect());
    assert.ok(error instanceof CmError);
    assert.equal(error.code, '57P03');
    assert.equal(error.cmCode, CLIENT_MESSAGES.noSession.code);
    assert.match(error.message, /ECONNREFUSED.*starting up/);
    assert.equal(error.errors.length, 3);
    assert.equal(error.cause, error.errors[2]);
  });

  it('rejects with 08001 when nobody could be reached, and rejects queries that wait', async () => {
    const client = newClient([{ port: await freePort() }]);
    const query = rejection(client.query('SELECT 1'));
    const ended = endOf(client);
    assert.equal((await rejection(client.connect())).code, '08001');
    assert.equal((await query).code, '08001');
    await ended;
    await client.end();
  });
});

describe('the limit of time', () => {
  it('covers both phases together', async () => {
    const silent = await conmgr(() => {});
    const started = performance.now();
    const error = await rejection(newClient([silent], { connectionTimeoutMillis: 100 }).connect());
    assert.match(error.message, /timeout expired/);
    assert.ok(performance.now() - started < 1000);
  });

  it('is shared: a silent host does not use up what the next one needs', async () => {
    const primary = await instance();
    const silent = await conmgr(() => {});
    const { client } = await connected([silent, await conmgr(offering(offer(primary)))], {
      connectionTimeoutMillis: 400,
    });
    assert.equal(await portOf(client), primary.port);
  });
});

describe('ending a client', () => {
  it('says goodbye to conmgr and to the server', async () => {
    const primary = await instance();
    const fake = await conmgr(offering(offer(primary)));
    const { client, errors } = await connected([fake]);
    await client.end();
    assert.equal(await fake.sessions[0]?.left, 'said goodbye');
    await eventually(() => primary.connections === 0, { what: 'the server sees the end' });
    assert.deepEqual(errors, []);
  });

  it('that waits for conmgr makes connect() reject', async () => {
    const fake = await conmgr(() => {});
    const client = newClient([fake]);
    const connecting = rejection(client.connect());
    await fake.nextSession();
    await client.end();
    assert.match((await connecting).message, /closed while it was connecting/);
    assert.equal(await fake.sessions[0]?.left, 'vanished');
  });

  it('that is connecting to a server makes connect() reject, and leaves both', async () => {
    const silent = await instance({ silent: true });
    const fake = await conmgr(offering(offer(silent)));
    const client = newClient([fake]);
    const connecting = rejection(client.connect());
    await eventually(() => client.status === 'connecting', { what: 'the second phase begins' });
    await client.end();
    assert.match((await connecting).message, /closed while it was connecting/);
    assert.equal(await fake.sessions[0]?.left, 'said goodbye');
  });
});
