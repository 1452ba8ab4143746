/** What the demo runs: two database hosts (PostgreSQL and a watchdog each) and one application host with a conmgr. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlAnswer, StatusReport } from '../src/core/control/protocol.js';
import { watchControl } from '../src/io/control-socket.js';
import { eventually } from '../test/support/eventually.js';
import { freePort } from '../test/support/free-ports.js';
import { addStandby, type Server, type Settings, startPrimary } from '../test/support/postgres.js';
import { signalIfAny } from '../test/support/processes.js';
import { startProgram } from '../test/support/programs.js';
import type { Running } from '../test/support/running.js';
import { temporaryDirectory } from '../test/support/tree.js';
import { type Happened, History, now } from './history.js';
import { CREATE_TABLE } from './writer.js';

/** As in conmgr.conf, in seconds. */
export const HEARTBEAT_INTERVAL_S = 1;
export const HEARTBEAT_TIMEOUT_S = 3;
/** Who asks for a primary while there is none gets the answer when there is one, and need not ask again. */
export const RESOLVE_WAIT_S = 5;

/** Rows count as acknowledged here, so the servers write as they would for a user. */
const DURABLE: Settings = { fsync: 'on', full_page_writes: 'on' };

/** A database host: what dies together. */
export class DatabaseHost {
  #watchdog: Running | undefined;

  constructor(
    /** Number of the instance in conmgr.conf. */
    readonly number: number,
    readonly server: Server,
    readonly watchdogPort: number,
  ) {}

  get name(): string {
    return this.server.name;
  }

  /** The watchdog finds the instance by its data directory, and everything else from there. */
  startWatchdog(): void {
    this.#watchdog = startProgram('conmgr-watchdog', ['-D', this.server.dataDir], {
      env: { PGUSER: 'postgres' },
    });
  }

  get watchdogPid(): number {
    if (this.#watchdog === undefined) throw new Error(`${this.name} has no watchdog`);
    return this.#watchdog.pid;
  }

  /** What the watchdog has written, for a report of a failure. */
  get watchdogLog(): string {
    return this.#watchdog?.stderr ?? '';
  }

  /**
   * The host dies without a word: every process of it stops, no FIN and no RST is sent, nothing is answered.
   * Returns how many processes that were.
   */
  freeze(): number {
    this.#watchdog?.kill('SIGSTOP');
    this.server.freeze();
    return this.server.processes().length + 1;
  }

  /** Power off: whatever is frozen ends, and the sockets of the host with it. */
  async powerOff(): Promise<void> {
    for (const pid of this.server.processes()) signalIfAny(pid, 'SIGKILL');
    await this.#watchdog?.stop('SIGKILL');
  }

  /**
   * The host is back, its server as the synchronous standby of `primary`. Setting synchronous_standby_names last
   * lets the primary go on alone until the standby streams.
   */
  async rejoin(primary: DatabaseHost): Promise<void> {
    await this.#watchdog?.stop('SIGKILL');
    // In case it is the primary again one day: alone, it must not wait for anybody.
    await this.server.append({ synchronous_standby_names: '' });
    await this.server.rejoin(primary.server);
    this.startWatchdog();
    await primary.server.configure({ synchronous_standby_names: this.name });
    await eventually(async () => (await primary.server.sql(IS_SYNCHRONOUS, [this.name])).length === 1, {
      what: `commits on ${primary.name} wait for ${this.name}`,
    });
  }
}

const IS_SYNCHRONOUS = "select from pg_stat_replication where application_name = $1 and sync_state = 'sync'";

/** What conmgr offered from a moment on. */
export interface Picture extends Happened {
  /** Number of the instance for read-write; undefined while there is none. */
  readonly primary: number | undefined;
  /** Which instances conmgr has seen up, in the order of their numbers. */
  readonly up: readonly boolean[];
}

export interface Cluster {
  readonly hosts: readonly [DatabaseHost, DatabaseHost];
  readonly conmgr: Running;
  /** Directory of conmgr.conf, as for `cm_ctl -D`. */
  readonly directory: string;
  /** Port for applications. */
  readonly port: number;
  /** What conmgr told a subscriber on its control socket, as `cm_ctl status --watch` is told. */
  readonly pictures: History<Picture>;
}

/** The server on a port; both have one of their own. */
export function serverOn(hosts: readonly DatabaseHost[], port: number): string {
  return hosts.find(({ server }) => server.port === port)?.name ?? `port ${port}`;
}

/** Starts db1 with db2 as its synchronous standby, so that what db1 acknowledged cannot be lost with it. */
export async function startDatabaseHosts(): Promise<readonly [DatabaseHost, DatabaseHost]> {
  const ports = [await freePort(), await freePort()] as const;
  const options = (index: 0 | 1) => ({
    name: `db${index + 1}`,
    listen: `127.0.0.${index + 1}`,
    settings: { ...DURABLE, 'watchdog.port': String(ports[index]) },
  });
  const primary = await startPrimary(options(0));
  await primary.sql(CREATE_TABLE);
  const standby = await addStandby(primary, { ...options(1), synchronous: true });
  const hosts = [new DatabaseHost(0, primary, ports[0]), new DatabaseHost(1, standby, ports[1])] as const;
  for (const host of hosts) host.startWatchdog();
  return hosts;
}

/** All that conmgr is told. */
function configuration(port: number, hosts: readonly DatabaseHost[]): string {
  const instances = hosts.map(
    ({ number, server, watchdogPort }) =>
      `backend_host${number} = ${server.host}\n` +
      `backend_port${number} = ${server.port}\n` +
      `watchdog_port${number} = ${watchdogPort}\n`,
  );
  return [
    `port = ${port}\n`,
    `heartbeat_interval = ${HEARTBEAT_INTERVAL_S}\n`,
    `heartbeat_timeout = ${HEARTBEAT_TIMEOUT_S}\n`,
    `resolve_wait = ${RESOLVE_WAIT_S}\n`,
    ...instances,
  ].join('');
}

/** Starts conmgr and returns when it knows the primary and the standby. */
export async function startConmgr(hosts: readonly [DatabaseHost, DatabaseHost]): Promise<Cluster> {
  const directory = join(temporaryDirectory('demo-'), 'conmgr');
  await mkdir(directory, { mode: 0o700 });
  const port = await freePort();
  await writeFile(join(directory, 'conmgr.conf'), configuration(port, hosts));
  const conmgr = startProgram('conmgr', ['-D', directory]);
  const pictures = new History<Picture>();
  await eventually(
    () =>
      watchControl<ControlAnswer>(directory, (answer) => {
        if (answer.ok && 'status' in answer) addPicture(pictures, answer.status);
      }),
    { what: `conmgr answers:\n${conmgr.stderr}`, everyMs: 20 },
  );
  const cluster: Cluster = { hosts, conmgr, directory, port, pictures };
  await pictures.first(({ primary, up }) => primary === 0 && up.every(Boolean), {
    timeoutMs: 10_000,
    what: 'conmgr knows the primary and the standby',
  });
  return cluster;
}

/** Keeps what differs from the picture before. */
function addPicture(pictures: History<Picture>, { primary, instances }: StatusReport): void {
  const next: Picture = {
    at: now(),
    primary: primary ?? undefined,
    up: instances.map(({ state, health }) => state === 'up' && health !== 'lost'),
  };
  const before = pictures.last;
  if (before?.primary === next.primary && before?.up.join() === next.up.join()) return;
  pictures.add(next);
}
