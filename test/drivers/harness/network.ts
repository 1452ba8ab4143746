/**
 * The network of the tests: the run is in a network namespace of its own, which is the host of the applications and of
 * conmgr. Each database host is one more, on the same switch.
 */
import { execFileSync, type StdioOptions, spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Running, startCommand } from '../../support/running.js';

/** The host of the applications on the switch. */
const APPLICATIONS = '10.91.0.1';

/** The name in the certificate of the tests. */
export const SERVER_NAME = 'db.test';

const quiet: StdioOptions = ['ignore', 'pipe', 'pipe'];

function ip(words: string): void {
  execFileSync('ip', words.split(' '), { stdio: quiet });
}

/** Sets up what a run shares: the loopback interface, the switch, the names. Every test file calls it. */
export function setUpNetwork(): void {
  // The scratch directory belongs to root; servers and conmgr have theirs below it.
  chmodSync(tmpdir(), 0o711);
  // By the switch, not by a file: benchmarks share the scratch directory, but have a namespace each.
  if (spawnSync('ip', ['link', 'show', 'switch']).status === 0) return;
  ip('link set lo up');
  ip('link add switch type bridge');
  ip(`addr add ${APPLICATIONS}/24 dev switch`);
  ip('link set switch up');
  nameServer(SERVER_NAME, '127.0.0.1');
  execFileSync('mount', ['--bind', join(tmpdir(), 'hosts'), '/etc/hosts'], { stdio: quiet });
}

/** Makes `name` the address, beside localhost and the database hosts. */
export function nameServer(name: string, address: string): void {
  const lines = [
    '127.0.0.1 localhost',
    '::1 localhost',
    '10.91.0.11 db1.test',
    '10.91.0.12 db2.test',
    `${address} ${name}`,
  ];
  // The same file, written over: it is mounted.
  writeFileSync(join(tmpdir(), 'hosts'), `${lines.join('\n')}\n`, { mode: 0o644 });
}

/** A database host: its address, the command that enters it, and the cable that can be cut. */
export class DatabaseHost {
  readonly address: string;
  readonly within: readonly string[];
  readonly #cable: string;

  private constructor(
    readonly name: string,
    number: number,
    private readonly holder: Running,
  ) {
    this.address = `10.91.0.${10 + number}`;
    this.#cable = `to-${name}`;
    this.within = ['nsenter', `--net=/proc/${holder.pid}/ns/net`, '--'];
  }

  /** Plugs host `number`, 1 or 2, into the switch. */
  static async start(number: number): Promise<DatabaseHost> {
    // Holds the namespace until its standard input ends.
    const holder = startCommand('unshare', ['--net', '--', 'sh', '-c', 'echo there; exec cat']);
    await holder.waitForLine(/^there$/);
    const host = new DatabaseHost(`db${number}`, number, holder);
    ip(`link add ${host.#cable} type veth peer name eth0 netns ${holder.pid}`);
    ip(`link set ${host.#cable} master switch up`);
    host.#run(['ip', 'link', 'set', 'lo', 'up']);
    host.#run(['ip', 'addr', 'add', `${host.address}/24`, 'dev', 'eth0']);
    host.#run(['ip', 'link', 'set', 'eth0', 'up']);
    return host;
  }

  /** From here on every packet to and from the host disappears. */
  cut(): void {
    const rules = [
      'table inet cut {',
      'chain in { type filter hook input priority 0; iifname != "lo" drop; }',
      'chain out { type filter hook output priority 0; oifname != "lo" drop; }',
      '}',
    ];
    this.#run(['nft', rules.join('\n')]);
  }

  #run(command: readonly string[]): void {
    const [program = '', ...args] = [...this.within, ...command];
    execFileSync(program, args, { stdio: quiet });
  }

  async end(): Promise<void> {
    ip(`link del ${this.#cable}`);
    await this.holder.stop('SIGKILL');
  }
}
