/** A primary on db1, its standby on db2, watchdogs beside both, and conmgr on app. */
import { Cluster } from './cluster.js';
import type { Suite } from './images.js';
import { Instance, QUICK, type Settings } from './instance.js';
import { ADDRESS, Lab } from './lab.js';

const NETWORK = '192.0.2.0/24';

export class Pair {
  private constructor(
    readonly lab: Lab,
    readonly db1: Cluster,
    readonly db2: Cluster,
    readonly app: Instance,
  ) {}

  /**
   * Boots and starts everything; returns when conmgr offers a primary and a standby.
   * @param settings in addition to those of QUICK
   * @param servers parameters of postgresql.conf
   */
  static async up(suite: Suite, settings: Settings = {}, servers: Settings = {}): Promise<Pair> {
    const lab = await Lab.up(suite.installed);
    try {
      const db1 = new Cluster(lab.db1, suite);
      const db2 = new Cluster(lab.db2, suite);
      for (const cluster of [db1, db2]) {
        await cluster.configure({ listen_addresses: '*', 'watchdog.allowed_clients': NETWORK, ...servers });
        await cluster.admit(NETWORK);
      }
      await db1.start();
      await db2.becomeStandbyOf('db1');
      await db2.start();
      const app = await Instance.init(lab.app, 'app1', {
        ...QUICK,
        backend_host0: 'db1',
        backend_port0: 5432,
        backend_host1: 'db2',
        backend_port1: 5432,
        ...settings,
      });
      await Promise.all([
        lab.db1.output(['systemctl', 'start', db1.watchdogUnit]),
        lab.db2.output(['systemctl', 'start', db2.watchdogUnit]),
        lab.app.output(['systemctl', 'start', app.unit]),
      ]);
      await app.untilResolved('read-write', ADDRESS.db1);
      await app.untilResolved('standby', ADDRESS.db2);
      return new Pair(lab, db1, db2, app);
    } catch (error) {
      await lab.remove();
      throw error;
    }
  }

  remove(): Promise<void> {
    return this.lab.remove();
  }
}
