/** A primary and a standby on hosts of their own, and conmgr on the host of the applications. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KernelParts } from '../../kernel/parts.js';
import { TEST_CERTIFICATE } from '../../support/certificate.js';
import { ConmgrProcess, type ConmgrSettings } from '../../support/conmgr-process.js';
import {
  addStandby,
  type Server,
  type ServerOptions,
  type Settings,
  startPrimary,
} from '../../support/postgres.js';
import { asServer, giveToServers } from '../../support/postgres-account.js';
import { temporaryDirectory } from '../../support/tree.js';
import { TestWatchdog } from '../../support/watchdog.js';
import type { Target } from './connection.js';
import type { Driver } from './drivers.js';
import { DatabaseHost, SERVER_NAME, setUpNetwork } from './network.js';
import { CONMGR_PORT, type DirectServer, PORTS, type Route, SERVER_PORT, type Way } from './ways.js';

export interface SceneOptions {
  readonly conmgr?: ConmgrSettings;
  /** The servers can encrypt, as SERVER_NAME; the role `scram` must, and say its password. */
  readonly tls?: boolean;
}

/** File with the certificate that the servers have when they encrypt. */
export const rootCertificate = join(temporaryDirectory('tls-'), 'root.crt');
writeFileSync(rootCertificate, TEST_CERTIFICATE.cert);

/** A role that may connect with encryption and its password only. */
export const SCRAM = { user: 'scram', password: 'secret' } as const;

const SCRAM_RULES = [`hostssl all ${SCRAM.user} all scram-sha-256`, `hostnossl all ${SCRAM.user} all reject`];

function encryptionSettings(): Settings {
  const folder = temporaryDirectory('tls-');
  const [cert, key] = [join(folder, 'server.crt'), join(folder, 'server.key')];
  writeFileSync(cert, TEST_CERTIFICATE.cert);
  writeFileSync(key, TEST_CERTIFICATE.key, { mode: 0o600 });
  for (const path of [folder, cert, key]) giveToServers(path);
  return { ssl: 'on', ssl_cert_file: cert, ssl_key_file: key };
}

const WATCHDOG_PORT = 27545;

export class Scene {
  #primary: 0 | 1 = 0;

  private constructor(
    readonly way: Way,
    readonly hosts: readonly [DatabaseHost, DatabaseHost],
    /** Its cluster_name is `primary`, also after the other one was promoted. */
    readonly primary: Server,
    readonly standby: Server,
    private readonly watchdogs: readonly TestWatchdog[],
    readonly conmgr: ConmgrProcess,
    private readonly kernel: KernelParts | undefined,
  ) {}

  static async start(way: Way, { conmgr: settings, tls = false }: SceneOptions = {}): Promise<Scene> {
    setUpNetwork();
    const encryption = tls ? encryptionSettings() : {};
    const hosts = [await DatabaseHost.start(1), await DatabaseHost.start(2)] as const;
    const place = ({ address, within }: DatabaseHost): ServerOptions => ({
      settings: encryption,
      listen: address,
      port: SERVER_PORT,
      within,
      hba: [...SCRAM_RULES, 'host all all 10.91.0.0/24 trust', 'host replication all 10.91.0.0/24 trust'],
    });
    const primary = await startPrimary(place(hosts[0]));
    await primary.sql(`create role ${SCRAM.user} login password '${SCRAM.password}'`);
    const standby = await addStandby(primary, place(hosts[1]));
    const watchdogs = await Promise.all(
      [primary, standby].map((one) => TestWatchdog.start(one, { port: WATCHDOG_PORT })),
    );
    const directory = temporaryDirectory('cm-');
    giveToServers(directory);
    const kernel = way.kernel
      ? await KernelParts.start(
          `drivers-${way.name}`,
          hosts.map(({ address }) => [address, SERVER_PORT]),
          Object.values(PORTS),
        )
      : undefined;
    const conmgr = await ConmgrProcess.start({
      directory,
      within: asServer(),
      ...(kernel && { env: kernel.env }),
      instances: hosts.map(({ address }) => ({
        host: address,
        backendPort: SERVER_PORT,
        watchdogPort: WATCHDOG_PORT,
      })),
      settings: { port: CONMGR_PORT, listen_addresses: 'localhost', ...way.settings, ...settings },
    });
    await conmgr.linked();
    if (way.name === 'redirect') {
      await conmgr.until('every listener is redirected', ({ kernel }) =>
        Boolean(kernel?.listeners.every(({ via, instances }) => via === 'redirect' && instances.length > 0)),
      );
    }
    return new Scene(way, hosts, primary, standby, watchdogs, conmgr, kernel);
  }

  /** A command that runs an application. */
  get within(): readonly string[] {
    return this.kernel?.within ?? [];
  }

  /** What stands between the loss and the drivers. */
  get pids(): readonly number[] {
    return [this.conmgr.pid, ...(this.kernel === undefined ? [] : [this.kernel.helper.pid])];
  }

  /** Makes the standby the primary, and returns when conmgr knows. */
  async promote(): Promise<void> {
    await this.standby.promote();
    await this.conmgr.until('the standby is the primary', ({ primary }) => primary === 1);
    this.#primary = 1;
  }

  /** Where a driver goes for a server of this kind. */
  route(driver: Driver, target: Target): Route {
    const servers = this.hosts.map(
      ({ name }, at): DirectServer => ({
        host: `${name}.test`,
        port: SERVER_PORT,
        role: at === this.#primary ? 'primary' : 'standby',
      }),
    );
    return this.way.route(driver, target, servers);
  }

  /** The same for drivers that verify SERVER_NAME; only the first of several places. */
  namedRoute(driver: Driver, target: Target): Route {
    const { places, ...rest } = this.route(driver, target);
    const hostaddr = this.way.direct ? this.hosts[this.#primary].address : '127.0.0.1';
    return { ...rest, places: places.slice(0, 1).map(({ port }) => ({ host: SERVER_NAME, hostaddr, port })) };
  }

  async end(): Promise<void> {
    await this.conmgr.stop('SIGKILL');
    await this.kernel?.end();
    await Promise.all(this.watchdogs.map((watchdog) => watchdog.stop('SIGKILL')));
    await Promise.all([this.primary.end(), this.standby.end()]);
    await Promise.all(this.hosts.map((host) => host.end()));
  }
}
