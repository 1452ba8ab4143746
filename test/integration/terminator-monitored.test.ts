import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, describe, it } from 'node:test';
import pg from 'pg';
import { CmClient } from '../../src/client/client.js';
import { encodeSessions } from '../../src/core/protocol/session-list.js';
import { ConmgrProcess } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import type { HeartbeatPeer } from '../support/heartbeat-peer.js';
import { LiveSet } from '../support/live-set.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { Relay } from '../support/relay.js';
import { type AddressedSession, isThere, sessionFrom } from '../support/sql-client.js';
import { TestWatchdog } from '../support/watchdog.js';

const ADMIN_SHUTDOWN = '57P01';
const MONITORED = { terminate_scope: 'monitored', restart_grace: '500ms', terminate_on: 'any' };

describe('with terminate_scope = monitored, a conmgr that falls silent loses', () => {
  let set: LiveSet;
  let second: ConmgrProcess;
  const stock: pg.Client[] = [];

  before(async () => {
    set = await LiveSet.start({
      watchdog: MONITORED,
      conmgr: { gateway_target_session_attrs: 'primary' },
    });
    second = await set.addConmgr();
  });
  after(async () => {
    await Promise.all(stock.map((client) => client.end().catch(() => {})));
    await set?.end();
  });

  const backend = async (client: pg.Client | CmClient): Promise<number> =>
    (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;

  async function stockClient(options: pg.ClientConfig): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      user: 'postgres',
      database: 'postgres',
      ...options,
    });
    client.on('error', () => {});
    stock.push(client);
    await client.connect();
    return client;
  }

  async function reported(count: number): Promise<void> {
    await eventually(
      async () =>
        (await set.watchdogs[0].status()).links.reduce((sum, link) => sum + (link.sessions ?? 0), 0) ===
        count,
      { what: `${count} sessions are reported` },
    );
  }

  it('the sessions that it watches, aware and forwarded, and neither those of its neighbour nor direct ones', async () => {
    const { primary } = set.pair;
    const aware = await backend(await set.client({ target_session_attrs: 'primary' }));
    const forwarded = await backend(await stockClient({ port: set.conmgr.port }));
    const kept = [
      await set.client({ target_session_attrs: 'primary', port: second.port }),
      await stockClient({ port: second.port }),
      await stockClient({ host: primary.host, port: primary.port }),
    ];
    // One that was watched and has ended is none any more.
    const gone = await set.client({ target_session_attrs: 'primary' });
    await reported(5);
    await gone.end();
    await reported(4);
    await set.trusted();
    set.conmgr.running.kill('SIGSTOP');
    for (const pid of [aware, forwarded])
      await eventually(async () => !(await isThere(primary, pid)), { what: `${pid} is ended` });
    await set.watchdogs[0].line(/LOG: {2}ended 2 sessions of 127\.0\.0\.1: heartbeat link of .* timed out/);
    for (const client of kept) assert.ok((await backend(client)) > 0);
    const { exceptions } = (await set.watchdogs[0].status()).terminator;
    assert.ok(exceptions.some(({ kind }) => kind === 'unreported'));
  });

  it('nothing more: back again it reports anew, and its new sessions are watched', async () => {
    set.conmgr.running.kill('SIGCONT');
    await set.conmgr.linked();
    const pid = await backend(await set.client({ target_session_attrs: 'primary' }));
    await reported(3);
    assert.ok(await isThere(set.pair.primary, pid));
  });
});

describe('with terminate_scope = monitored', () => {
  let server: Server;
  let watchdog: TestWatchdog;
  let nextAddress = 10;
  const address = (): string => `127.0.3.${nextAddress++}`;

  before(async () => {
    server = await startPrimary({ settings: { authentication_timeout: '5' } });
  });
  after(() => server?.end());
  afterEach(() => watchdog.stop());

  async function start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    watchdog = await TestWatchdog.start(server, {
      settings: { allowed_clients: '', exclude_replication: 'on', ...MONITORED, ...settings },
    });
    await eventually(async () => (await watchdog.status()).instance.state === 'up', { what: 'up' });
  }

  const connect = (from: string): Promise<HeartbeatPeer> =>
    watchdog.connect({ localAddress: from, intervalMs: 50, timeoutMs: 500 });

  /** The peer reports sessions; returns when the watchdog has read it. */
  async function report(
    peer: HeartbeatPeer,
    local: string,
    ...sessions: readonly { readonly port: number; readonly pid: number }[]
  ): Promise<void> {
    const ends = sessions.map(({ port, pid }) => ({ address: local, port, pid }));
    peer.send(encodeSessions('first', local, ends)!);
    await peer.prove();
  }

  async function lose(peer: HeartbeatPeer): Promise<void> {
    peer.fallSilent();
    await peer.closed;
  }

  const portOf = async ({ pid }: AddressedSession): Promise<number> =>
    Number(
      (await server.sql('select client_port from pg_stat_activity where pid = $1', [pid]))[0]?.[
        'client_port'
      ],
    );

  async function isKept({ client }: AddressedSession): Promise<void> {
    assert.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }]);
    await client.end();
  }

  it('a session is known by its address and port, and only what was reported is ended', async () => {
    await start();
    const from = address();
    const [own, other] = [await sessionFrom(server, from), await sessionFrom(server, from)];
    const peer = await connect(from);
    assert.equal((await peer.next('wantSessions')).wanted, 1);
    await report(peer, from, { port: await portOf(own), pid: 0 });
    await watchdog.line(/LOG: {2}loss of conmgr test:peer at .* would end the sessions that it reports/);
    await lose(peer);
    assert.equal(await own.ended, ADMIN_SHUTDOWN);
    await isKept(other);
  });

  it('behind address translation two conmgrs end their own sessions, by the process ID', async () => {
    await start();
    const from = address();
    const [first, second] = [await sessionFrom(server, from), await sessionFrom(server, from)];
    const [one, two] = [await connect(from), await connect(from)];
    // Both hosts use the same port; neither is the one that the server sees.
    await report(one, '192.168.0.1', { port: 40_000, pid: first.pid });
    await report(two, '192.168.0.2', { port: 40_000, pid: second.pid });
    await lose(one);
    assert.equal(await first.ended, ADMIN_SHUTDOWN);
    assert.ok(await isThere(server, second.pid));
    await two.goodbye('stop');
    assert.equal(await second.ended, ADMIN_SHUTDOWN);
  });

  it('a translated session whose process ID is not known is left alone, with a WARNING', async () => {
    await start();
    const from = address();
    const session = await sessionFrom(server, from);
    const peer = await connect(from);
    await report(peer, '192.168.0.1', { port: await portOf(session), pid: 0 });
    await lose(peer);
    await watchdog.line(/WARNING: .* is lost: 1 sessions that it reported cannot be recognised/);
    await isKept(session);
  });

  it('a conmgr cannot end sessions of another host by reporting them', async () => {
    await start();
    const [from, elsewhere] = [address(), address()];
    const session = await sessionFrom(server, elsewhere);
    const peer = await connect(from);
    await report(peer, elsewhere, { port: await portOf(session), pid: session.pid });
    await lose(peer);
    await watchdog.line(new RegExp(`ended 0 sessions of ${from}`));
    await isKept(session);
  });

  it('a conmgr that is too old to report ends nothing, and that is said', async () => {
    await start();
    const from = address();
    const session = await sessionFrom(server, from);
    const peer = await connect(from);
    await peer.prove();
    const [link] = (await watchdog.status()).links;
    assert.equal(link?.sessions, null);
    assert.match(link?.spared ?? '', /has not told which sessions it watches/);
    await lose(peer);
    await watchdog.line(new RegExp(`no session of ${from} is ended .*: it has not told which sessions`));
    await isKept(session);
  });

  it('what was reported on the link before holds for a moment, and is forgotten if an older conmgr has come back', async () => {
    await start({ restart_grace: '10' });
    const from = address();
    const session = await sessionFrom(server, from);
    const before = await connect(from);
    await report(before, from, { port: await portOf(session), pid: session.pid });
    await before.end();
    const again = await watchdog.open({
      localAddress: from,
      conmgrId: before.conmgrId,
      intervalMs: 200,
      timeoutMs: 5000,
    });
    again.hello();
    await again.next('welcome');
    const sessions = async (): Promise<number | null | undefined> =>
      (await watchdog.status()).links[0]?.sessions;
    assert.equal(await sessions(), 1);
    await again.prove(4);
    assert.equal(await sessions(), null);
    await again.end();
    await watchdog.line(new RegExp(`no session of ${from} is ended .*: it has not told which sessions`));
    await isKept(session);
  });

  it('a reload changes the scope: conmgrs are asked, or told that it is no longer wanted', async () => {
    await start({ terminate_scope: 'address' });
    const from = address();
    const session = await sessionFrom(server, from);
    const peer = await connect(from);
    await peer.prove();
    assert.ok(!peer.arrivals.some(({ message }) => message.name === 'wantSessions'));
    await server.append({ 'watchdog.terminate_scope': 'monitored' });
    watchdog.running.kill('SIGHUP');
    assert.equal((await peer.next('wantSessions')).wanted, 1);
    await report(peer, from);
    await server.append({ 'watchdog.terminate_scope': 'address' });
    watchdog.running.kill('SIGHUP');
    await peer.next('wantSessions', ({ wanted }) => wanted === 0);
    await lose(peer);
    assert.equal(await session.ended, ADMIN_SHUTDOWN);
  });

  it('what was reported is remembered over a restart of the watchdog', async () => {
    await start();
    const from = address();
    const [own, other] = [await sessionFrom(server, from), await sessionFrom(server, from)];
    const peer = await connect(from);
    await report(peer, from, { port: await portOf(own), pid: own.pid });
    const state = `${server.dataDir}/pg_stat_tmp/conmgr-watchdog.state`;
    await eventually(async () => readFile(state, 'utf8').then((text) => text.includes(`,${own.pid}]`)), {
      what: 'it is remembered',
    });
    watchdog.running.kill('SIGKILL');
    await watchdog.running.exit;
    watchdog = await watchdog.again();
    assert.equal(await own.ended, ADMIN_SHUTDOWN);
    await isKept(other);
  });

  it('ten thousand reported sessions are searched for the one that is there', async () => {
    await start();
    const from = address();
    const [own, other] = [await sessionFrom(server, from), await sessionFrom(server, from)];
    const peer = await connect(from);
    peer.send(encodeSessions('first', '::', [])!);
    const [mine, theirs] = [await portOf(own), await portOf(other)];
    const ports = Array.from({ length: 10_001 }, (_none, at) => 1024 + at).filter((port) => port !== theirs);
    for (let at = 0; at < ports.length; at += 500) {
      const ends = ports.slice(at, at + 500).map((port) => ({ address: from, port, pid: 0 }));
      peer.send(encodeSessions('added', from, ends)!);
    }
    peer.send(encodeSessions('added', from, [{ address: from, port: mine, pid: own.pid }])!);
    await peer.prove();
    assert.ok(((await watchdog.status()).links[0]?.sessions ?? 0) >= 10_000);
    await lose(peer);
    assert.equal(await own.ended, ADMIN_SHUTDOWN);
    await isKept(other);
  });
});

describe('with terminate_scope = monitored, behind address translation', () => {
  const OUTSIDE = '127.0.3.200';

  it('two real conmgrs of one address each lose their own sessions, aware and forwarded', async () => {
    const server = await startPrimary();
    const ends: (() => Promise<unknown> | unknown)[] = [() => server.end()];
    try {
      const watchdog = await TestWatchdog.start(server, { settings: MONITORED });
      ends.push(() => watchdog.stop('SIGKILL'));
      // What stands between gives every connection another address and port.
      const behind = (port: number): Promise<Relay> =>
        Relay.start({ host: server.host, port }, { localAddress: OUTSIDE });
      const [sql, heartbeats] = [await behind(server.port), await behind(watchdog.port)];
      ends.push(
        () => sql.close(),
        () => heartbeats.close(),
      );
      const scene = async () => {
        const conmgr = await ConmgrProcess.start({
          instances: [{ hostaddr: '127.0.0.1', backendPort: sql.port, watchdogPort: heartbeats.port }],
          settings: { heartbeat_timeout: '1s', gateway_target_session_attrs: 'primary' },
        });
        ends.push(() => conmgr.stop('SIGKILL'));
        await conmgr.linked();
        const config = { host: '127.0.0.1', port: conmgr.port, user: 'postgres', database: 'postgres' };
        const clients = [new CmClient(config), new pg.Client(config)];
        const pids: number[] = [];
        for (const client of clients) {
          client.on('error', () => {});
          // Not awaited: one of them is forwarded by a process that stands still.
          ends.push(() => void client.end().catch(() => {}));
          await client.connect();
          const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
          pids.push(rows[0]!.pid);
        }
        return { conmgr, clients, pids };
      };
      const [first, second] = [await scene(), await scene()];
      await eventually(
        async () => {
          const { links } = await watchdog.status();
          return links.length === 2 && links.every((link) => link.sessions === 2 && link.packetsReceived > 8);
        },
        { what: 'both have reported' },
      );
      first.conmgr.running.kill('SIGSTOP');
      for (const pid of first.pids)
        await eventually(async () => !(await isThere(server, pid)), { what: `${pid} is ended` });
      await watchdog.line(new RegExp(`ended 2 sessions of ${OUTSIDE.replaceAll('.', '\\.')}`));
      for (const client of second.clients)
        assert.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }]);
    } finally {
      for (const end of ends.reverse()) await end();
    }
  });
});
