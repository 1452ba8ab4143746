import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { encodeSessions } from '../../src/core/protocol/session-list.js';
import { eventually } from '../support/eventually.js';
import type { HeartbeatPeer } from '../support/heartbeat-peer.js';
import { addStandby, type Server, startPrimary } from '../support/postgres.js';
import { isThere, sessionFrom } from '../support/sql-client.js';
import { TestWatchdog } from '../support/watchdog.js';

const ADMIN_SHUTDOWN = '57P01';

/** How a conmgr goes. */
const DEPARTURES: Readonly<Record<string, (peer: HeartbeatPeer) => unknown>> = {
  timeout: (peer) => peer.fallSilent(),
  'closed without goodbye': (peer) => peer.end(),
  'goodbye, restarting': (peer) => peer.goodbye('restart'),
  'goodbye, stopping': (peer) => peer.goodbye('stop'),
  'goodbye, host shutdown': (peer) => peer.goodbye('hostShutdown'),
};
/** Which of them end the sessions of its address. */
const ENDING: Readonly<Record<'any' | 'lost' | 'never', readonly string[]>> = {
  any: Object.keys(DEPARTURES),
  lost: ['timeout', 'closed without goodbye', 'goodbye, restarting'],
  never: [],
};

let server: Server;
let watchdog: TestWatchdog;
let nextAddress = 10;

before(async () => {
  server = await startPrimary();
});
after(() => server?.end());
afterEach(() => watchdog.stop());

async function start(settings: Readonly<Record<string, string>>): Promise<void> {
  watchdog = await TestWatchdog.start(server, {
    settings: { restart_grace: '500ms', allowed_clients: '', ...settings },
  });
  await eventually(async () => (await watchdog.status()).instance.state === 'up', { what: 'up' });
}

for (const [value, ending] of Object.entries(ENDING)) {
  for (const scope of ['address', 'monitored']) {
    it(`terminate_on = ${value}, terminate_scope = ${scope}: ${ending.join('; ') || 'nothing'} ends sessions`, async () => {
      await start({ terminate_on: value, terminate_scope: scope });
      for (const [departure, depart] of Object.entries(DEPARTURES)) {
        const from = `127.0.0.${nextAddress++}`;
        const session = await sessionFrom(server, from);
        const peer = await watchdog.connect({ localAddress: from, intervalMs: 50, timeoutMs: 500 });
        if (scope === 'monitored') await report(peer, from, session.pid);
        await peer.prove();
        await depart(peer);
        if (ending.includes(departure)) {
          assert.equal(await session.ended, ADMIN_SHUTDOWN, departure);
          continue;
        }
        const words =
          value === 'never' ? 'is lost: 1 sessions would be ended' : `no session of ${from} is ended`;
        await watchdog.line(new RegExp(words.includes(from) ? words : `at ${from} ${words}`));
        assert.ok(await isThere(server, session.pid), departure);
        await session.client.end();
      }
    });
  }
}

describe('a host with a standby, whose walsender streams to it', () => {
  let standby: Server;
  before(async () => {
    standby = await addStandby(server);
  });
  after(() => standby?.end());

  const walsender = async (): Promise<number> => {
    const rows = () =>
      server.sql<{ pid: number }>(
        "select pid from pg_stat_replication where state = 'streaming' and client_addr = '127.0.0.1'",
      );
    return (await eventually(async () => (await rows())[0]?.pid ?? false, {
      what: 'the standby streams',
    })) as number;
  };
  /** Loses a conmgr of the host; `watched`: the walsender is among what it has reported. */
  async function lose(pid: number, scope: string): Promise<void> {
    const peer = await watchdog.connect({ localAddress: '127.0.0.1', intervalMs: 50, timeoutMs: 500 });
    if (scope === 'monitored') await report(peer, '127.0.0.1', pid);
    await peer.prove();
    peer.fallSilent();
    await peer.closed;
  }
  /** The standby has what was written just now. */
  async function follows(): Promise<void> {
    const [row] = await server.sql<{ at: string }>(
      "select pg_logical_emit_message(false, 't', 'x')::text as at",
    );
    await eventually(
      async () =>
        (await standby.sql('select pg_last_wal_replay_lsn() >= $1::pg_lsn as has', [row?.at]))[0]?.['has'],
      { what: 'the standby has replayed it' },
    );
  }

  for (const scope of ['address', 'monitored']) {
    it(`keeps it with exclude_replication = on, terminate_scope = ${scope}`, async () => {
      await start({ exclude_replication: 'on', terminate_on: 'any', terminate_scope: scope });
      const pid = await walsender();
      await lose(pid, scope);
      await watchdog.line(/ended 0 sessions of 127\.0\.0\.1/);
      await watchdog.line(/DETAIL: {2}.*1 replication connections are spared/);
      assert.equal(await walsender(), pid);
      await follows();
    });

    it(`loses it with exclude_replication = off, terminate_scope = ${scope}, and connects again`, async () => {
      await start({ exclude_replication: 'off', terminate_on: 'any', terminate_scope: scope });
      const pid = await walsender();
      await lose(pid, scope);
      await eventually(async () => !(await isThere(server, pid)), { what: 'it is ended' });
      assert.notEqual(await walsender(), pid);
      await follows();
    });
  }
});

/** The peer reports the session as its own. */
async function report(peer: HeartbeatPeer, from: string, pid: number): Promise<void> {
  const [row] = await server.sql('select client_port from pg_stat_activity where pid = $1', [pid]);
  const end = { address: from, port: Number(row?.['client_port']), pid };
  peer.send(encodeSessions('first', from, [end])!);
}
