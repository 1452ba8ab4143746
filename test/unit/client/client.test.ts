import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { CmClient } from '../../../src/client/client.js';
import { CmError } from '../../../src/client/errors.js';
import type { CmClientConfig } from '../../../src/client/options.js';
import { CLIENT_MESSAGES } from '../../../src/core/messages/client.js';
import { TEST_CERTIFICATE } from '../../support/certificate.js';
import { eventually } from '../../support/eventually.js';
import { FakeConmgr, type OfferedInstance, offering, type Script } from '../../support/fake-conmgr.js';
import { FakeInstance, type InstanceBehaviour } from '../../support/fake-instance.js';
import { freePort } from '../../support/free-ports.js';

const closing: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function instance(behaviour: Partial<InstanceBehaviour> = {}): Promise<FakeInstance> {
  const fake = await FakeInstance.start(behaviour);
  closing.push(() => fake.stop());
  return fake;
}

async function conmgr(script: Script): Promise<FakeConmgr> {
  const fake = await FakeConmgr.start(script);
  closing.push(() => fake.stop());
  return fake;
}

const offer = (...fakes: FakeInstance[]): OfferedInstance[] =>
  fakes.map((fake, index) => ({
    instance: index + 1,
    port: fake.port,
    role: fake.behaviour.standby ? 'standby' : 'primary',
  }));

function newClient(peers: readonly { readonly port: number }[], config: CmClientConfig = {}): CmClient {
  const client = new CmClient({
    host: peers.map(() => '127.0.0.1'),
    port: peers.map((one) => one.port),
    user: 'me',
    database: 'db',
    ...config,
  });
  closing.push(() => client.end());
  return client;
}

/** A client whose errors are collected. */
async function connected(peers: readonly { readonly port: number }[], config: CmClientConfig = {}) {
  const client = newClient(peers, config);
  const errors: CmError[] = [];
  client.on('error', (error) => errors.push(error as CmError));
  await client.connect();
  return { client, errors };
}

async function portOf(client: CmClient): Promise<number> {
  const { rows } = await client.query('SELECT port');
  return Number(rows[0]?.c0);
}

/** events.once() would reject for the error that comes first. */
function endOf(client: CmClient): Promise<void> {
  return new Promise((resolve) => client.once('end', resolve));
}

async function rejection(promise: Promise<unknown>): Promise<CmError> {
  try {
    await promise;
  } catch (error) {
    return error as CmError;
  }
  return assert.fail('nothing was rejected');
}

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

describe('hosts that are not a conmgr', () => {
  it('are used directly, and asked once in ten minutes', async () => {
    const server = await instance();
    const { client } = await connected([server]);
    assert.equal(await portOf(client), server.port);
    assert.equal(client.cmInstance, undefined);
    assert.equal(client.cmSocket(), undefined);
    assert.equal(server.startups.length, 2);
    await connected([server]);
    assert.equal(server.startups.length, 3);
  });

  it('are used without the option when they choke on it', async () => {
    const pooler = await instance({ onUnknownOption: 'choke' });
    const { client } = await connected([pooler]);
    assert.equal(await portOf(client), pooler.port);
    assert.equal(pooler.startups[1]?.params.has('_pq_.conmgr'), false);
  });

  it('are refused with conmgr: "require"', async () => {
    const server = await instance();
    const error = await rejection(newClient([server], { conmgr: 'require' }).connect());
    assert.equal((error.errors[0] as CmError).cmCode, CLIENT_MESSAGES.notConmgr.code);
  });

  it('are never asked with conmgr: "off", and the list still works', async () => {
    const standby = await instance({ standby: true });
    const primary = await instance();
    const { client } = await connected([standby, primary], {
      conmgr: 'off',
      target_session_attrs: 'primary',
    });
    assert.equal(await portOf(client), primary.port);
    for (const { params } of [...standby.startups, ...primary.startups]) {
      assert.equal(params.has('_pq_.conmgr'), false);
    }
  });

  it('do not get a user name before TLS is there', async () => {
    const server = await instance({ tls: true });
    const { client } = await connected([server], { ssl: { rejectUnauthorized: false } });
    assert.equal(await portOf(client), server.port);
    const [asked, real] = server.startups;
    assert.deepEqual([asked?.overTls, asked?.params.has('user')], [false, false]);
    assert.deepEqual([real?.overTls, real?.params.get('user')], [true, 'me']);
  });

  it('get the real name for TLS when conmgr names them', async () => {
    const server = await instance({ tls: true });
    const offered = { instance: 1, port: server.port, host: 'db.test', hostaddr: '127.0.0.1' };
    const fake = await conmgr(offering([offered]));
    const { client } = await connected([fake], { ssl: { ca: TEST_CERTIFICATE.cert } });
    assert.equal(await portOf(client), server.port);
    assert.equal(server.startups[0]?.serverName, 'db.test');
    assert.equal(fake.sessions[0]?.params.has('user'), false);
    const wrongName = await conmgr(offering([{ ...offered, host: 'other.test' }]));
    const error = await rejection(newClient([wrongName], { ssl: { ca: TEST_CERTIFICATE.cert } }).connect());
    assert.match(error.message, /other\.test/);
  });

  it('keep to the transport that the application brought, without any question', async () => {
    const server = await instance();
    const stream = new Socket() as unknown as () => Duplex;
    const { client } = await connected([server], { stream });
    assert.equal(await portOf(client), server.port);
    assert.equal(server.startups.length, 1);
  });

  it('get a new stream of the application for every attempt', async () => {
    const [first, second] = [await instance({ standby: true }), await instance()];
    const made: unknown[] = [];
    const stream = () => {
      const socket = new Socket();
      made.push(socket);
      return socket;
    };
    const fake = await conmgr(offering(offer(first, second)));
    const { client } = await connected([fake], { stream, target_session_attrs: 'primary' });
    assert.equal(await portOf(client), second.port);
    assert.equal(made.length, 2);
  });
});

describe('the role of the server', () => {
  it('is checked after connecting, and the next candidate tried when conmgr was wrong', async () => {
    const demoted = await instance({ standby: true });
    const primary = await instance();
    const fake = await conmgr(
      offering([
        { instance: 1, port: demoted.port },
        { instance: 2, port: primary.port },
      ]),
    );
    const { client } = await connected([fake], { target_session_attrs: 'read-write' });
    assert.equal(await portOf(client), primary.port);
    assert.deepEqual(demoted.queries, []);
    await eventually(() => demoted.connections === 0, { what: 'the wrong server is left' });
  });

  it('is asked for with a query where the server does not report it', async () => {
    const demoted = await instance({ standby: true, reportsRole: false });
    const primary = await instance({ reportsRole: false });
    const fake = await conmgr(
      offering([
        { instance: 1, port: demoted.port },
        { instance: 2, port: primary.port },
      ]),
    );
    const client = newClient([fake], { target_session_attrs: 'read-write' });
    const queued = portOf(client);
    await client.connect();
    assert.equal(await queued, primary.port);
    assert.equal(demoted.queries.length, 1);
    assert.match(demoted.queries[0] ?? '', /pg_is_in_recovery/);
  });

  it('ends in 57P03 when no server has it', async () => {
    const standby = await instance({ standby: true });
    const error = await rejection(newClient([standby], { target_session_attrs: 'primary' }).connect());
    assert.equal(error.code, '57P03');
    assert.match(error.message, /is a standby, which is not "primary"/);
  });

  it('is any for a session that wants any: nothing is asked', async () => {
    const server = await instance({ reportsRole: false });
    await connected([server], { conmgr: 'off' });
    assert.deepEqual(server.queries, []);
  });

  it('prefer-standby takes a standby behind a primary, and the primary when there is no standby', async () => {
    const primary = await instance();
    const standby = await instance({ standby: true });
    const options = { conmgr: 'off', target_session_attrs: 'prefer-standby' } as const;
    assert.equal(await portOf((await connected([primary, standby], options)).client), standby.port);
    assert.equal(await portOf((await connected([primary], options)).client), primary.port);
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
