/** A primary and a standby with their watchdogs, and a conmgr that watches them: the whole product, for real. */
import { CmClient } from '../../src/client/client.js';
import type { CmClientConfig } from '../../src/client/options.js';
import { ConmgrProcess, type ConmgrSettings, type InstanceLines } from './conmgr-process.js';
import { eventually } from './eventually.js';
import { type Pair, type PairOptions, type Server, startPair } from './postgres.js';
import { signalIfAny } from './processes.js';
import { TestWatchdog } from './watchdog.js';

export interface LiveSetOptions {
  readonly pair?: PairOptions;
  /** watchdog.* settings without the prefix. */
  readonly watchdog?: Readonly<Record<string, string>>;
  readonly conmgr?: ConmgrSettings;
}

/** Instance 0 is the primary at the start, instance 1 the standby. */
export class LiveSet {
  readonly #clients: CmClient[] = [];
  readonly #conmgrs: ConmgrProcess[] = [];

  private constructor(
    readonly pair: Pair,
    readonly watchdogs: [TestWatchdog, TestWatchdog],
    readonly lines: readonly InstanceLines[],
    private readonly settings: ConmgrSettings,
  ) {}

  /** Starts everything and returns when conmgr knows who is who. */
  static async start(options: LiveSetOptions = {}): Promise<LiveSet> {
    const pair = await startPair({ listen: ['127.0.0.1', '127.0.0.2'], ...options.pair });
    const servers = [pair.primary, pair.standby];
    try {
      const [first, second] = await Promise.all(
        servers.map((server) =>
          TestWatchdog.start(server, options.watchdog === undefined ? {} : { settings: options.watchdog }),
        ),
      );
      const lines = servers.map(({ host, port }, at) => ({
        host,
        backendPort: port,
        watchdogPort: (at === 0 ? first : second)!.port,
      }));
      const set = new LiveSet(pair, [first!, second!], lines, {
        heartbeat_interval: '200ms',
        heartbeat_timeout: '1500ms',
        ...options.conmgr,
      });
      await set.addConmgr();
      return set;
    } catch (error) {
      await pair.end();
      throw error;
    }
  }

  /** The first conmgr. */
  get conmgr(): ConmgrProcess {
    return this.#conmgrs[0]!;
  }

  server(number: number): Server {
    return number === 0 ? this.pair.primary : this.pair.standby;
  }

  /** Starts one more conmgr, or one on the directory of another that has ended. */
  async addConmgr(directory?: string): Promise<ConmgrProcess> {
    const conmgr = await ConmgrProcess.start({
      instances: this.lines,
      settings: this.settings,
      ...(directory === undefined ? {} : { directory }),
    });
    this.#conmgrs.push(conmgr);
    await conmgr.linked();
    return conmgr;
  }

  /** Has a new process take over from the first conmgr, which it is from then on. */
  async replaceConmgr(): Promise<ConmgrProcess> {
    const next = await this.conmgr.replaced();
    this.#conmgrs[0] = next;
    return next;
  }

  /** Returns when the watchdogs know the first conmgr long enough for its end to cost sessions: three beats. */
  async trusted(): Promise<void> {
    const links = async () => (await this.conmgr.status()).instances.map(({ link }) => link);
    // Both ends beat equally often, and what else is received are two packets at the start.
    await eventually(async () => (await links()).every(({ packetsReceived }) => packetsReceived >= 7), {
      what: 'enough beats have been sent',
    });
  }

  /** An application that connects through the first conmgr. */
  async client(config: CmClientConfig): Promise<CmClient> {
    const client = new CmClient({
      host: '127.0.0.1',
      port: this.conmgr.port,
      user: 'postgres',
      database: 'postgres',
      ...config,
    });
    client.on('error', () => {});
    this.#clients.push(client);
    await client.connect();
    return client;
  }

  /** Ends everything, in whatever state it is. */
  async end(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end().catch(() => {})));
    await Promise.all(this.#conmgrs.map((conmgr) => conmgr.stop('SIGKILL')));
    for (const { running } of this.watchdogs) signalIfAny(running.pid, 'SIGCONT');
    await Promise.all(this.watchdogs.map((watchdog) => watchdog.stop('SIGKILL')));
    await this.pair.end();
  }
}

/** The cluster_name of the server a client is connected to. */
export async function serverOf(client: CmClient): Promise<string> {
  const { rows } = await client.query<{ name: string }>("select current_setting('cluster_name') as name");
  return rows[0]?.name ?? '';
}
