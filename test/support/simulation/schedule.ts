/**
 * Random histories of a simulated cluster, and what must hold in every one of them: nobody is ended or told without a
 * cause, a server that is gone is told of in time, and when everything is well again everybody finds the primary.
 */

import { seeded } from './timeline.js';
import { conmgrConfig, DEFAULT_WATCHDOG, World } from './world.js';

const SERVERS = ['db1', 'db2', 'db3'] as const;
const CONMGRS = ['app1', 'app2'] as const;
const TIMEOUT_MS = 3000;
const STEP_MS = 250;
/** What happens at most this long after a disturbance may be due to it: a time-out, the grace, a late process. */
const AFTERMATH_MS = 2 * TIMEOUT_MS + DEFAULT_WATCHDOG.graceMs + 3000;
const LONGEST_DELAY_MS = 4000;
/** A dead server is told of within heartbeat_timeout and a second after its last packet, which may have come late. */
const DETECTION_MS = TIMEOUT_MS + 1000 + LONGEST_DELAY_MS;

/** A violation, with the seed that repeats it. */
export class ScheduleError extends Error {}

export class Schedule {
  readonly world: World;
  readonly seed: number;
  readonly #random: () => number;
  /** When something last went wrong between a conmgr and a server. */
  readonly #disturbed = new Map<string, number>();
  /** When a conmgr was last down or frozen. */
  readonly #wellSince = new Map<string, number>();
  /** Since when a server is gone without a word. */
  readonly #dark = new Map<string, number>();
  #applications = 0;
  #seen = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.world = new World(seed);
    this.#random = seeded(seed ^ 0x5eed);
    // Every other schedule has its conmgrs behind one address, where only what they report tells their sessions apart.
    const behind = seed % 2 === 1;
    const terminateScope = behind ? 'monitored' : 'address';
    for (const name of SERVERS) {
      this.world.addServer(name, name === 'db1' ? 'primary' : 'standby', { terminateScope });
    }
    for (const [at, name] of CONMGRS.entries()) {
      const where = behind ? (['10.0.1.1', `192.168.0.${at + 1}`] as const) : [];
      this.world.addConmgr(name, conmgrConfig([1, 2, 3]), ...where);
    }
    this.#advance(5000);
    for (let count = 0; count < 4; count += 1) this.#attach();
  }

  /** Lets a minute of random misfortune pass, mends everything, and looks whether everybody recovers. */
  run(): void {
    const end = this.world.now + 60_000;
    while (this.world.now < end) {
      this.#misfortune();
      this.#advance(Math.floor(this.#random() * 5000));
    }
    this.mend();
    this.#advance(30_000);
    this.demandRecovery();
  }

  /** Everything works again. */
  mend(): void {
    for (const conmgr of CONMGRS) {
      for (const server of SERVERS) {
        for (const [from, to] of [
          [conmgr, server],
          [server, conmgr],
        ] as const) {
          Object.assign(this.world.network.path(from, to), { state: 'open', delayMs: 1, loss: 0 });
        }
      }
      this.#goOn(conmgr);
    }
    for (const server of SERVERS) {
      this.world.network.setDark(server, false);
      this.#dark.delete(server);
      this.world.server(server).stopped = false;
      if (this.world.server(server).state !== 'up')
        this.world.server(server).change('at once', (one) => Object.assign(one, { state: 'up' }));
      this.#goOn(server);
    }
    // Whoever was stopped while it was frozen ends now; then a service manager starts everybody.
    this.#disturbAll();
    this.#advance(2000);
    const processes = [
      ...CONMGRS.map((name) => this.world.conmgr(name)),
      ...SERVERS.map((name) => this.world.watchdog(name)),
    ];
    for (const process of processes) if (!process.alive) process.start();
    this.#disturbAll();
  }

  /** All links are up, and the newest primary is offered, or none if two are equally new. */
  demandRecovery(): void {
    const claims = SERVERS.map((name) => this.world.server(name)).filter((server) => server.primary);
    const newest = Math.max(...claims.map((server) => server.timeline));
    const best = claims.filter((server) => server.timeline === newest).map((server) => server.name);
    for (const name of CONMGRS) {
      const { core } = this.world.conmgr(name);
      for (const instance of core.instances)
        this.#demand(instance.link.phase === 'up', `${name} has no link to db${instance.number}`);
      const offered = core.resolve('read-write').map(({ instance }) => `db${instance}`);
      this.#demand(
        offered.length <= 1 && (best.length === 0 || best.includes(offered[0] ?? 'nothing')),
        `${name} offers ${offered.join(', ')} for read-write, the newest primary is ${best.join(' or ')}`,
      );
      const standbys = core.resolve('standby').length;
      this.#demand(standbys === SERVERS.length - claims.length, `${name} offers ${standbys} standbys`);
    }
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random() * all.length)]!;
  }

  #attach(): void {
    this.#applications += 1;
    const target = this.#pick(['read-write', 'any', 'standby', 'prefer-standby'] as const);
    this.world.addApplication(`s${this.#applications}`, this.#pick(CONMGRS), target);
  }

  #misfortune(): void {
    const { world } = this;
    const [conmgr, server] = [this.#pick(CONMGRS), this.#pick(SERVERS)];
    const [from, to] = this.#random() < 0.5 ? [conmgr, server] : [server, conmgr];
    switch (this.#pick(KINDS)) {
      case 'attach':
        this.#attach();
        return;
      case 'cut':
        this.#disturb(conmgr, server);
        world.network.path(from, to).state = 'drop';
        if (this.#random() < 0.7) world.network.path(to, from).state = 'drop';
        return;
      case 'reject':
        this.#disturb(conmgr, server);
        world.network.path(from, to).state = 'reject';
        return;
      case 'heal':
        this.#disturb(conmgr, server);
        world.network.path(from, to).state = 'open';
        world.network.path(to, from).state = 'open';
        return;
      case 'slow':
        this.#disturb(conmgr, server);
        world.network.path(from, to).delayMs = Math.floor(this.#random() * LONGEST_DELAY_MS);
        return;
      case 'quick':
        this.#disturb(conmgr, server);
        world.network.path(from, to).delayMs = 1;
        return;
      case 'kill conmgr':
        this.#disturb(conmgr);
        world.conmgr(conmgr).kill();
        return;
      case 'start conmgr':
        this.#disturb(conmgr);
        if (!world.conmgr(conmgr).alive) world.conmgr(conmgr).start();
        return;
      case 'restart conmgr':
        this.#disturb(conmgr);
        if (world.conmgr(conmgr).alive) world.conmgr(conmgr).stop('restart');
        return;
      case 'freeze conmgr':
        this.#disturb(conmgr);
        world.conmgr(conmgr).process.stop();
        return;
      case 'thaw':
        this.#disturb(conmgr);
        this.#disturb(server);
        this.#goOn(conmgr);
        this.#goOn(server);
        return;
      case 'kill watchdog':
        this.#disturb(server);
        world.watchdog(server).kill();
        return;
      case 'start watchdog':
        this.#disturb(server);
        if (!world.watchdog(server).alive && !this.#dark.has(server)) world.watchdog(server).start();
        return;
      case 'stop watchdog':
        this.#disturb(server);
        if (world.watchdog(server).alive)
          world.watchdog(server).stop(this.#pick(['stop', 'restart', 'hostShutdown']));
        return;
      case 'freeze watchdog':
        this.#disturb(server);
        world.watchdog(server).process.stop();
        return;
      case 'kill postmaster':
        this.#disturb(server);
        world.server(server).die();
        return;
      case 'start postmaster':
        this.#disturb(server);
        if (world.server(server).state === 'down')
          world.server(server).change('at once', (one) => Object.assign(one, { state: 'up' }));
        return;
      case 'power off':
        this.#disturb(server);
        world.network.setDark(server, true);
        if (!this.#dark.has(server)) this.#dark.set(server, world.now);
        world.server(server).stopped = true;
        world.watchdog(server).kill();
        return;
      case 'promote':
        this.#disturbAll();
        if (!world.server(server).primary) world.server(server).promote();
        return;
      case 'demote': {
        this.#disturbAll();
        const newest = Math.max(...SERVERS.map((name) => world.server(name).timeline));
        world.server(server).change('at once', (one) => {
          one.primary = false;
          one.timeline = newest;
        });
        return;
      }
    }
  }

  #goOn(name: string): void {
    const { world } = this;
    (world.conmgrs.get(name) ?? world.watchdog(name)).process.goOn();
  }

  #disturb(a: string, b?: string): void {
    for (const conmgr of CONMGRS) {
      for (const server of SERVERS) {
        const pair = [conmgr, server] as readonly string[];
        if (pair.includes(a) && (b === undefined || pair.includes(b)))
          this.#disturbed.set(pair.join(' '), this.world.now);
      }
    }
  }

  #disturbAll(): void {
    for (const server of SERVERS) this.#disturb(server);
  }

  /** Lets time pass in steps and looks after each. A path, process or server that is still broken stays a cause. */
  #advance(ms: number): void {
    for (let left = ms; left > 0; left -= STEP_MS) {
      for (const conmgr of CONMGRS)
        for (const server of SERVERS) if (this.#isBroken(conmgr, server)) this.#disturb(conmgr, server);
      this.world.timeline.advance(Math.min(left, STEP_MS));
      this.#look();
    }
  }

  #isBroken(conmgr: string, server: string): boolean {
    const { world } = this;
    const paths = [world.network.path(conmgr, server), world.network.path(server, conmgr)];
    const processes = [world.conmgr(conmgr).process, world.watchdog(server).process];
    return (
      paths.some(({ state, delayMs }) => state !== 'open' || delayMs > 100) ||
      processes.some((process) => !process.alive || process.isStopped) ||
      world.server(server).state !== 'up' ||
      this.#dark.has(server)
    );
  }

  #look(): void {
    const { world } = this;
    for (const { at, who, what } of world.notes.slice(this.#seen)) {
      const told = /^told: drop \((?!role|conflict)/.test(what);
      const ended = /^ended sessions of (app\d): (?!none)([^ ,]+(?:, [^ ,]+)*)/.exec(what);
      if (told && world.applications.has(who)) {
        const pairs = [...this.#disturbed.values()];
        this.#demand(
          pairs.some((when) => at - when <= AFTERMATH_MS),
          `${who} was told without a cause: ${what}`,
        );
      }
      if (ended !== null) {
        const when = this.#disturbed.get(`${ended[1]} ${who.replace('watchdog ', '')}`);
        this.#demand(
          when !== undefined && at - when <= AFTERMATH_MS,
          `${who} ended without a cause: ${what}`,
        );
        for (const name of (ended[2] ?? '').split(', '))
          this.#demand(
            world.application(name).conmgr === ended[1],
            `${name} was none of ${ended[1]}: ${what}`,
          );
      }
    }
    this.#seen = world.notes.length;
    for (const name of CONMGRS) {
      const conmgr = world.conmgr(name);
      if (!conmgr.alive) continue;
      this.#demand(conmgr.core.resolve('read-write').length <= 1, `${name} offers two primaries`);
    }
    this.#demandDetection();
  }

  /** Sessions on a server without power must have been told by a conmgr that was itself well. */
  #demandDetection(): void {
    const { world } = this;
    for (const [server, since] of this.#dark) {
      if (world.now - since <= DETECTION_MS + STEP_MS) continue;
      for (const conmgr of CONMGRS) {
        const { process, core } = world.conmgr(conmgr);
        const wellSince = this.#wellSince.get(conmgr) ?? 0;
        if (!process.alive || process.isStopped || world.now - wellSince <= 2 * AFTERMATH_MS) continue;
        const number = Number(server.slice(2));
        this.#demand(core.sessions.countOf(number) === 0, `${conmgr} has not told the sessions of ${server}`);
      }
    }
    for (const conmgr of CONMGRS) {
      const { process } = world.conmgr(conmgr);
      if (!process.alive || process.isStopped) this.#wellSince.set(conmgr, world.now);
    }
  }

  #demand(condition: boolean, text: string): void {
    if (condition) return;
    const notes = this.world.notes
      .slice(-40)
      .map(({ at, who, what }) => `  ${(at / 1000).toFixed(3)} ${who}: ${what}`);
    throw new ScheduleError(`seed ${this.seed}, at ${this.world.now} ms: ${text}\n${notes.join('\n')}`);
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
  'slow',
  'quick',
  'kill conmgr',
  'start conmgr',
  'start conmgr',
  'restart conmgr',
  'freeze conmgr',
  'thaw',
  'thaw',
  'thaw',
  'kill watchdog',
  'start watchdog',
  'start watchdog',
  'stop watchdog',
  'freeze watchdog',
  'kill postmaster',
  'start postmaster',
  'start postmaster',
  'power off',
  'promote',
  'demote',
] as const;
