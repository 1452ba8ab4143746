/** A real PostgreSQL server for tests, and the faults it can have. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { eventually } from './eventually.js';
import { freePort } from './free-ports.js';
import { asServer, giveToServers } from './postgres-account.js';
import { postgresBinaries, usualMajor } from './postgres-binaries.js';
import { copyTemplate, makeCluster } from './postgres-template.js';
import { processesIn, readIfAny, removeSharedMemory, signalIfAny } from './processes.js';
import { temporaryDirectory } from './tree.js';

/** Parameters of postgresql.conf by name; values without quotes. */
export type Settings = Readonly<Record<string, string>>;

export interface ServerOptions {
  /** Default: 17, or the version of PG_BIN. */
  readonly major?: number;
  readonly settings?: Settings;
  /** The loopback address it listens on, default 127.0.0.1; give servers distinct ones to tell them apart. */
  readonly listen?: string;
  readonly port?: number;
  /** Shown as cluster_name, and as application_name of a standby. */
  readonly name?: string;
  /** Lines to stand first in pg_hba.conf; behind them everybody on this machine is trusted. */
  readonly hba?: readonly string[];
  /** A cluster of its own, with a system identifier of its own; all other servers of a run are of one. */
  readonly foreign?: boolean;
  /** A command that runs the server, to enter a network namespace for instance. */
  readonly within?: readonly string[];
  /** A command that runs it as the account it has, to set its environment for instance. */
  readonly through?: readonly string[];
}

/** The row of a result. */
export type Row = Record<string, unknown>;

/** What to change so that a test server starts fast, keeps WAL for late standbys, and writes little. */
const TEST_SETTINGS: Settings = {
  fsync: 'off',
  // Files in the data directory, which go with it: a server that is killed leaves its segments in /dev/shm for ever.
  dynamic_shared_memory_type: 'mmap',
  full_page_writes: 'off',
  shared_buffers: '16MB',
  autovacuum: 'off',
  wal_keep_size: '1GB',
  wal_retrieve_retry_interval: '100ms',
  log_line_prefix: '%m [%p] ',
};

/** How long a server may take to start or to stop in any mode; it takes a tenth of a second. */
const STATE_CHANGE_MS = 30_000;

/** A server of this run. All its processes work in `dataDir`, by which they are found. */
export class Server {
  readonly dataDir: string;
  readonly socketDir: string;
  #postmaster: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  private constructor(
    readonly name: string,
    /** Major version. */
    readonly version: number,
    readonly host: string,
    readonly port: number,
    private readonly bin: string,
    private readonly folder: string,
    /** What runs it, and what belongs to it. */
    readonly within: readonly string[],
  ) {
    this.dataDir = join(folder, 'data');
    this.socketDir = folder;
  }

  /** Makes the data directory; the server is not started. */
  static async create(options: ServerOptions, defaultName: string): Promise<Server> {
    const {
      name = defaultName,
      listen = '127.0.0.1',
      settings = {},
      hba = [],
      within = [],
      through = [],
    } = options;
    const major = options.major ?? (await usualMajor());
    const [{ bin }, port] = await Promise.all([postgresBinaries(major), options.port ?? freePort()]);
    const folder = temporaryDirectory('pg-');
    giveToServers(folder);
    const server = new Server(name, major, listen, port, bin, folder, [...within, ...asServer(), ...through]);
    if (options.foreign === true) await makeCluster(major, server.dataDir);
    else await copyTemplate(major, server.dataDir);
    await server.append({
      ...TEST_SETTINGS,
      listen_addresses: listen,
      port: String(port),
      unix_socket_directories: server.socketDir,
      cluster_name: name,
      ...settings,
    });
    const rules = [
      ...hba,
      'local all all trust',
      'host all all 127.0.0.0/8 trust',
      'host all all ::1/128 trust',
      'host replication all 127.0.0.0/8 trust',
    ];
    await writeFile(join(server.dataDir, 'pg_hba.conf'), `${rules.join('\n')}\n`);
    return server;
  }

  /** Process id of the postmaster, the last one if it is gone. */
  get pid(): number {
    if (this.#postmaster?.pid === undefined) throw new Error(`${this.name} was never started`);
    return this.#postmaster.pid;
  }

  /** All its processes, the postmaster among them. */
  processes(): number[] {
    return processesIn(this.dataDir);
  }

  /** What it has logged so far. */
  log(): Promise<string> {
    return readFile(join(this.folder, 'log'), 'utf8');
  }

  /**
   * Starts it and returns when it accepts connections. Backends that outlived a killed postmaster are ended first:
   * PostgreSQL does not start over them.
   */
  async start(): Promise<void> {
    await this.#endAll();
    const log = openSync(join(this.folder, 'log'), 'a');
    const [program, ...args] = [...this.within, join(this.bin, 'postgres'), '-D', this.dataDir];
    const child = spawn(program!, args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, LC_ALL: 'C' },
    });
    closeSync(log);
    this.#postmaster = child;
    let running = true;
    this.#exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => {
        running = false;
        resolve();
      });
    });
    const accepts = await eventually(() => !running || this.#isReady(), {
      timeoutMs: STATE_CHANGE_MS,
      everyMs: 5,
      what: `${this.name} accepts connections`,
    });
    if (!running || !accepts) throw new Error(`${this.name} did not start:\n${await this.log()}`);
  }

  /** The postmaster tells its state in line 8 of postmaster.pid, as pg_ctl reads it. */
  #isReady(): boolean {
    const lines = readIfAny(join(this.dataDir, 'postmaster.pid')).split('\n');
    return Number(lines[0]) === this.pid && lines[7]?.trim() === 'ready';
  }

  /** Stops it and returns when it is gone: smart waits for sessions to end, fast ends them, immediate crashes. */
  async stop(mode: 'smart' | 'fast' | 'immediate'): Promise<void> {
    signalIfAny(this.pid, ({ smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const)[mode]);
    await this.#exited;
  }

  /** Kills the postmaster alone. Its backends find out by themselves, busy ones late. */
  async kill9(): Promise<void> {
    signalIfAny(this.pid, 'SIGKILL');
    await this.#exited;
  }

  /** Stops all its processes in their tracks: connections stay, nothing answers. */
  freeze(): void {
    // The postmaster first, so that no process is born behind our back.
    signalIfAny(this.pid, 'SIGSTOP');
    for (const pid of this.processes()) signalIfAny(pid, 'SIGSTOP');
  }

  /** Undoes `freeze`. */
  thaw(): void {
    for (const pid of this.processes()) signalIfAny(pid, 'SIGCONT');
  }

  /** Makes a standby the primary and returns when it is. */
  async promote(): Promise<void> {
    const [row] = await this.sql('select pg_promote(true, 60) as done');
    if (row?.['done'] !== true) throw new Error(`${this.name} was not promoted:\n${await this.log()}`);
  }

  /** Sets parameters and returns when new sessions have them. Those that need a restart have them after one. */
  async configure(settings: Settings): Promise<void> {
    const loadTime = async (): Promise<string> =>
      String((await this.sql('select pg_conf_load_time()::text as at'))[0]?.['at']);
    const before = await loadTime();
    await this.append(settings);
    signalIfAny(this.pid, 'SIGHUP');
    await eventually(async () => (await loadTime()) !== before, {
      what: `${this.name} has read its configuration`,
    });
  }

  /** Adds lines to postgresql.conf; the last one of a name counts. */
  async append(settings: Settings): Promise<void> {
    const lines = Object.entries(settings).map(
      ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
    );
    await appendFile(join(this.dataDir, 'postgresql.conf'), lines.join(''));
  }

  /** Runs one statement as superuser, in a session of its own through the Unix socket. */
  async sql<R extends Row = Row>(text: string, params: readonly unknown[] = []): Promise<R[]> {
    const client = await this.connect({ host: this.socketDir });
    try {
      return (await client.query<R>(text, [...params])).rows;
    } finally {
      await client.end();
    }
  }

  /** Opens a session, by default as `postgres` over TCP; the test ends it. */
  async connect(options: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({
      host: this.host,
      port: this.port,
      user: 'postgres',
      database: 'postgres',
      ...options,
    });
    // The server may die under the session; whoever waits for a query is told by that query.
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** Prepares it, not running and never a primary so far, to start as a standby that streams from `primary`. */
  async follow(
    primary: Server,
    via: { readonly host: string; readonly port: number } = primary,
  ): Promise<void> {
    await writeFile(join(this.dataDir, 'standby.signal'), '');
    await this.append({
      primary_conninfo: `host=${via.host} port=${via.port} user=postgres application_name=${this.name}`,
    });
  }

  /**
   * Brings a former primary back as a standby of `primary`: what it wrote alone is lost, its address, port and
   * settings stay.
   */
  async rejoin(primary: Server): Promise<void> {
    await this.#endAll();
    const [settings, hba] = await Promise.all(
      ['postgresql.conf', 'pg_hba.conf'].map((name) => readFile(join(this.dataDir, name))),
    );
    removeSharedMemory(this.dataDir);
    // A watchdog may still write below it.
    await rm(this.dataDir, { recursive: true, maxRetries: 10 });
    await copyTemplate(this.version, this.dataDir);
    await writeFile(join(this.dataDir, 'postgresql.conf'), settings ?? '');
    await writeFile(join(this.dataDir, 'pg_hba.conf'), hba ?? '');
    await this.follow(primary);
    await this.start();
    await streams(primary, this, 'streaming');
  }

  /** Ends it and removes everything it had: processes, shared memory, files. */
  async end(): Promise<void> {
    await this.#endAll();
    removeSharedMemory(this.dataDir);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Kills whatever still works in the data directory. */
  async #endAll(): Promise<void> {
    await eventually(
      () => {
        const pids = this.processes();
        for (const pid of pids) signalIfAny(pid, 'SIGKILL');
        return pids.length === 0;
      },
      { everyMs: 2, what: `all processes of ${this.name} are gone` },
    );
    await this.#exited;
  }
}

/** Waits until `standby` streams from `primary`, or until commits wait for it. */
export async function streams(primary: Server, standby: Server, goal: 'streaming' | 'sync'): Promise<void> {
  await eventually(
    async () => {
      const [row] = await primary.sql<{ state: string; sync_state: string }>(
        'select state, sync_state from pg_stat_replication where application_name = $1',
        [standby.name],
      );
      return row?.state === 'streaming' && (goal === 'streaming' || row.sync_state === 'sync');
    },
    { timeoutMs: STATE_CHANGE_MS, what: `${standby.name} streams from ${primary.name} (${goal})` },
  );
}
