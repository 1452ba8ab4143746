/**
 * When something last went wrong, with what, and for how long: the reasons there may be for what happens to a session.
 */
import type { ConmgrProcess } from './conmgr-process.js';
import type { Path } from './network.js';
import type { SimPostgres } from './postgres.js';
import type { SimProcess } from './process.js';
import type { PromiseName } from './promises.js';
import { DEFAULT_WATCHDOG, type World } from './world.js';

const TIMEOUT_MS = 3000;
/** What happens at most this long after a disturbance may be due to it: a time-out, the grace, a late process. */
const AFTERMATH_MS = 2 * TIMEOUT_MS + DEFAULT_WATCHDOG.graceMs + 3000;
/** A delay below this is none. */
const SLOW_MS = 100;
/** Frozen for less than heartbeat_timeout - heartbeat_interval, a process has missed nothing. */
const LONG_FREEZE_MS = 1900;
/** Away for less than restart_grace - heartbeat_connect_interval, a conmgr is back in time. */
const LONG_ABSENCE_MS = 1900;

/** A state that comes and goes. */
class Spell {
  #since: number | undefined;
  /** The beginning of the last one. */
  beganAt = Number.NEGATIVE_INFINITY;
  /** The last moment of it. */
  lastAt = Number.NEGATIVE_INFINITY;
  #longAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly longMs: number) {}

  look(holds: boolean, now: number): void {
    this.#longAt = this.longAt(now);
    if (!holds) {
      this.#since = undefined;
      return;
    }
    if (this.#since === undefined) {
      this.#since = now;
      this.beganAt = now;
    }
    this.lastAt = now;
  }

  /** The last moment of one that lasted long. */
  longAt(now: number): number {
    return this.#since !== undefined && now - this.#since >= this.longMs ? now : this.#longAt;
  }
}

interface Spells {
  readonly frozen: Spell;
  readonly absent: Spell;
}

const newSpells = (): Spells => ({ frozen: new Spell(LONG_FREEZE_MS), absent: new Spell(LONG_ABSENCE_MS) });

interface Pair {
  readonly conmgr: string;
  readonly server: string;
  /** The way between them. */
  readonly there: Path;
  readonly back: Path;
  /** When the way between them was last out of order, and when the server. */
  wayAt: number;
  serverAt: number;
}

export class Causes {
  readonly #world: World;
  readonly #pairs = new Map<string, Map<string, Pair>>();
  #listed: readonly Pair[] = [];
  readonly #conmgrs = new Map<string, Spells>();
  readonly #watchdogs = new Map<string, Spells>();
  /** When a conmgr was told to stop for good, a role last changed, garbage was last sent. */
  readonly #stoppedAt = new Map<string, number>();
  #roleChangedAt = Number.NEGATIVE_INFINITY;
  #garbageAt = Number.NEGATIVE_INFINITY;

  constructor(world: World) {
    this.#world = world;
  }

  /** A command was carried out: hosts that it names have been disturbed by it if it is one that disturbs. */
  after(verb: string, args: readonly string[]): void {
    const { now } = this.#world;
    this.look();
    if (verb === 'promote' || verb === 'demote') this.#roleChangedAt = now;
    if (verb === 'garbage') this.#garbageAt = now;
    if (verb === 'stop' && args[0] === 'conmgr' && args[2] !== 'restart')
      this.#stoppedAt.set(args[1] ?? '', now);
    const disturbs = PATHS.has(verb) || (args[0] === 'postmaster' && args.length > 1) || args[0] === 'host';
    if (verb === 'mend') for (const pair of this.#allPairs()) pair.wayAt = now;
    if (!disturbs) return;
    for (const pair of this.#allPairs()) {
      const named = args.filter((arg) => arg === pair.conmgr || arg === pair.server);
      const both = args.some((arg) => this.#world.conmgrs.has(arg));
      if (named.length >= (both && args.some((arg) => this.#world.servers.has(arg)) ? 2 : 1))
        pair[PATHS.has(verb) ? 'wayAt' : 'serverAt'] = now;
    }
  }

  /** Looks at everything that may be out of order now. */
  look(): void {
    const { now, conmgrs, watchdogs, network } = this.#world;
    for (const { name, process } of conmgrs.values()) lookAt(spellsOf(this.#conmgrs, name), process, now);
    for (const { instance, process } of watchdogs.values())
      lookAt(spellsOf(this.#watchdogs, instance.name), process, now);
    for (const pair of this.#allPairs()) {
      const { there, back } = pair;
      const server = this.#world.server(pair.server);
      if (
        there.state !== 'open' ||
        back.state !== 'open' ||
        there.delayMs > SLOW_MS ||
        back.delayMs > SLOW_MS ||
        there.loss > 0 ||
        back.loss > 0 ||
        network.isDark(pair.server) ||
        network.isDark(pair.conmgr)
      )
        pair.wayAt = now;
      if (server.state !== 'up' || server.stopped) pair.serverAt = now;
    }
  }

  /** Whether there is a reason to tell sessions that their server is lost. A watchdog that is only away is none. */
  ofTelling(conmgr: string, server: string): boolean {
    return (
      this.#isTroubled(conmgr, server) ||
      this.#isRecent(this.#watchdog(server).frozen.longAt(this.#world.now))
    );
  }

  /** Whether there is a reason for a watchdog to end the sessions of a conmgr. Its own freeze is none. */
  ofEnding(conmgr: string, server: string): boolean {
    const { frozen, absent } = this.#conmgr(conmgr);
    return (
      this.#isTroubled(conmgr, server) ||
      this.#isRecent(frozen.longAt(this.#world.now)) ||
      this.#isRecent(absent.longAt(this.#world.now)) ||
      this.isStopped(conmgr)
    );
  }

  /** Whether a conmgr was stopped for good. */
  isStopped(conmgr: string): boolean {
    return this.#isRecent(this.#stoppedAt.get(conmgr) ?? Number.NEGATIVE_INFINITY);
  }

  /** Which promise is broken when something happens without a reason: that about what went on instead. */
  pretext(conmgr: string, server: string): PromiseName {
    if (this.#isRecent(this.#garbageAt)) return 'bad input';
    if (this.#isRecent(this.#conmgr(conmgr).absent.lastAt)) return 'planned work';
    if (this.#isRecent(this.#conmgr(conmgr).frozen.lastAt)) return 'false alarm';
    if (this.#isRecent(this.#watchdog(server).frozen.lastAt)) return 'false alarm';
    return 'control plane';
  }

  /** Since when a conmgr runs and is not frozen. */
  wellSince(conmgr: string): number {
    const { frozen, absent } = this.#conmgr(conmgr);
    return Math.max(frozen.lastAt, absent.lastAt, 0);
  }

  /**
   * Whether a conmgr has been told everything of a server for a while: its link is up, and nothing was out of order.
   * `crashed`: that the postmaster is gone does not count.
   */
  isSettled(conmgr: ConmgrProcess, server: SimPostgres, forMs: number, crashed = false): boolean {
    const { now } = this.#world;
    const instance = conmgr.core.instances.find((one) => `db${one.number}` === server.name);
    const watchdog = this.#world.watchdog(server.name);
    if (instance?.link.phase !== 'up') return false;
    if ([conmgr, watchdog].some(({ process }) => !process.alive || process.isStopped)) return false;
    const { health } = instance;
    if (health.phase !== 'monitored' && !(crashed && health.phase === 'down')) return false;
    const { wayAt, serverAt } = this.#pair(conmgr.name, server.name);
    const spells = [this.#conmgr(conmgr.name), this.#watchdog(server.name)];
    const lastAt = Math.max(
      wayAt,
      crashed ? Number.NEGATIVE_INFINITY : serverAt,
      this.#roleChangedAt,
      ...spells.flatMap(({ frozen, absent }) => [frozen.lastAt, absent.lastAt]),
    );
    return now - lastAt > forMs;
  }

  #isTroubled(conmgr: string, server: string): boolean {
    const { wayAt, serverAt } = this.#pair(conmgr, server);
    return Math.max(wayAt, serverAt) >= this.#horizon(conmgr, server);
  }

  /** What happened after this may be a cause: a process that was frozen learns on its return what it has missed. */
  #horizon(conmgr: string, server: string): number {
    const slept = [this.#conmgr(conmgr).frozen, this.#watchdog(server).frozen].filter(({ lastAt }) =>
      this.#isRecent(lastAt),
    );
    return Math.min(this.#world.now, ...slept.map(({ beganAt }) => beganAt)) - AFTERMATH_MS;
  }

  #isRecent(at: number): boolean {
    return this.#world.now - at <= AFTERMATH_MS;
  }

  #conmgr(name: string): Spells {
    return spellsOf(this.#conmgrs, name);
  }

  #watchdog(name: string): Spells {
    return spellsOf(this.#watchdogs, name);
  }

  #pair(conmgr: string, server: string): Pair {
    const known = this.#pairs.get(conmgr)?.get(server);
    if (known !== undefined) return known;
    const { network } = this.#world;
    const pair: Pair = {
      conmgr,
      server,
      there: network.path(conmgr, server),
      back: network.path(server, conmgr),
      wayAt: Number.NEGATIVE_INFINITY,
      serverAt: Number.NEGATIVE_INFINITY,
    };
    const ofConmgr = this.#pairs.get(conmgr) ?? new Map<string, Pair>();
    this.#pairs.set(conmgr, ofConmgr.set(server, pair));
    return pair;
  }

  #allPairs(): readonly Pair[] {
    const { conmgrs, servers } = this.#world;
    // Parties come, but never go.
    if (this.#listed.length !== conmgrs.size * servers.size)
      this.#listed = [...conmgrs.keys()].flatMap((conmgr) =>
        [...servers.keys()].map((server) => this.#pair(conmgr, server)),
      );
    return this.#listed;
  }
}

/** Commands that disturb the way between the hosts they name, or the server they name. */
const PATHS: ReadonlySet<string> = new Set([
  'cut',
  'reject',
  'heal',
  'delay',
  'loss',
  'power-off',
  'power-on',
  'set',
]);

function spellsOf(map: Map<string, Spells>, name: string): Spells {
  const known = map.get(name);
  if (known !== undefined) return known;
  const spells = newSpells();
  map.set(name, spells);
  return spells;
}

function lookAt({ frozen, absent }: Spells, process: SimProcess, now: number): void {
  frozen.look(process.alive && process.isStopped, now);
  absent.look(!process.alive, now);
}
