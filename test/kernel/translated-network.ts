/**
 * Hosts behind address translation: the run's own namespace is the outside, where the servers are. A router stands
 * between it and two hosts, and gives all that comes from them its one address, and ports of its own choice.
 */
import { execFileSync } from 'node:child_process';
import { type Running, startCommand } from '../support/running.js';

/** The address of the servers, and that of the router, as the servers see it. */
export const OUTSIDE = { servers: '198.51.100.1', router: '198.51.100.2' } as const;
const ROUTER_INSIDE = '192.168.50.1';

function run(words: string, within: readonly string[] = []): void {
  const [program = '', ...args] = [...within, ...words.split(' ')];
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

class Namespace {
  readonly within: readonly string[];

  private constructor(readonly holder: Running) {
    this.within = ['nsenter', `--net=/proc/${holder.pid}/ns/net`, '--'];
  }

  static async make(): Promise<Namespace> {
    // Holds the namespace until its standard input ends.
    const holder = startCommand('unshare', ['--net', '--', 'sh', '-c', 'echo there; exec cat']);
    await holder.waitForLine(/^there$/);
    const namespace = new Namespace(holder);
    run('ip link set lo up', namespace.within);
    return namespace;
  }
}

/** One host behind the router. */
export interface TranslatedHost {
  /** As it sees itself. */
  readonly address: string;
  /** A command that runs another one on the host. */
  readonly within: readonly string[];
  /** From here on nothing leaves it or reaches it. */
  cut(): void;
  mend(): void;
}

export class TranslatedNetwork {
  private constructor(
    readonly hosts: readonly [TranslatedHost, TranslatedHost],
    private readonly namespaces: readonly Namespace[],
  ) {}

  static async start(): Promise<TranslatedNetwork> {
    run('ip link set lo up');
    const [router, ...insides] = [await Namespace.make(), await Namespace.make(), await Namespace.make()];
    if (router === undefined) throw new Error('there is no router');
    run(`ip link add to-router type veth peer name outside netns ${router.holder.pid}`);
    run(`ip addr add ${OUTSIDE.servers}/24 dev to-router`);
    run('ip link set to-router up');
    for (const words of [
      `ip addr add ${OUTSIDE.router}/24 dev outside`,
      'ip link set outside up',
      'ip link add inside type bridge',
      `ip addr add ${ROUTER_INSIDE}/24 dev inside`,
      'ip link set inside up',
    ]) {
      run(words, router.within);
    }
    execFileSync(router.within[0]!, [
      ...router.within.slice(1),
      'sh',
      '-c',
      'echo 1 >/proc/sys/net/ipv4/ip_forward',
    ]);
    // Ports below those that the hosts take by themselves, so that none is what it was.
    const rules = [
      'table ip translation {',
      'chain leaving { type nat hook postrouting priority 100; oifname "outside" ip protocol tcp masquerade to :20000-29999; }',
      '}',
    ];
    execFileSync(router.within[0]!, [...router.within.slice(1), 'nft', rules.join('\n')]);
    const hosts = insides.map((namespace, at): TranslatedHost => {
      const address = `192.168.50.${11 + at}`;
      const { pid } = namespace.holder;
      run(`ip link add to-host${at} type veth peer name eth0 netns ${pid}`, router.within);
      run(`ip link set to-host${at} master inside up`, router.within);
      for (const words of [
        `ip addr add ${address}/24 dev eth0`,
        'ip link set eth0 up',
        `ip route add default via ${ROUTER_INSIDE}`,
      ]) {
        run(words, namespace.within);
      }
      return {
        address,
        within: namespace.within,
        cut: () => run(`ip link set to-host${at} down`, router.within),
        mend: () => run(`ip link set to-host${at} up`, router.within),
      };
    });
    return new TranslatedNetwork([hosts[0]!, hosts[1]!], [router, ...insides]);
  }

  async end(): Promise<void> {
    run('ip link del to-router');
    for (const { holder } of this.namespaces) await holder.stop('SIGKILL');
  }
}
