import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { ConmgrProcess, type ConmgrSettings } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { asServer, giveToServers } from '../support/postgres-account.js';
import { built } from '../support/programs.js';
import { type Running, startCommand } from '../support/running.js';
import { isThere } from '../support/sql-client.js';
import { temporaryDirectory } from '../support/tree.js';
import { TestWatchdog } from '../support/watchdog.js';
import { KernelParts } from './parts.js';
import { setUpNetwork } from './place.js';
import { OUTSIDE, type TranslatedHost, TranslatedNetwork } from './translated-network.js';

/** Fast enough for a test, with a time-out that a busy machine keeps. */
const SETTINGS: ConmgrSettings = { heartbeat_timeout: '1500ms', gateway_target_session_attrs: 'primary' };

/** Connects, says the process ID of its backend, and how its session ends. */
const APPLICATION = `
  const [kind, library, host, port] = process.argv.slice(1);
  const { [kind]: Client } = require(library);
  const client = new Client({ host, port: Number(port), user: 'postgres', database: 'postgres' });
  client.on('error', () => {});
  client.on('end', () => console.log('ended'));
  client.connect().then(() => client.query('select pg_backend_pid() as pid'))
    .then(({ rows }) => console.log('backend', rows[0].pid));`;
const LIBRARIES = {
  CmClient: built('client/index.cjs'),
  Client: createRequire(import.meta.url).resolve('pg'),
};

const endings: (() => Promise<unknown> | unknown)[] = [];
const later = (end: () => Promise<unknown> | unknown): void => void endings.push(end);
const endAll = async (): Promise<void> => {
  for (const end of endings.splice(0).reverse()) await end();
};

/** An application that has its session. */
async function application(
  kind: keyof typeof LIBRARIES,
  host: string,
  port: number,
  within: readonly string[] = [],
): Promise<{ readonly pid: number; readonly program: Running }> {
  const words = ['-e', APPLICATION, kind, LIBRARIES[kind], host, String(port)];
  const program = startCommand(process.execPath, words, { within });
  later(() => program.stop('SIGKILL'));
  const [, pid] = await program.waitForLine(/^backend (\d+)$/);
  return { pid: Number(pid), program };
}

async function gone(server: Server, pids: readonly number[]): Promise<void> {
  for (const pid of pids)
    await eventually(async () => !(await isThere(server, pid)), { what: `${pid} is ended` });
}

/** The watchdog knows so many sessions of each conmgr, and each conmgr long enough for its end to cost them. */
async function reported(watchdog: TestWatchdog, ...counts: readonly (number | null)[]): Promise<void> {
  await eventually(
    async () => {
      const { links } = await watchdog.status();
      const sessions = links.map((link) => link.sessions).sort();
      return String(sessions) === String([...counts].sort()) && links.every((one) => one.packetsReceived > 8);
    },
    { what: `${counts} sessions are reported` },
  );
}

before(() => {
  setUpNetwork();
  chmodSync(dirname(temporaryDirectory()), 0o711);
});
afterEach(endAll);

describe('with terminate_scope = monitored, a conmgr that falls silent loses', () => {
  let server: Server;
  let watchdog: TestWatchdog;
  let listener: number;
  before(async () => {
    server = await startPrimary();
    watchdog = await TestWatchdog.start(server, { settings: { terminate_scope: 'monitored' } });
  });
  after(async () => {
    await watchdog?.stop();
    await server?.end();
  });

  /** conmgr with the helper, a listener that is redirected, and an application by each way. */
  const scene = async (name: string, settings: ConmgrSettings) => {
    listener = await freePort();
    const parts = await KernelParts.start(name, [[server.host, server.port]], [listener]);
    later(() => parts.end());
    const start = async (more: ConmgrSettings): Promise<ConmgrProcess> => {
      const directory = temporaryDirectory('cm-');
      giveToServers(directory);
      const conmgr = await ConmgrProcess.start({
        directory,
        within: asServer(),
        env: parts.env,
        instances: [{ host: server.host, backendPort: server.port, watchdogPort: watchdog.port }],
        settings: { ...SETTINGS, ...settings, ...more },
      });
      later(() => conmgr.stop('SIGKILL'));
      await conmgr.linked();
      return conmgr;
    };
    const conmgr = await start({ listener_port0: listener, listener_target_session_attrs0: 'primary' });
    await conmgr.until('the listener is redirected', ({ kernel }) =>
      Boolean(kernel?.listeners.every(({ via, instances }) => via === 'redirect' && instances.length > 0)),
    );
    return {
      conmgr,
      start,
      redirected: await application('Client', 'localhost', listener, parts.within),
      aware: await application('CmClient', 'localhost', conmgr.port),
      direct: await application('Client', server.host, server.port),
    };
  };

  it('sessions that the kernel has led to the server, and not those that went there by themselves', async () => {
    const { conmgr, redirected, aware, direct } = await scene('redirected', {});
    await reported(watchdog, 2);
    conmgr.running.kill('SIGSTOP');
    await gone(server, [redirected.pid, aware.pid]);
    await watchdog.line(/ended 2 sessions of 127\.0\.0\.1: heartbeat link of .* timed out/);
    assert.ok(await isThere(server, direct.pid));
  });

  it('with guard = on all sessions of its host; but none that another conmgr guards as well', async () => {
    const { conmgr, start, redirected, aware, direct } = await scene('guarded', { guard: 'on' });
    const pids = [redirected.pid, aware.pid, direct.pid];
    const other = await start({});
    await reported(watchdog, 3, 3);
    const from = watchdog.running.lines.length;
    conmgr.running.kill('SIGSTOP');
    await watchdog.running.waitForLine(/ended 0 sessions of 127\.0\.0\.1/, { after: from });
    for (const pid of pids) assert.ok(await isThere(server, pid));
    other.running.kill('SIGSTOP');
    await gone(server, pids);
  });

  it('only what is there still: a session that has ended by itself is reported no more', async () => {
    const { redirected, aware, direct } = await scene('ended', { guard: 'on' });
    await reported(watchdog, 3);
    await redirected.program.stop('SIGKILL');
    await reported(watchdog, 2);
    await direct.program.stop('SIGKILL');
    await reported(watchdog, 1);
    assert.ok(await isThere(server, aware.pid));
  });
});

describe('two application hosts behind one address, of which one loses power', () => {
  let network: TranslatedNetwork;
  before(async () => {
    network = await TranslatedNetwork.start();
  });
  after(() => network.end());
  afterEach(() => {
    for (const host of network.hosts) host.mend();
  });

  const scene = async (scope: string) => {
    const server = await startPrimary({
      listen: OUTSIDE.servers,
      hba: [`host all all ${OUTSIDE.router}/32 trust`, `host all all ${OUTSIDE.servers}/32 trust`],
    });
    later(() => server.end());
    const watchdog = await TestWatchdog.start(server, {
      settings: { terminate_scope: scope, listen_addresses: OUTSIDE.servers },
    });
    later(() => watchdog.stop('SIGKILL'));
    const sides = [];
    for (const host of network.hosts) sides.push(await side(host, server, watchdog));
    await reported(watchdog, ...(scope === 'monitored' ? [2, 2] : [null, null]));
    const ports = await server.sql('select client_port from pg_stat_activity where client_addr = $1', [
      OUTSIDE.router,
    ]);
    assert.equal(ports.length, 4);
    for (const { client_port: port } of ports) {
      assert.ok(Number(port) >= 20_000 && Number(port) < 30_000, `port ${port} was translated`);
    }
    return { server, watchdog, one: sides[0]!, other: sides[1]! };
  };
  const side = async (host: TranslatedHost, server: Server, watchdog: TestWatchdog) => {
    const directory = temporaryDirectory('cm-');
    giveToServers(directory);
    const conmgr = await ConmgrProcess.start({
      directory,
      // Ports of another host are taken by nobody.
      within: [...host.within, ...asServer()],
      instances: [{ host: OUTSIDE.servers, backendPort: server.port, watchdogPort: watchdog.port }],
      settings: SETTINGS,
    });
    later(() => conmgr.stop('SIGKILL'));
    await conmgr.linked();
    const aware = await application('CmClient', 'localhost', conmgr.port, host.within);
    const forwarded = await application('Client', 'localhost', conmgr.port, host.within);
    return { host, pids: [aware.pid, forwarded.pid] };
  };
  const areThere = async (server: Server, pids: readonly number[]): Promise<void> => {
    for (const pid of pids) assert.ok(await isThere(server, pid), `${pid} is there`);
  };

  it('terminate_scope = address: nothing is ended while the other one is alive, and one WARNING counts what is left', async () => {
    const { server, watchdog, one, other } = await scene('address');
    one.host.cut();
    const WARNING =
      /WARNING: .* is lost, but another conmgr is connected from this address: 4 sessions are left alone/;
    await watchdog.line(WARNING);
    await areThere(server, [...one.pids, ...other.pids]);
    other.host.cut();
    await gone(server, [...one.pids, ...other.pids]);
    assert.equal(watchdog.running.lines.filter((line) => WARNING.test(line)).length, 1);
  });

  it('terminate_scope = monitored: its own sessions are ended, and those of the other one live on', async () => {
    const { server, watchdog, one, other } = await scene('monitored');
    one.host.cut();
    await gone(server, one.pids);
    await watchdog.line(/ended 2 sessions of 198\.51\.100\.2: heartbeat link of .* timed out/);
    await areThere(server, other.pids);
  });
});
