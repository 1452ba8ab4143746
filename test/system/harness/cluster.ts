/** PostgreSQL as Debian has it: the cluster `main` of a host, run by postgresql@VERSION-main. */
import type { Host } from './host.js';
import type { Suite } from './images.js';

export class Cluster {
  readonly unit: string;
  readonly watchdogUnit: string;
  readonly directory: string;
  readonly #configuration: string;
  readonly #programs: string;

  constructor(
    readonly host: Host,
    { postgres }: Suite,
  ) {
    this.unit = `postgresql@${postgres}-main.service`;
    this.watchdogUnit = `conmgr-watchdog@${postgres}-main.service`;
    this.directory = `/var/lib/postgresql/${postgres}/main`;
    this.#configuration = `/etc/postgresql/${postgres}/main`;
    this.#programs = `/usr/lib/postgresql/${postgres}/bin`;
  }

  /** Sets parameters, for the next start or reload; earlier ones of this method are gone. */
  configure(settings: Readonly<Record<string, string | number>>): Promise<void> {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    return this.host.write(`${this.#configuration}/conf.d/test.conf`, lines.join(''));
  }

  /** Lets everybody of a network in, to every database and for replication. */
  async admit(network: string): Promise<void> {
    const lines = `host all all ${network} trust\nhost replication all ${network} trust\n`;
    await this.host.output(`cat >>${this.#configuration}/pg_hba.conf`, { input: lines });
  }

  /** Whether it starts with the host. */
  async startAtBoot(yes: boolean): Promise<void> {
    await this.host.write(`${this.#configuration}/start.conf`, yes ? 'auto\n' : 'manual\n');
    await this.host.output(['systemctl', 'daemon-reload']);
  }

  async start(): Promise<void> {
    await this.host.output(['systemctl', 'start', this.unit]);
  }

  /** Runs SQL as the superuser and returns the rows, columns separated by |. */
  sql(query: string): Promise<string> {
    return this.host.output(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', query], { user: 'postgres' });
  }

  /** Makes this cluster, which does not run, a streaming standby of another host's. It is not started. */
  async becomeStandbyOf(primary: string): Promise<void> {
    const { directory } = this;
    await this.host.output(['rm', '-rf', directory]);
    const backup = [`${this.#programs}/pg_basebackup`, '-h', primary, '-D', directory, '-R', '-X', 'stream'];
    await this.host.output([...backup, '--checkpoint=fast'], { user: 'postgres' });
  }

  /** Makes the standby the primary. */
  async promote(): Promise<void> {
    await this.sql('select pg_promote()');
  }
}
