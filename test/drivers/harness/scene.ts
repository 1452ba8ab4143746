/** A primary and a standby on hosts of their own, and conmgr on the host of the applications. */
import { chownSync } from 'node:fs';
import { ConmgrProcess, type ConmgrSettings } from '../../support/conmgr-process.js';
import { addStandby, type Server, type ServerOptions, startPrimary } from '../../support/postgres.js';
import { asServer, SERVER_ACCOUNT } from '../../support/postgres-account.js';
import { temporaryDirectory } from '../../support/tree.js';
import { TestWatchdog } from '../../support/watchdog.js';
import type { Target } from './connection.js';
import type { Driver } from './drivers.js';
import { DatabaseHost, setUpNetwork } from './network.js';
import { type DirectServer, SERVER_PORT, type Way } from './ways.js';

export interface SceneOptions {
  readonly conmgr?: ConmgrSettings;
  readonly server?: Pick<ServerOptions, 'settings' | 'hba'>;
}

/** conmgr's own port. */
export const CONMGR_PORT = 27546;

const WATCHDOG_PORT = 27545;

export class Scene {
  private constructor(
    readonly way: Way,
    readonly hosts: readonly [DatabaseHost, DatabaseHost],
    /** Its cluster_name is `primary`, also after the other one was promoted. */
    readonly primary: Server,
    readonly standby: Server,
    private readonly watchdogs: readonly TestWatchdog[],
    readonly conmgr: ConmgrProcess,
  ) {}

  static async start(way: Way, { conmgr: settings, server = {} }: SceneOptions = {}): Promise<Scene> {
    setUpNetwork();
    const hosts = [await DatabaseHost.start(1), await DatabaseHost.start(2)] as const;
    const place = ({ address, within }: DatabaseHost): ServerOptions => ({
      ...server,
      listen: address,
      port: SERVER_PORT,
      within,
      hba: [
        ...(server.hba ?? []),
        'host all all 10.91.0.0/24 trust',
        'host replication all 10.91.0.0/24 trust',
      ],
    });
    const primary = await startPrimary(place(hosts[0]));
    const standby = await addStandby(primary, place(hosts[1]));
    const watchdogs = await Promise.all(
      [primary, standby].map((one) => TestWatchdog.start(one, { port: WATCHDOG_PORT })),
    );
    const directory = temporaryDirectory('cm-');
    chownSync(directory, SERVER_ACCOUNT.uid, SERVER_ACCOUNT.gid);
    const conmgr = await ConmgrProcess.start({
      directory,
      within: asServer(),
      instances: hosts.map(({ address }) => ({
        host: address,
        backendPort: SERVER_PORT,
        watchdogPort: WATCHDOG_PORT,
      })),
      settings: { port: CONMGR_PORT, listen_addresses: 'localhost', ...way.settings, ...settings },
    });
    await conmgr.linked();
    return new Scene(way, hosts, primary, standby, watchdogs, conmgr);
  }

  /** Where a driver goes for a server of this kind. */
  route(driver: Driver, target: Target): ReturnType<Way['route']> {
    const servers = this.hosts.map(
      ({ name, address }, at): DirectServer => ({
        host: `${name}.test`,
        hostaddr: address,
        port: SERVER_PORT,
        role: at === 0 ? 'primary' : 'standby',
      }),
    );
    return this.way.route(driver, target, servers);
  }

  async end(): Promise<void> {
    await this.conmgr.stop('SIGKILL');
    await Promise.all(this.watchdogs.map((watchdog) => watchdog.stop('SIGKILL')));
    await Promise.all([this.primary.end(), this.standby.end()]);
    await Promise.all(this.hosts.map((host) => host.end()));
  }
}
