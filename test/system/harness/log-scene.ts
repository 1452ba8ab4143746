/** One host with both daemons, whose messages go wherever a test sends them. */
import { after, before } from 'node:test';
import { Cluster } from './cluster.js';
import { Host } from './host.js';
import type { Suite } from './images.js';
import { Instance, QUICK, type Settings } from './instance.js';
import type { JournalEntry } from './journal.js';

/** What rsyslog received: facility|severity|ident|pid|text. */
const RECEIVED = '/var/log/received';
const RSYSLOG = `
template(name="received" type="string" string="%syslogfacility-text%|%syslogseverity-text%|%programname%|%procid%|%msg%\\n")
:programname, startswith, "cm_" action(type="omfile" file="${RECEIVED}" template="received")
`;

/** The way to the journal: its native protocol, or standard error. */
export type Transport = 'journal' | 'stdout';

export interface LoggingDaemon {
  readonly unit: string;
  /** For syslog_ident. */
  readonly ident: string;
  /** Listened on by it and nobody else. */
  readonly port: number;
  /** Sets log parameters and others by the names of conmgr.conf, for the next start or reload. */
  readonly set: (settings: Settings) => Promise<void>;
  /** Makes it write a WARNING with DETAIL and HINT. */
  readonly warn: () => Promise<void>;
}

export class LogScene {
  private constructor(
    readonly host: Host,
    readonly cluster: Cluster,
    readonly instance: Instance,
    readonly conmgr: LoggingDaemon,
    readonly watchdog: LoggingDaemon,
  ) {}

  /** Boots the host and starts everything; nothing of the default levels is held back. */
  static async up(suite: Suite): Promise<LogScene> {
    const host = await Host.boot(suite.installed, { name: 'logs' });
    const cluster = new Cluster(host, suite);
    const instance = await Instance.init(host, 'app1', {});
    const ofConmgr: Record<string, string | number> = { ...QUICK };
    const ofWatchdog: Record<string, string | number> = { 'watchdog.allowed_clients': '127.0.0.1' };
    const conmgr: LoggingDaemon = {
      unit: instance.unit,
      ident: 'cm_app',
      port: 27546,
      set: async (settings) => {
        Object.assign(ofConmgr, settings);
        const lines = Object.entries(ofConmgr).map(([name, value]) => `${name} = '${value}'\n`);
        const owner = { owner: 'conmgr:conmgr', mode: '0600' };
        await host.write(`${instance.directory}/conmgr.conf`, lines.join(''), owner);
      },
      // Its watchdog stops, and it says that the instance is not monitored.
      warn: async () => {
        await host.output(['systemctl', 'stop', cluster.watchdogUnit]);
        await instance.untilLink('down');
        await host.output(['systemctl', 'start', cluster.watchdogUnit]);
        await instance.untilLink('up');
      },
    };
    const watchdog: LoggingDaemon = {
      unit: cluster.watchdogUnit,
      ident: 'cm_dog',
      port: 27545,
      set: async (settings) => {
        for (const [name, value] of Object.entries(settings)) ofWatchdog[`watchdog.${name}`] = value;
        await cluster.configure(ofWatchdog);
      },
      // A postmaster that it has not seen before has too low a limit of open files, as Debian starts it.
      warn: async () => void (await host.output(['systemctl', 'restart', cluster.unit])),
    };
    await conmgr.set({ backend_host0: '127.0.0.1', backend_port0: 5432, syslog_ident: conmgr.ident });
    await watchdog.set({ syslog_ident: watchdog.ident });
    await host.write('/etc/rsyslog.d/10-received.conf', RSYSLOG);
    await host.output(`install -o root -g adm -m 640 /dev/null ${RECEIVED}; systemctl restart rsyslog`);
    await cluster.start();
    await host.output(['systemctl', 'start', instance.unit, cluster.watchdogUnit]);
    await instance.untilLink('up');
    return new LogScene(host, cluster, instance, conmgr, watchdog);
  }

  get daemons(): readonly LoggingDaemon[] {
    return [this.conmgr, this.watchdog];
  }

  /** Has a daemon take over settings while it runs. */
  async reload({ set, unit }: LoggingDaemon, settings: Settings): Promise<void> {
    await set(settings);
    await this.host.output(['systemctl', 'reload', unit]);
  }

  /** The lines that rsyslog has received. */
  async received(): Promise<string[]> {
    return (await this.host.read(RECEIVED)).split('\n').slice(0, -1);
  }

  /** Waits until rsyslog has received a line that matches, and returns that; the first `from` lines do not count. */
  async untilReceived(line: RegExp, from = 0): Promise<string> {
    let seen: readonly string[] = [];
    return await this.host
      .until(String(line), async () => {
        seen = (await this.received()).slice(from);
        return seen.find((one) => line.test(one));
      })
      .catch((error: unknown) => {
        throw new Error(`${line} is not in\n${seen.join('\n')}`, { cause: error });
      });
  }

  /** Entries that a daemon has brought to the journal in that way. */
  entries({ unit }: LoggingDaemon, transport: Transport, ...more: string[]): Promise<JournalEntry[]> {
    return this.host.journal(`_SYSTEMD_UNIT=${unit}`, `_TRANSPORT=${transport}`, ...more);
  }

  /** Waits for an entry. */
  untilEntry(daemon: LoggingDaemon, transport: Transport, text: RegExp): Promise<JournalEntry> {
    return this.host.until(`${daemon.unit}: ${text}`, async () =>
      (await this.entries(daemon, transport)).find(({ MESSAGE = '' }) => text.test(MESSAGE)),
    );
  }
}

/** The scene of the describe() that calls it, from its first test to its last. */
export function logScene(suite: Suite): () => LogScene {
  let scene: LogScene | undefined;
  before(async () => {
    scene = await LogScene.up(suite);
  });
  after(() => scene?.host.remove());
  return () => scene as LogScene;
}
