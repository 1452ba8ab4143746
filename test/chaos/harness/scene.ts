/** The whole product for one row: database hosts with server and watchdog, an application host with conmgr. */
import type { Socket } from 'node:net';
import type pg from 'pg';
import { ConmgrProcess, type ConmgrSettings, type InstanceLines } from '../../support/conmgr-process.js';
import { eventually } from '../../support/eventually.js';
import {
  addStandby,
  type Server,
  type ServerOptions,
  type Settings,
  startPrimary,
} from '../../support/postgres.js';
import { asServer, giveToServers } from '../../support/postgres-account.js';
import { signalIfAny } from '../../support/processes.js';
import { temporaryDirectory } from '../../support/tree.js';
import { TestWatchdog } from '../../support/watchdog.js';
import { Application, type ApplicationOptions } from './application.js';
import { Lateness } from './lateness.js';
import { type Host, Network } from './network.js';
import { TIMING } from './timing.js';

/** Where nothing else runs, it is a quarter of a second. */
const LINKED_MS = 60_000;

/** Of each log of a row that failed. */
const SHOWN_LINES = 40;

export const SERVER_PORT = 5432;
export const WATCHDOG_PORT = 27545;
export const CONMGR_PORT = 27546;

export interface SceneOptions {
  /** Default 0. */
  readonly standbys?: number;
  /** Primaries of clusters of their own, behind the standbys. Default 0. */
  readonly foreigners?: number;
  /** conmgr.conf; the timing is that of the suite. */
  readonly conmgr?: ConmgrSettings;
  /** watchdog.* without the prefix. */
  readonly watchdog?: Settings;
  /** false: it is started by the test. */
  readonly withConmgr?: boolean;
  readonly server?: Settings;
  readonly hba?: readonly string[];
  /** What conmgr connects to, if not the addresses of the hosts. */
  readonly lines?: (hosts: readonly Host[]) => readonly InstanceLines[];
  /** Listens on, if not the IPv4 address. */
  readonly listen?: (host: Host) => string;
  /** Prepares each server before its watchdog is started. */
  readonly beforeWatchdog?: (server: Server) => Promise<unknown>;
  readonly watchdogEnv?: NodeJS.ProcessEnv;
  /** Runs servers, watchdogs and conmgr, as the account they have. */
  readonly through?: { readonly servers: readonly string[]; readonly conmgr: readonly string[] };
  readonly start?: Partial<Parameters<typeof ConmgrProcess.start>[0]>;
}

/** The socket of a session, which pg does not show. */
function streamOf(client: pg.Client): Socket {
  return (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream;
}

function ms(value: number): string {
  return `${value}ms`;
}

/** What conmgr.conf says about time. */
export const CONMGR_TIMING: ConmgrSettings = {
  heartbeat_interval: ms(TIMING.I),
  heartbeat_timeout: ms(TIMING.T),
  heartbeat_connect_interval: ms(TIMING.CI),
  heartbeat_connect_timeout: ms(TIMING.CT),
};

const WATCHDOG_TIMING: Settings = {
  check_attr_interval: String(TIMING.A),
  restart_grace: ms(TIMING.G),
  probe_interval: ms(500),
  probe_timeout: ms(TIMING.P),
};

/** A database host. */
export interface Database {
  readonly host: Host;
  readonly server: Server;
  watchdog: TestWatchdog;
}

export class Scene {
  #network: Network | undefined;
  readonly databases: Database[] = [];
  readonly #conmgrs: ConmgrProcess[] = [];
  readonly #applications: Application[] = [];
  readonly #sessions: pg.Client[] = [];
  readonly #latenesses: Lateness[] = [];
  #options: SceneOptions = {};
  #ended = false;

  async begin(options: SceneOptions): Promise<void> {
    this.#options = options;
    this.#network = await Network.open();
    const primary = await this.#addDatabase((place) => startPrimary(place));
    await primary.server.sql('create role app login; grant pg_read_all_stats to app');
    for (let number = 0; number < (options.standbys ?? 0); number += 1) {
      await this.#addDatabase((place) => addStandby(primary.server, place));
    }
    for (let number = 0; number < (options.foreigners ?? 0); number += 1) {
      await this.#addDatabase((place) => startPrimary(place));
    }
    if (options.withConmgr !== false) await this.startConmgr(options.start);
  }

  get network(): Network {
    return this.#network!;
  }

  get conmgr(): ConmgrProcess {
    return this.#conmgrs[0]!;
  }

  /** All that were started. */
  get conmgrs(): readonly ConmgrProcess[] {
    return this.#conmgrs;
  }

  get primary(): Database {
    return this.databases[0]!;
  }

  get lines(): readonly InstanceLines[] {
    const hosts = this.databases.map(({ host }) => host);
    if (this.#options.lines !== undefined) return this.#options.lines(hosts);
    return hosts.map(({ address }) => ({
      host: address,
      backendPort: SERVER_PORT,
      watchdogPort: WATCHDOG_PORT,
    }));
  }

  /** Starts a conmgr on this host, or on another one, and returns when its links are up. */
  async startConmgr(
    options: Partial<Parameters<typeof ConmgrProcess.start>[0]> & { readonly linked?: boolean } = {},
  ): Promise<ConmgrProcess> {
    const { settings, within = [], linked = true, ...rest } = options;
    const directory = rest.directory ?? temporaryDirectory('cm-');
    giveToServers(directory);
    const conmgr = await ConmgrProcess.start({
      instances: this.lines,
      ...rest,
      directory,
      within: [...within, ...asServer(), ...(this.#options.through?.conmgr ?? [])],
      settings: { port: CONMGR_PORT, ...CONMGR_TIMING, ...this.#options.conmgr, ...settings },
    });
    this.#conmgrs.push(conmgr);
    if (linked) await conmgr.linked(LINKED_MS);
    return conmgr;
  }

  /** A successor of a conmgr, which takes over all that it has. */
  async replace(
    conmgr: ConmgrProcess,
    options: Parameters<ConmgrProcess['replaced']>[0],
  ): Promise<ConmgrProcess> {
    const next = await conmgr.replaced(options);
    this.#conmgrs.push(next);
    return next;
  }

  /** An application, on this host unless told otherwise; returns when all its sessions are there. */
  async app(options: ApplicationOptions = {}): Promise<Application> {
    const application = this.launchApp(options);
    await application.connected();
    return application;
  }

  /** The same, without waiting. */
  launchApp(options: ApplicationOptions = {}): Application {
    const application = Application.launch({ port: CONMGR_PORT, ...options });
    this.#applications.push(application);
    return application;
  }

  /** A session at the primary that nobody tells anything; ended with the scene. */
  async session(user = 'app'): Promise<pg.Client> {
    const client = await this.primary.server.connect({ user });
    this.#sessions.push(client);
    return client;
  }

  /** Returns when the watchdogs know all conmgrs long enough for their end to cost sessions: three beats. */
  async trusted(): Promise<void> {
    await eventually(
      async () => {
        const all = await Promise.all(this.databases.map(({ watchdog }) => watchdog.status()));
        return all.every(({ links }) => links.length > 0 && links.every((link) => link.packetsReceived >= 5));
      },
      { timeoutMs: 5 * TIMING.I + 10_000, everyMs: 50, what: 'enough beats have been sent' },
    );
  }

  /** From a fault on: what all that the news passes waits for a processor. */
  lateness(...applications: readonly Application[]): Lateness {
    const lateness = new Lateness(() => [
      ...this.#conmgrs.map(({ pid }) => pid),
      ...this.databases.map(({ watchdog }) => watchdog.running.pid),
      ...applications.map(({ pid }) => pid),
    ]);
    this.#latenesses.push(lateness);
    return lateness;
  }

  /** The same where nothing but conmgr stands between this process and an answer. */
  latenessOfConmgr(): Lateness {
    const lateness = new Lateness(() => [this.conmgr.pid]);
    this.#latenesses.push(lateness);
    return lateness;
  }

  /** How many sessions of this user there are on a server: of an address, or of all. */
  async sessionsAt(database: Database, address?: string): Promise<number> {
    const [row] = await database.server.sql<{ count: number }>(
      "select count(*)::int from pg_stat_activity where usename = 'app' and ($1::text is null or host(client_addr) = $1)",
      [address ?? null],
    );
    return row?.count ?? 0;
  }

  /** How many sessions the watchdogs say to have ended, by any loss. */
  endedSessions(): number {
    return this.databases.reduce((sum, { watchdog }) => {
      const counts = watchdog.running.lines.map((line) => /ended (\d+) sessions of /.exec(line)?.[1] ?? '0');
      return sum + counts.reduce((all, one) => all + Number(one), 0);
    }, 0);
  }

  /** The last lines of all logs. */
  logs(): string {
    const programs = [
      ...this.#conmgrs.map(({ running }) => ['conmgr', running] as const),
      ...this.databases.map(({ host, watchdog }) => [`watchdog of ${host.name}`, watchdog.running] as const),
    ];
    return programs
      .map(([name, { lines }]) => [`${name} wrote:`, ...lines.slice(-SHOWN_LINES)].join('\n  '))
      .join('\n');
  }

  async #addDatabase(start: (place: ServerOptions) => Promise<Server>): Promise<Database> {
    const number = this.databases.length + 1;
    const host = await this.network.addHost(`db${number}`, 10 + number);
    const server = await start({
      listen: this.#options.listen?.(host) ?? host.address,
      port: SERVER_PORT,
      within: host.within,
      through: this.#options.through?.servers ?? [],
      settings: { max_connections: '200', ...this.#options.server },
      hba: [
        ...(this.#options.hba ?? []),
        'host all all 10.92.0.0/24 trust',
        'host all all fd92::/64 trust',
        'host all all fe80::/10 trust',
        'host replication all 10.92.0.0/24 trust',
        'host replication all fd92::/64 trust',
      ],
    });
    await this.#options.beforeWatchdog?.(server);
    const watchdog = await TestWatchdog.start(server, {
      port: WATCHDOG_PORT,
      settings: { ...WATCHDOG_TIMING, ...this.#options.watchdog },
      ...(this.#options.watchdogEnv === undefined ? {} : { env: this.#options.watchdogEnv }),
    });
    const database = { host, server, watchdog };
    this.databases.push(database);
    return database;
  }

  /** Ends everything; once. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    for (const lateness of this.#latenesses) lateness.end();
    for (const { running } of this.#applications) running.kill('SIGKILL');
    // Not in order: their host may be cut off.
    for (const client of this.#sessions) streamOf(client).destroy();
    await Promise.all(this.#conmgrs.map((conmgr) => conmgr.stop('SIGKILL')));
    for (const { watchdog, server } of this.databases) {
      signalIfAny(watchdog.running.pid, 'SIGCONT');
      await watchdog.stop('SIGKILL');
      await server.end();
    }
    await this.#network?.end();
  }
}
