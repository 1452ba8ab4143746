/**
 * The words of a scenario and what they do to a simulated world. `name=value` words are options; a duration is written
 * `300ms` or `3s`.
 */
import { Buffer } from 'node:buffer';
import type {
  ConmgrConfig,
  EvictOnRoleChange,
  LoadBalance,
  OnConflict,
  TerminateOn,
  TerminateScope,
} from '../../../src/core/config/types.js';
import type { CoreStopMode } from '../../../src/core/conmgr/core.js';
import type { GoodbyeReason } from '../../../src/core/protocol/messages.js';
import { expectation } from './expectations.js';
import { mend } from './mend.js';
import { Promises } from './promises.js';
import { durationMs, ScenarioError, type Stage, targetOf, type Words } from './stage.js';
import { conmgrConfig, FLAWS } from './world.js';

/** Options of a conmgr as a change of its configuration. */
function configChange(options: ReadonlyMap<string, string>): Partial<ConmgrConfig> {
  const change: { -readonly [Key in keyof ConmgrConfig]?: ConmgrConfig[Key] } = {};
  for (const [name, value] of options) {
    switch (name) {
      case 'instances':
        if (value === '') throw new ScenarioError('instances= names no instance');
        change.instances = conmgrConfig(value.split(',').map((one) => Number(one.slice(2)))).instances;
        break;
      case 'interval':
        change.heartbeatIntervalMs = durationMs(value);
        break;
      case 'timeout':
        change.heartbeatTimeoutMs = durationMs(value);
        break;
      case 'connect_timeout':
        change.heartbeatConnectTimeoutMs = durationMs(value);
        break;
      case 'resolve_wait':
        change.resolveWaitMs = durationMs(value);
        break;
      case 'on_conflict':
        change.onConflict = value as OnConflict;
        break;
      case 'evict':
        change.evictOnRoleChange = value as EvictOnRoleChange;
        break;
      case 'load_balance':
        change.loadBalance = value as LoadBalance;
        break;
      case 'max_lag':
        change.maxLagBytes = Number(value);
        break;
      case 'max_connections':
        change.maxConnections = Number(value);
        break;
      case 'address':
      case 'inside':
        break;
      default:
        throw new ScenarioError(`a conmgr has no option ${name}`);
    }
  }
  return change;
}

type Command = (stage: Stage, words: Words) => void;

/** One or both directions between two hosts: `a b` or `a -> b`. */
function eachPath(args: readonly string[], change: (from: string, to: string) => void): void {
  const [a = '', b = '', c = ''] = args;
  if (b === '->') change(a, c);
  else {
    change(a, b);
    change(b, a);
  }
}

function fault(stage: Stage): void {
  stage.faultAt = stage.world.now;
}

/** The process that `conmgr app1` or `watchdog db1` means. */
function processOf({ world }: Stage, kind: string | undefined, name = '') {
  if (kind === 'conmgr') return world.conmgr(name);
  if (kind === 'watchdog') return world.watchdog(name);
  throw new ScenarioError(`"${kind}" is no process`);
}

/** Stops or continues processes of a kind; `host`: all of a server. */
function signal(stage: Stage, [kind, name = '']: readonly string[], stop: boolean): void {
  const { world } = stage;
  if (kind === 'postmaster' || kind === 'host') world.server(name).stopped = stop;
  if (kind === 'postmaster') return;
  const { process } = kind === 'host' ? world.watchdog(name) : processOf(stage, kind, name);
  if (stop && kind === 'conmgr') world.conmgr(name).freeze();
  else if (stop) process.stop();
  else process.goOn();
}

export const COMMANDS: Readonly<Record<string, Command>> = {
  server: ({ world }, { args: [name = '', role], options }) => {
    const number = (key: string, fallback: number) => Number(options.get(key) ?? fallback);
    world.addServer(name, role === 'primary' ? 'primary' : 'standby', {
      timeline: number('timeline', 1),
      maxLinks: number('max_links', 100),
      terminateOn: (options.get('terminate_on') ?? 'any') as TerminateOn,
      terminateScope: (options.get('terminate_scope') ?? 'address') as TerminateScope,
      ...(options.has('grace') ? { graceMs: durationMs(options.get('grace')) } : {}),
      ...(options.has('system') ? { systemIdentifier: BigInt(options.get('system') ?? 0) } : {}),
    });
  },
  conmgr: ({ world }, { args: [name = ''], options }) => {
    const config = conmgrConfig([], configChange(options));
    world.addConmgr(name, config, options.get('address'), options.get('inside'));
  },
  attach: ({ world }, { args: [name = '', conmgr = '', target] }) => {
    world.addApplication(name, conmgr, targetOf(target));
    world.timeline.advance(0);
  },
  detach: ({ world }, { args: [name = ''] }) => world.application(name).detach(),
  // Octets that are no heartbeats, from the host of a conmgr to a watchdog.
  garbage: ({ world }, { args: [name = '', server = ''] }) => {
    const end = world.network.connect(name, world.addressOf(server), 'watchdog', {
      connected: () => end.send(Buffer.from('GET / HTTP/1.1\r\n\r\n')),
      data: () => {},
      closed: () => {},
    });
  },
  walsender: ({ world }, { args: [name = '', server = '', conmgr = ''] }) => {
    const ended = () => world.note(name, 'is ended');
    world.server(server).connect(name, world.addressOf(conmgr), ended, { walsender: true });
  },
  // An application of the host of a conmgr that does not use it.
  direct: ({ world }, { args: [name = '', server = '', conmgr = ''], options }) => {
    const port = options.has('port') ? Number(options.get('port')) : undefined;
    const ended = () => world.note(name, 'is ended');
    world.server(server).connect(name, world.addressOf(conmgr), ended, { port });
  },
  advance: ({ world, promises }, { args: [ms] }) => {
    if (promises === undefined) world.timeline.advance(durationMs(ms));
    else promises.advance(durationMs(ms));
  },
  fault,

  // The network
  cut: (stage, { args }) => {
    fault(stage);
    eachPath(args, (from, to) => {
      stage.world.network.path(from, to).state = 'drop';
    });
  },
  reject: (stage, { args }) => {
    fault(stage);
    eachPath(args, (from, to) => {
      stage.world.network.path(from, to).state = 'reject';
    });
  },
  heal: (stage, { args }) => {
    eachPath(args, (from, to) => {
      stage.world.network.path(from, to).state = 'open';
    });
  },
  delay: (stage, { args: [a = '', b = '', ms] }) => {
    fault(stage);
    eachPath([a, b], (from, to) => {
      stage.world.network.path(from, to).delayMs = durationMs(ms);
    });
  },
  loss: (stage, { args: [a = '', b = '', share = ''] }) => {
    fault(stage);
    eachPath([a, b], (from, to) => {
      stage.world.network.path(from, to).loss = Number.parseFloat(share) / 100;
    });
  },
  dns: ({ world }, { args: [name = '', answer = '', after] }) => {
    world.setName(name, {
      addresses: answer === 'fails' ? undefined : answer.split(','),
      afterMs: after === undefined ? 1 : durationMs(after),
    });
  },

  // Processes
  freeze: (stage, { args }) => {
    fault(stage);
    signal(stage, args, true);
  },
  thaw: (stage, { args }) => signal(stage, args, false),
  kill: (stage, { args: [kind, name = ''] }) => {
    fault(stage);
    if (kind === 'postmaster') stage.world.server(name).die();
    else processOf(stage, kind, name).kill();
  },
  start: (stage, { args: [kind, name = ''] }) => {
    if (kind === 'postmaster' && stage.world.server(name).state === 'up') return;
    if (kind === 'postmaster')
      stage.world.server(name).change('at once', (one) => Object.assign(one, { state: 'up' }));
    else if (!processOf(stage, kind, name).alive && !stage.world.network.isDark(name))
      processOf(stage, kind, name).start();
  },
  stop: (stage, { args: [kind, name = '', how] }) => {
    fault(stage);
    if (!processOf(stage, kind, name).alive) return;
    if (kind === 'conmgr') stage.world.conmgr(name).stop((how ?? 'fast') as CoreStopMode);
    else stage.world.watchdog(name).stop((how ?? 'stop') as GoodbyeReason);
  },
  'power-off': (stage, { args: [name = ''] }) => {
    fault(stage);
    stage.world.network.setDark(name, true);
    for (const process of [stage.world.conmgrs.get(name), stage.world.watchdogs.get(name)])
      process?.process.kill();
    if (stage.world.servers.has(name)) stage.world.server(name).stopped = true;
  },
  'power-on': ({ world }, { args: [name = ''] }) => {
    world.network.setDark(name, false);
    if (world.conmgrs.has(name)) world.conmgr(name).start();
    if (!world.servers.has(name)) return;
    world.server(name).stopped = false;
    world.watchdog(name).start();
  },

  // PostgreSQL
  promote: (stage, { args: [name = ''] }) => {
    fault(stage);
    if (!stage.world.server(name).primary) stage.world.server(name).promote();
  },
  demote: ({ world }, { args: [name = ''], options }) => {
    world.server(name).change('at once', (one) => {
      one.primary = false;
      const wanted = options.get('timeline') ?? one.timeline;
      const newest = Math.max(...[...world.servers.values()].map(({ timeline }) => timeline));
      one.timeline = wanted === 'newest' ? newest : Number(wanted);
    });
  },
  set: (stage, { args: [name = ''], options }) => {
    fault(stage);
    stage.world.server(name).change('by check', (one) => {
      for (const [key, value] of options) {
        if (key === 'position') one.position = BigInt(value);
        else if (key === 'state') one.state = value as typeof one.state;
        else if (key === 'read_only') one.readOnly = value === 'on';
        else if (key === 'accepting') one.accepting = value === 'on';
        else if (key === 'full') one.full = value === 'on';
        else throw new ScenarioError(`an instance has no option ${key}`);
      }
    });
  },
  'sync-wait': ({ world }, { args: [name = ''], options }) => {
    for (const server of world.servers.values()) {
      const backend = server.backends.get(name);
      if (backend !== undefined) backend.waitsForStandby = options.get('done') === undefined;
    }
  },

  // Administration
  reload: ({ world }, { args: [name = ''], options }) =>
    world.conmgr(name).reconfigure(configChange(options)),
  'forget-cluster': ({ world }, { args: [name = ''] }) => world.conmgr(name).forgetCluster(),
  'resolve-conflict': ({ world }, { args: [name = '', instance = ''] }) => {
    if (!world.conmgr(name).resolveConflict(Number(instance.slice(2))))
      throw new ScenarioError(`${instance} is in no conflict`);
  },

  status: ({ world }, { args: [name = ''] }) => {
    for (const { number, health, state, bits, lagBytes, conflict, foreign, offered } of world.conmgr(name)
      .core.view.members) {
      const words = [health, state, `bits ${bits.toString(16)}`];
      if (lagBytes !== undefined) words.push(`lag ${lagBytes}`);
      if (conflict) words.push('conflict');
      if (foreign) words.push('foreign');
      world.note(name, `db${number}: ${words.join(', ')}${offered ? '' : ', not offered'}`);
    }
  },
  expect: (stage, words) => expectation(stage, words),

  // Random histories
  seed: ({ world }, { args: [seed] }) => world.reseed(Number(seed)),
  flaw: ({ world }, { args: [name = ''] }) => {
    const flaw = FLAWS.find((one) => one === name);
    if (flaw === undefined) throw new ScenarioError(`"${name}" is no flaw`);
    world.flaw = flaw;
  },
  promises: (stage) => {
    stage.promises = new Promises(stage.world);
  },
  mend: (stage) => mend(stage),
};

/** Carries out one line. */
export function carryOut(stage: Stage, line: string): void {
  const [verb = '', ...rest] = line.trim().split(/\s+/);
  const command = Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined;
  if (command === undefined) throw new ScenarioError(`"${verb}" is no command`);
  const options = new Map<string, string>();
  const args: string[] = [];
  for (const word of rest) {
    const at = word.indexOf('=');
    if (at > 0) options.set(word.slice(0, at), word.slice(at + 1));
    else args.push(word);
  }
  command(stage, { args, options });
  stage.promises?.after(verb, { args, options });
}
