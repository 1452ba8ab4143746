/** An instance of conmgr on a host, made as an administrator makes one. */
import type { StatusReport } from '../../../src/core/control/protocol.js';
import type { Host } from './host.js';

/** Parameters of conmgr.conf. */
export type Settings = Readonly<Record<string, string | number>>;

/** Quick enough for a test, with a time-out that a busy machine keeps. */
export const QUICK: Settings = {
  heartbeat_interval: '500ms',
  heartbeat_timeout: '3s',
  heartbeat_connect_interval: '500ms',
  heartbeat_connect_timeout: '2s',
};

/** `conmgr@NAME` with its directory below /var/lib/conmgr. */
export class Instance {
  readonly unit: string;
  readonly directory: string;

  private constructor(
    readonly host: Host,
    readonly name: string,
  ) {
    this.unit = `conmgr@${name}.service`;
    this.directory = `/var/lib/conmgr/${name}`;
  }

  /** Makes the directory by cm_ctl and appends settings to conmgr.conf. */
  static async init(host: Host, name: string, settings: Settings): Promise<Instance> {
    const instance = new Instance(host, name);
    await host.output(['cm_ctl', 'init', '-D', instance.directory], { user: 'conmgr' });
    await instance.append(settings);
    return instance;
  }

  /** Appends settings to conmgr.conf, where they win over earlier ones. */
  async append(settings: Settings): Promise<void> {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    await this.host.output(['sh', '-c', 'cat >>"$1"', 'sh', `${this.directory}/conmgr.conf`], {
      input: lines.join(''),
    });
  }

  /** What `cm_ctl status --json` prints. */
  async status(): Promise<StatusReport> {
    const text = await this.host.output(['cm_ctl', 'status', '-D', this.directory, '--json']);
    return JSON.parse(text) as StatusReport;
  }

  /** Waits until the link to the first server is up or not. */
  async untilLink(phase: 'up' | 'down'): Promise<void> {
    await this.host.until(`the link is ${phase}`, async () => {
      const { stdout } = await this.host.run(['cm_ctl', 'status', '-D', this.directory, '--json']);
      const { instances } = JSON.parse(stdout === '' ? '{"instances":[]}' : stdout) as StatusReport;
      return instances.length > 0 && (instances[0]?.link.phase === 'up') === (phase === 'up');
    });
  }

  /** Waits until `cm_ctl resolve TARGET` names the host. */
  async untilResolved(target: string, host: string, { timeoutMs = 20_000 } = {}): Promise<void> {
    await this.host.until(
      `${target} is ${host}`,
      async () => {
        const { stdout } = await this.host.run(['cm_ctl', 'resolve', '-D', this.directory, target]);
        return stdout.includes(`host=${host} `) || stdout.includes(`hostaddr=${host} `);
      },
      { timeoutMs },
    );
  }
}
