/**
 * What the soak runs: two database hosts (PostgreSQL and a watchdog each) with synchronous replication, and two
 * application hosts with a conmgr each, all on this machine. Each application host has an address and cables of its
 * own: relays, which can go silent.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConmgrProcess } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { reportingProgram } from '../support/heap-report.js';
import { type Pair, type Server, startPair } from '../support/postgres.js';
import { streams } from '../support/postgres-server.js';
import { signalIfAny } from '../support/processes.js';
import { built } from '../support/programs.js';
import { Relay } from '../support/relay.js';
import type { Running } from '../support/running.js';
import { TestWatchdog } from '../support/watchdog.js';

export const TIMEOUT_MS = 3000;
export const GRACE_MS = 3000;
const SETTINGS = {
  heartbeat_interval: '500ms',
  heartbeat_timeout: `${TIMEOUT_MS}ms`,
  heartbeat_connect_interval: '500ms',
  heartbeat_connect_timeout: '2s',
  gateway: 'on',
  log_min_messages: 'LOG',
};
const WATCHDOG = { restart_grace: `${GRACE_MS}ms`, log_min_messages: 'LOG' };

/** 0 is db1, 1 is db2. */
export type HostNumber = 0 | 1;
export const HOSTS: readonly HostNumber[] = [0, 1];
export const other = (host: HostNumber): HostNumber => (host === 0 ? 1 : 0);

/** The cables between an application host and a database host. */
interface Cables {
  readonly sql: Relay;
  readonly link: Relay;
}

/** An application host. */
export class ApplicationHost {
  private constructor(
    readonly name: string,
    readonly cables: readonly [Cables, Cables],
    private current: ConmgrProcess,
  ) {}

  static async start(
    name: string,
    address: string,
    pair: Pair,
    watchdogs: readonly TestWatchdog[],
    program = built('bin/conmgr.js'),
  ) {
    const cables = await Promise.all(
      [pair.primary, pair.standby].map(async (server, at) => ({
        sql: await Relay.start({ host: server.host, port: server.port }, { localAddress: address }),
        link: await Relay.start({ host: server.host, port: watchdogs[at]!.port }, { localAddress: address }),
      })),
    );
    const conmgr = await ConmgrProcess.start({
      instances: cables.map(({ sql, link }) => ({ backendPort: sql.port, watchdogPort: link.port })),
      settings: SETTINGS,
      program,
    });
    await conmgr.linked();
    return new ApplicationHost(name, [cables[0]!, cables[1]!], conmgr);
  }

  get conmgr(): ConmgrProcess {
    return this.current;
  }

  /** Starts conmgr again on its directory after it has ended. */
  async again(): Promise<void> {
    const { directory, port } = this.current;
    this.current = await ConmgrProcess.start({
      directory,
      instances: this.cables.map(({ sql, link }) => ({ backendPort: sql.port, watchdogPort: link.port })),
      settings: { ...SETTINGS, port },
    });
  }

  /** Silence between it and a database host, or, with `linkOnly`, of the heartbeats alone. */
  cut(host: HostNumber, linkOnly = false): void {
    this.cables[host].link.pause();
    if (!linkOnly) this.cables[host].sql.pause();
  }

  heal(host: HostNumber): void {
    this.cables[host].link.resume();
    this.cables[host].sql.resume();
  }

  /** A word is changed in conmgr.conf and read again. */
  reload(change: Readonly<Record<string, string>>): Promise<unknown> {
    const instances = this.cables.map(({ sql, link }) => ({
      backendPort: sql.port,
      watchdogPort: link.port,
    }));
    this.current.rewrite(instances, change);
    return this.current.reload();
  }

  async end(): Promise<void> {
    await this.current.stop('SIGKILL');
    for (const { sql, link } of this.cables) {
      sql.close();
      link.close();
    }
  }
}

export class Scene {
  /** Who is the primary, as the administrator of the scene knows. */
  primary: HostNumber = 0;

  private constructor(
    private readonly pair: Pair,
    readonly watchdogs: [TestWatchdog, TestWatchdog],
    /** Its conmgr is never touched; whatever grows in it grows for the whole run. */
    readonly steady: ApplicationHost,
    /** Its conmgr is killed, frozen and restarted. */
    readonly shaken: ApplicationHost,
  ) {}

  static async start(): Promise<Scene> {
    const pair = await startPair({ synchronous: true, listen: ['127.0.0.1', '127.0.0.2'] });
    const watchdogs = await Promise.all(
      [
        [pair.primary, reportingProgram('conmgr-watchdog')] as const,
        [pair.standby, built('bin/conmgr-watchdog.js')] as const,
      ].map(([server, program]) => TestWatchdog.start(server, { settings: WATCHDOG, program })),
    );
    await pair.primary.sql(CREATE_TABLE);
    const [steady, shaken] = await Promise.all([
      ApplicationHost.start('app1', '127.0.1.1', pair, watchdogs, reportingProgram('conmgr')),
      ApplicationHost.start('app2', '127.0.1.2', pair, watchdogs),
    ]);
    return new Scene(pair, [watchdogs[0]!, watchdogs[1]!], steady, shaken);
  }

  get applicationHosts(): readonly ApplicationHost[] {
    return [this.steady, this.shaken];
  }

  server(host: HostNumber): Server {
    return host === 0 ? this.pair.primary : this.pair.standby;
  }

  /** What runs from the first moment to the last. */
  get lasting(): readonly (readonly [name: string, process: Running])[] {
    return [
      ['conmgr of app1', this.steady.conmgr.running],
      ['watchdog of db1', this.watchdogs[0].running],
    ];
  }

  /** Every process of the server ends now; nothing of it acknowledges anything from here on. */
  async powerOff(host: HostNumber): Promise<void> {
    const server = this.server(host);
    await eventually(
      () => {
        const pids = server.processes();
        for (const pid of pids) signalIfAny(pid, 'SIGKILL');
        return pids.length === 0;
      },
      { everyMs: 2, what: `all processes of ${server.name} are gone` },
    );
  }

  /** The standby takes over. Only for a primary that has ended and for which all commits had waited. */
  async promote(host: HostNumber): Promise<void> {
    await this.server(host).promote();
    this.primary = host;
  }

  /** A former primary that has ended comes back as the synchronous standby; `rebuilt` on a fresh data directory. */
  async rejoin(host: HostNumber, rebuilt: boolean): Promise<void> {
    const server = this.server(host);
    const primary = this.server(this.primary);
    await server.append({ synchronous_standby_names: '' });
    if (rebuilt) await server.rejoin(primary);
    else {
      await server.follow(primary);
      await server.start();
    }
    await streams(primary, server, 'streaming');
    await primary.configure({ synchronous_standby_names: `"${server.name}"` });
    await this.synchronous();
  }

  /** Commits wait for the standby, and it has everything that was acknowledged before they did. */
  async synchronous(): Promise<void> {
    const [primary, standby] = [this.server(this.primary), this.server(other(this.primary))];
    await streams(primary, standby, 'sync');
    await primary.sql(
      "insert into soak_row (writer, id) values ('scene', (random() * 2e9)::int) on conflict do nothing",
    );
  }

  /** Both conmgrs have all links, and offer the primary for read-write. */
  async recovered(): Promise<void> {
    await Promise.all(
      this.applicationHosts.map(({ name, conmgr }) =>
        conmgr.until(
          `${name} has its links and knows the primary`,
          ({ primary, instances }) =>
            primary === this.primary &&
            instances.every(({ link, health }) => link.phase === 'up' && health === 'monitored'),
          30_000,
        ),
      ),
    );
  }

  async end(): Promise<void> {
    await Promise.all(this.applicationHosts.map((host) => host.end()));
    for (const { running } of this.watchdogs) signalIfAny(running.pid, 'SIGCONT');
    await Promise.all(this.watchdogs.map((watchdog) => watchdog.stop('SIGKILL')));
    await this.pair.end();
  }

  /** What all have logged, to be read after a failure. */
  writeLogs(directory: string): readonly string[] {
    const logs = [
      ...this.applicationHosts.map(({ name, conmgr }) => [name, conmgr.running.lines] as const),
      ...this.watchdogs.map(({ running }, at) => [`watchdog-db${at + 1}`, running.lines] as const),
    ];
    return logs.map(([name, lines]) => {
      const path = join(directory, `${name}.log`);
      writeFileSync(path, `${lines.join('\n')}\n`);
      return path;
    });
  }
}

/** The set: an element is a writer's name and a number of its own. */
export const CREATE_TABLE =
  'create table soak_row (writer text, id int, at timestamptz default now(), primary key (writer, id))';
export const INSERT = 'insert into soak_row (writer, id) values ($1, $2)';
