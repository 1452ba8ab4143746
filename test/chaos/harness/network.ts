/**
 * A network for one row: hosts are network namespaces on a switch that is one more. The process of the test file moves
 * into a namespace of its own, which is the first application host, so no two files, and nothing of this machine, are
 * within reach of one another's faults. A namespace goes with the last process in it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { loadNative } from '../../../src/io/native.js';
import { signalIfAny } from '../../support/processes.js';
import { type Running, startCommand } from '../../support/running.js';

/** unshare(2) */
const CLONE_NEWNET = 0x40000000;

let moved = false;

/** Sockets and children are made by the thread that runs JavaScript, so it alone has to move. */
function moveOut(): void {
  if (moved) return;
  const library = loadNative();
  if (library === undefined) throw new Error('network namespaces need native calls');
  if (library.func('int unshare(int)')(CLONE_NEWNET) !== 0) throw new Error(`unshare: ${library.errno()}`);
  moved = true;
  // The scratch directory belongs to root; servers and conmgr have theirs below it.
  chmodSync(tmpdir(), 0o711);
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
}

export type Way = 'in' | 'out';

/** Runs a command in a network namespace, and sees it fail. */
function runWithin(within: readonly string[], command: readonly string[]): string {
  const [program = '', ...args] = [...within, ...command];
  return execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
}

/** One host, and its cable. */
export class Host {
  readonly within: readonly string[];
  #tables = 0;

  constructor(
    readonly name: string,
    readonly address: string,
    readonly address6: string,
    /** undefined: the host of the test itself. */
    private readonly holder: Running | undefined,
  ) {
    this.within = holder === undefined ? [] : ['nsenter', `--net=/proc/${holder.pid}/ns/net`, '--'];
  }

  run(...command: string[]): string {
    return runWithin(this.within, command);
  }

  /**
   * Treats packets from and to the network by rules of nftables.
   * @param rule what happens to them: "drop", "tcp dport 5432 reject"
   * @param other only to packets of this host
   * @returns ends it
   */
  treat(ways: readonly Way[], rule: string, other?: Host): () => void {
    const table = `fault${this.#tables++}`;
    const chains = ways.map((way) => {
      const [hook, end, peer] = way === 'in' ? ['input', 'iifname', 'saddr'] : ['output', 'oifname', 'daddr'];
      const families = [`ip ${peer} ${other?.address}`, `ip6 ${peer} ${other?.address6}`];
      const rules = (other === undefined ? [''] : families).map((from) => `${end} != "lo" ${from} ${rule}`);
      return `chain ${way} { type filter hook ${hook} priority 0; ${rules.join('; ')}; }`;
    });
    this.run('nft', `table inet ${table} {\n${chains.join('\n')}\n}`);
    return () => {
      this.run('nft', 'delete', 'table', 'inet', table);
    };
  }

  /** The address of its interface that has a meaning on this cable only. */
  linkLocal(): string {
    const [, address = ''] =
      /inet6 (fe80:[0-9a-f:]+)/.exec(this.run('ip', '-6', 'addr', 'show', 'dev', 'eth0')) ?? [];
    return address;
  }

  /** From here on every packet to and from the host disappears, until the function that is returned is called. */
  cut(): () => void {
    return this.treat(['in', 'out'], 'drop');
  }

  /**
   * The same for so many milliseconds, which the kernel counts: however busy the machine, it is no longer.
   * @returns to be called later than that
   */
  cutFor(ms: number): () => void {
    const table = `fault${this.#tables++}`;
    const set = `set off { type ifname; flags timeout; elements = { "eth0" timeout ${ms}ms } }`;
    const chains = [
      ['in', 'input', 'iifname'],
      ['out', 'output', 'oifname'],
    ].map(([name, hook, end]) => `chain ${name} { type filter hook ${hook} priority 0; ${end} @off drop; }`);
    this.run('nft', `table inet ${table} {\n${[set, ...chains].join('\n')}\n}`);
    return () => {
      this.run('nft', 'delete', 'table', 'inet', table);
    };
  }

  /** Gives it its address once the cable is there. */
  turnOn(): void {
    this.run('ip', 'link', 'set', 'lo', 'up');
    this.run('ip', 'addr', 'add', `${this.address}/24`, 'dev', 'eth0');
    // Link-local addresses hold at once; one that is still being looked for elsewhere is not taken as the source of a link.
    this.run('sh', '-c', 'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad');
    this.interface('up');
  }

  /** Takes the interface down, or up again. */
  interface(state: 'up' | 'down'): void {
    this.run('ip', 'link', 'set', 'eth0', state);
  }

  /** Everything that runs on it. */
  processes(): number[] {
    if (this.holder === undefined) throw new Error('the test runs on this host');
    const own = readlinkSync(`/proc/${this.holder.pid}/ns/net`);
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name) || Number(name) === this.holder?.pid) return [];
      try {
        return readlinkSync(`/proc/${name}/ns/net`) === own ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
  }

  /** Stops all that runs on it in its tracks; what is born meanwhile, too. */
  freeze(): void {
    const stopped = new Set<number>();
    for (;;) {
      const fresh = this.processes().filter((pid) => !stopped.has(pid));
      if (fresh.length === 0) return;
      for (const pid of fresh) {
        signalIfAny(pid, 'SIGSTOP');
        stopped.add(pid);
      }
    }
  }

  thaw(): void {
    for (const pid of this.processes()) signalIfAny(pid, 'SIGCONT');
  }

  async end(): Promise<void> {
    if (this.holder === undefined) {
      this.run('nft', 'flush', 'ruleset');
      return;
    }
    for (const pid of this.processes()) signalIfAny(pid, 'SIGKILL');
    await this.holder.stop('SIGKILL');
  }
}

async function namespace(): Promise<Running> {
  // Holds it until its standard input ends.
  const holder = startCommand('unshare', ['--net', '--', 'sh', '-c', 'echo there; exec cat']);
  await holder.waitForLine(/^there$/);
  return holder;
}

/** A cable whose one end has this name here, and is eth0 in the namespace of process `pid`. */
function layCable(here: { run(...command: string[]): string }, name: string, pid: number): void {
  here.run(...`ip link add ${name} type veth peer name eth0 netns ${pid}`.split(' '));
}

export class Network {
  readonly hosts: Host[] = [];

  private constructor(private readonly holder: Running) {}

  /** A switch with the host of the test plugged in, which is the application host `app1`. */
  static async open(): Promise<Network> {
    moveOut();
    const network = new Network(await namespace());
    network.switch.run('ip', 'link', 'add', 'switch', 'type', 'bridge');
    network.switch.run('ip', 'link', 'set', 'switch', 'up');
    network.#plug('app1', 21, undefined);
    return network;
  }

  /** Where cables end. */
  readonly switch = {
    run: (...command: string[]): string =>
      runWithin(['nsenter', `--net=/proc/${this.holder.pid}/ns/net`, '--'], command),
  };

  get app1(): Host {
    return this.hosts[0]!;
  }

  /** One more host; `number` is the last part of its addresses. */
  async addHost(name: string, number: number): Promise<Host> {
    return this.#plug(name, number, await namespace());
  }

  #plug(name: string, number: number, holder: Running | undefined): Host {
    const host = new Host(name, `10.92.0.${number}`, `fd92::${number}`, holder);
    this.hosts.push(host);
    layCable(this.switch, name, holder?.pid ?? process.pid);
    this.switch.run('ip', 'link', 'set', name, 'master', 'switch', 'up');
    host.turnOn();
    host.run('ip', 'addr', 'add', `${host.address6}/64`, 'dev', 'eth0', 'nodad');
    return host;
  }

  /** A host that leads others to the switch and gives them its own address (NAT). */
  async addRouter(name: string, number: number): Promise<Router> {
    const router = new Router(await this.addHost(name, number), this.hosts);
    router.masquerade();
    return router;
  }

  async end(): Promise<void> {
    for (const host of this.hosts) await host.end();
    // The cable of the test's own host goes with the other end of it.
    for (const { name } of this.hosts) this.#unplug(name);
    await this.holder.stop('SIGKILL');
  }

  #unplug(name: string): void {
    try {
      this.switch.run('ip', 'link', 'del', name);
    } catch {
      // Gone with its host already.
    }
  }
}

/** Hides hosts behind its address. */
export class Router {
  constructor(
    readonly host: Host,
    private readonly hosts: Host[],
  ) {}

  masquerade(): void {
    this.host.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
    this.host.run(
      'nft',
      'table ip nat {\nchain out { type nat hook postrouting priority 100; oifname "eth0" masquerade; }\n}',
    );
  }

  /** One more host behind it, numbers from 1. */
  async addHost(name: string, number: number): Promise<Host> {
    const holder = await namespace();
    const [address, gateway] = [`10.93.${number}.2`, `10.93.${number}.1`];
    const host = new Host(name, address, '', holder);
    this.hosts.push(host);
    layCable(this.host, name, holder.pid);
    this.host.run('ip', 'addr', 'add', `${gateway}/24`, 'dev', name);
    this.host.run('ip', 'link', 'set', name, 'up');
    host.turnOn();
    host.run('ip', 'route', 'add', 'default', 'via', gateway);
    return host;
  }
}
