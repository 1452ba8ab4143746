/**
 * Three hosts on one switch: `app` and two database hosts. Nothing leads out of it. Each host knows the others by name.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { RUN_ID } from '../../runner/sweep.js';
import { Host } from './host.js';
import type { Image } from './images.js';
import { namespacePrefix } from './leftovers.js';

const NAMES = ['app', 'db1', 'db2'] as const;
export type LabHost = (typeof NAMES)[number];

/** What each host has on the network. */
export const ADDRESS: Readonly<Record<LabHost, string>> = {
  app: '192.0.2.1',
  db1: '192.0.2.2',
  db2: '192.0.2.3',
};

let labs = 0;

async function ip(...args: string[]): Promise<void> {
  await promisify(execFile)('ip', args);
}

export class Lab {
  private constructor(
    readonly app: Host,
    readonly db1: Host,
    readonly db2: Host,
    private readonly namespace: (part: string) => string,
  ) {}

  /** Lays the cables and boots the three hosts, side by side. */
  static async up(image: Image): Promise<Lab> {
    const number = ++labs;
    const namespace = (part: string): string =>
      `${namespacePrefix(process.env[RUN_ID] ?? '')}${process.pid}-${number}-${part}`;
    const hub = namespace('switch');
    await ip('netns', 'add', hub);
    await ip('-n', hub, 'link', 'add', 'br0', 'type', 'bridge');
    await ip('-n', hub, 'link', 'set', 'br0', 'up');
    for (const name of NAMES) {
      const own = namespace(name);
      const port = portOf(name);
      await ip('netns', 'add', own);
      await ip('link', 'add', 'eth0', 'netns', own, 'type', 'veth', 'peer', 'name', port, 'netns', hub);
      await ip('-n', hub, 'link', 'set', port, 'master', 'br0', 'up');
      await ip('-n', own, 'address', 'add', `${ADDRESS[name]}/24`, 'dev', 'eth0');
      await ip('-n', own, 'link', 'set', 'lo', 'up');
      await ip('-n', own, 'link', 'set', 'eth0', 'up');
    }
    const booted = await Promise.all(
      NAMES.map((name) => Host.boot(image, { name, network: `/run/netns/${namespace(name)}` })),
    );
    const [app, db1, db2] = booted as [Host, Host, Host];
    const lines = NAMES.map((name) => `${ADDRESS[name]} ${name}\n`).join('');
    await Promise.all(booted.map((host) => host.output('cat >>/etc/hosts', { input: lines })));
    return new Lab(app, db1, db2, namespace);
  }

  /** Pulls the cable of one host: nothing comes through, and nobody is told. */
  async cut(name: LabHost): Promise<void> {
    await ip('-n', this.#hub, 'link', 'set', portOf(name), 'down');
  }

  /** Puts the cable back. */
  async mend(name: LabHost): Promise<void> {
    await ip('-n', this.#hub, 'link', 'set', portOf(name), 'up');
  }

  /** Drops silently what two hosts send to each other; both still reach the third. One pair at a time. */
  async split(one: LabHost, other: LabHost): Promise<void> {
    const rule = (from: LabHost, to: LabHost): string =>
      `iifname ${portOf(from)} oifname ${portOf(to)} drop;`;
    const chain = `type filter hook forward priority 0; ${rule(one, other)} ${rule(other, one)}`;
    await this.#nft(`table bridge split { chain both { ${chain} }; }`);
  }

  /** Takes back what `split` did. */
  async heal(): Promise<void> {
    await this.#nft('delete table bridge split');
  }

  /** Ends the hosts and takes the network away. For `after` hooks. */
  async remove(): Promise<void> {
    await Promise.all([this.app, this.db1, this.db2].map((host) => host.remove()));
    for (const part of [...NAMES, 'switch']) await ip('netns', 'delete', this.namespace(part));
  }

  get #hub(): string {
    return this.namespace('switch');
  }

  async #nft(command: string): Promise<void> {
    await ip('netns', 'exec', this.#hub, 'nft', command);
  }
}

/** The end of a host's cable in the switch. */
function portOf(name: LabHost): string {
  return `port-${name}`;
}
