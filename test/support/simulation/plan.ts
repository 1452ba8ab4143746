/**
 * Random histories as text: a seed becomes the lines of a scenario, and nothing else decides what happens. So a history
 * that breaks a promise is a scenario already, and lines can be taken out of it.
 */
import { seeded } from './timeline.js';

const SERVERS = ['db1', 'db2', 'db3'] as const;
const CONMGRS = ['app1', 'app2'] as const;
const MISFORTUNE_MS = 60_000;
const LONGEST_PAUSE_MS = 5000;
const LONGEST_DELAY_MS = 4000;

/** The lines of a scenario, without the `>`. */
export type Plan = readonly string[];

type Random = () => number;

function pick<T>(random: Random, all: readonly T[]): T {
  return all[Math.floor(random() * all.length)]!;
}

const TARGETS = ['read-write', 'any', 'standby', 'prefer-standby'] as const;
const BALANCES = ['round-robin', 'least-connections', 'random', 'ordered'] as const;

/** How each plan ends: nothing is broken any more, there is time to recover, and all must have. */
export const RECOVERY = ['mend', 'advance 20s', 'expect recovery'] as const;

/** A minute of misfortune for a cluster, then everything is mended, and all must recover. */
export function planOf(seed: number): Plan {
  const random = seeded(seed ^ 0x5eed);
  // Every other cluster has its conmgrs behind one address, where only what they report tells their sessions apart.
  const behind = seed % 2 === 1;
  const lines = [`seed ${seed}`];
  for (const name of SERVERS) {
    const scope = behind ? ' terminate_scope=monitored' : '';
    lines.push(`server ${name} ${name === 'db1' ? 'primary' : 'standby'}${scope}`);
  }
  CONMGRS.forEach((name, at) => {
    const where = behind ? ` address=10.0.1.1 inside=192.168.0.${at + 1}` : '';
    lines.push(`conmgr ${name} instances=${SERVERS.join(',')}${where}`);
  });
  lines.push('promises', 'advance 5s');
  let applications = 0;
  const attach = (): string => {
    applications += 1;
    return `attach s${applications} ${pick(random, CONMGRS)} ${pick(random, TARGETS)}`;
  };
  for (let count = 0; count < 4; count += 1) lines.push(attach());
  // Applications that do not use conmgr: a terminator that goes by the address may end them.
  if (!behind)
    CONMGRS.forEach((name, at) => {
      for (const server of SERVERS) lines.push(`direct x${at + 1}${server.slice(2)} ${server} ${name}`);
    });
  for (let passed = 0; passed < MISFORTUNE_MS; ) {
    const kind = pick(random, KINDS);
    if (kind === 'attach') lines.push(attach());
    else lines.push(...misfortune(kind, random));
    const pauseMs = Math.floor(random() * LONGEST_PAUSE_MS);
    passed += pauseMs;
    lines.push(`advance ${pauseMs}ms`);
  }
  return [...lines, ...RECOVERY];
}

function misfortune(kind: Exclude<(typeof KINDS)[number], 'attach'>, random: Random): readonly string[] {
  const [conmgr, server] = [pick(random, CONMGRS), pick(random, SERVERS)];
  const oneWay = random() < 0.5 ? `${conmgr} -> ${server}` : `${server} -> ${conmgr}`;
  switch (kind) {
    case 'cut':
      return [`cut ${random() < 0.7 ? `${conmgr} ${server}` : oneWay}`];
    case 'reject':
      return [`reject ${oneWay}`];
    case 'heal':
      return [`heal ${conmgr} ${server}`];
    case 'delay':
      return [`delay ${conmgr} ${server} ${Math.floor(random() * LONGEST_DELAY_MS)}ms`];
    case 'no delay':
      return [`delay ${conmgr} ${server} 1ms`];
    case 'restart conmgr':
      // A service manager starts it again at once, or somebody does later.
      return random() < 0.5
        ? [
            `stop conmgr ${conmgr} restart`,
            `advance ${500 + Math.floor(random() * 1000)}ms`,
            `start conmgr ${conmgr}`,
          ]
        : [`stop conmgr ${conmgr} restart`];
    case 'kill conmgr':
    case 'start conmgr':
    case 'freeze conmgr':
    case 'thaw conmgr':
      return [`${kind} ${conmgr}`];
    case 'reload':
      return [`reload ${conmgr} load_balance=${pick(random, BALANCES)}`];
    case 'garbage':
      return [`garbage ${conmgr} ${server}`];
    case 'stop watchdog':
      return [`stop watchdog ${server} ${pick(random, ['stop', 'restart', 'hostShutdown'])}`];
    case 'kill watchdog':
    case 'start watchdog':
    case 'freeze watchdog':
    case 'thaw watchdog':
    case 'kill postmaster':
    case 'start postmaster':
    case 'power-off':
    case 'promote':
      return [`${kind} ${server}`];
    case 'demote':
      return [`demote ${server} timeline=newest`];
  }
}

const KINDS = [
  'attach',
  'attach',
  'cut',
  'cut',
  'reject',
  'heal',
  'heal',
  'heal',
  'delay',
  'no delay',
  'kill conmgr',
  'start conmgr',
  'start conmgr',
  'restart conmgr',
  'restart conmgr',
  'freeze conmgr',
  'thaw conmgr',
  'thaw conmgr',
  'reload',
  'garbage',
  'kill watchdog',
  'start watchdog',
  'start watchdog',
  'stop watchdog',
  'freeze watchdog',
  'thaw watchdog',
  'thaw watchdog',
  'kill postmaster',
  'start postmaster',
  'start postmaster',
  'power-off',
  'promote',
  'demote',
] as const;
