/**
 * What must hold in every history of a simulated cluster: an observer that looks at a world as time passes and throws
 * PromiseBroken. docs/simulation.md says which promise of the product is looked after by which of these, and how it
 * is known that each can fail.
 *
 * Its measure is the cause: what happens to a session needs a fault that the documents name as a reason for it, recently
 * and on the very path in question. Restarts, reloads, garbage and short freezes are no reasons.
 */
import type { ConmgrCore } from '../../../src/core/conmgr/core.js';
import { Causes } from './causes.js';
import type { ConmgrProcess } from './conmgr-process.js';
import { ScenarioError, type Words } from './stage.js';
import type { Occurrence, World } from './world.js';

export const PROMISES = {
  detection: 'a server that is gone is told of within heartbeat_timeout and a second',
  crash: 'a crashed instance on a living host is told of within 100 ms',
  'data path': 'nothing between an application and its server ends the session',
  'control plane': 'losing conmgr or a watchdog ends no healthy session without a documented reason',
  'false alarm': 'a process that was itself stopped ends nothing for that',
  'bad input': 'a peer that misbehaves loses its own connection and no more',
  'wrong victim': 'the loss of a conmgr ends the sessions of its own applications only',
  'planned work': 'a restart that is over in time costs no session',
  'two primaries': 'never is more than one instance offered for read-write',
  'newest primary': 'no primary is offered beside a newer one that is seen',
  recovery: 'when everything works again all links are up and everybody finds the newest primary',
} as const;
export type PromiseName = keyof typeof PROMISES;

/** A promise that was not kept. */
export class PromiseBroken extends ScenarioError {
  constructor(
    readonly promise: PromiseName,
    readonly what: string,
  ) {
    super(`${promise}: ${what}; but ${PROMISES[promise]}`);
  }
}

const STEP_MS = 250;
const SECOND_MS = 1000;
const CRASH_MS = 100;
/** A path that has been in order for so long carries what is sent on it in milliseconds. */
const SETTLED_MS = 2500;

export class Promises {
  readonly #world: World;
  readonly #causes: Causes;
  readonly #offers = new Map<
    ConmgrProcess,
    { readonly core: ConmgrCore; readonly revision: number; readonly offered: readonly number[] }
  >();
  /** Thrown at the next occasion: an occurrence happens deep inside of somebody else's code. */
  #broken: PromiseBroken | undefined;

  constructor(world: World) {
    this.#world = world;
    this.#causes = new Causes(world);
    world.observer = (occurrence) => this.#observe(occurrence);
  }

  /** A command was carried out. */
  after(verb: string, { args }: Words): void {
    this.#causes.after(verb, args);
    if (verb === 'kill' && args[0] === 'postmaster') this.#expectCrashTold(args[1] ?? '');
    this.#throwBroken();
  }

  /** Lets time pass in steps and looks after each. */
  advance(ms: number): void {
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.#causes.look();
      this.#world.timeline.advance(Math.min(left, STEP_MS));
      this.#throwBroken();
      this.#look();
    }
  }

  /** Demands that everybody has recovered from everything. */
  demandRecovery(): void {
    const servers = [...this.#world.servers.values()];
    const claims = servers.filter((server) => server.primary);
    const newest = Math.max(...claims.map(({ timeline }) => timeline));
    const best = claims.filter(({ timeline }) => timeline === newest).map(({ name }) => name);
    for (const conmgr of this.#world.conmgrs.values()) {
      for (const { link, number } of conmgr.core.instances)
        demand(link.phase === 'up', 'recovery', `${conmgr.name} has no link to db${number}`);
      const offered = conmgr.offers('read-write').map((number) => `db${number}`);
      demand(
        offered.length <= 1 && (best.length === 0 || best.includes(offered[0] ?? 'nothing')),
        'recovery',
        `${conmgr.name} offers ${offered.join(', ')} for read-write, the newest primary is ${best.join(' or ')}`,
      );
      const standbys = conmgr.offers('standby').length;
      demand(
        standbys === servers.length - claims.length,
        'recovery',
        `${conmgr.name} offers ${standbys} standbys`,
      );
    }
  }

  #throwBroken(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  #observe(occurrence: Occurrence): void {
    try {
      this.#judge(occurrence);
    } catch (error) {
      if (!(error instanceof PromiseBroken)) throw error;
      this.#broken ??= error;
    }
  }

  #judge(occurrence: Occurrence): void {
    const world = this.#world;
    switch (occurrence.kind) {
      case 'told': {
        const { application, conmgr, instance, reason } = occurrence;
        if (NO_LOSS.has(reason)) return;
        demand(
          this.#causes.ofTelling(conmgr, instance),
          this.#causes.pretext(conmgr, instance),
          `${application} was told "${reason}" without a cause`,
        );
        return;
      }
      case 'ended': {
        const { server, conmgr, applications } = occurrence;
        for (const name of applications) {
          const known = world.applications.get(name);
          demand(
            known === undefined || known.conmgr === conmgr,
            'wrong victim',
            `${name} was ended for ${conmgr}, which is not its own`,
          );
        }
        demand(
          this.#causes.ofEnding(conmgr, server),
          this.#causes.pretext(conmgr, server),
          `${applications.join(', ')} of ${conmgr} were ended on ${server} without a cause`,
        );
        return;
      }
      case 'dismissed':
        demand(
          this.#causes.isStopped(occurrence.conmgr),
          'planned work',
          `${occurrence.application} was told to end by ${occurrence.conmgr}, which nobody has stopped`,
        );
        return;
      case 'lost':
        demand(
          occurrence.why !== 'somebody between',
          'data path',
          `${occurrence.application} lost its session on ${occurrence.instance}`,
        );
    }
  }

  #look(): void {
    for (const conmgr of this.#world.conmgrs.values()) {
      if (!conmgr.alive) continue;
      this.#lookAtOffer(conmgr);
      if (!conmgr.process.isStopped) this.#lookForTheUntold(conmgr);
    }
  }

  #lookAtOffer(conmgr: ConmgrProcess): void {
    const offered = this.#offerOf(conmgr);
    demand(offered.length <= 1, 'two primaries', `${conmgr.name} offers ${offered.join(' and ')}`);
    const [number] = offered;
    if (number === undefined) return;
    const { timeline } = this.#world.server(`db${number}`);
    for (const server of this.#world.servers.values()) {
      if (!server.primary || server.timeline <= timeline || !server.serves) continue;
      if (!this.#causes.isSettled(conmgr, server, SETTLED_MS)) continue;
      demand(
        false,
        'newest primary',
        `${conmgr.name} offers db${number} on timeline ${timeline}, ${server.name} is on ${server.timeline}`,
      );
    }
  }

  /** What it offers for read-write, asked anew only when what it knows of the instances has changed. */
  #offerOf(conmgr: ConmgrProcess): readonly number[] {
    const { core } = conmgr;
    const known = this.#offers.get(conmgr);
    if (known?.core === core && known.revision === core.revision && this.#world.flaw === undefined)
      return known.offered;
    const offered = conmgr.offers('read-write');
    this.#offers.set(conmgr, { core, revision: core.revision, offered });
    return offered;
  }

  /** Whose server has not been heard of for too long must have been told by a conmgr that was itself well. */
  #lookForTheUntold(conmgr: ConmgrProcess): void {
    const { now } = this.#world;
    const { heartbeatTimeoutMs } = conmgr.core.config;
    for (const one of this.#world.applications.values()) {
      if (one.instance === undefined || one.conmgr !== conmgr.name || !one.isAttached) continue;
      const number = Number(one.instance.slice(2));
      const since = Math.max(conmgr.heardOf(number), one.boundAt, this.#causes.wellSince(conmgr.name));
      demand(
        now - since <= heartbeatTimeoutMs + SECOND_MS + STEP_MS,
        'detection',
        `${one.name} was not told of ${one.instance}, which was last heard of ${now - since} ms ago`,
      );
    }
  }

  #expectCrashTold(name: string): void {
    const server = this.#world.server(name);
    for (const conmgr of this.#world.conmgrs.values()) {
      // The postmaster is gone by now; everything else must have been well.
      if (!this.#causes.isSettled(conmgr, server, SETTLED_MS, true)) continue;
      const number = Number(name.slice(2));
      this.#world.timeline.after(CRASH_MS, () => {
        const still = this.#causes.isSettled(conmgr, server, SETTLED_MS, true);
        if (!still || server.state !== 'down' || conmgr.core.sessions.countOf(number) === 0) return;
        this.#broken ??= new PromiseBroken('crash', `${conmgr.name} has not told the sessions of ${name}`);
      });
    }
  }
}

/** Reasons that are no loss: the server lives and somebody has decided. */
const NO_LOSS: ReadonlySet<string> = new Set([
  'role no longer fits',
  'conflict with a newer primary',
  'operator',
]);

function demand(condition: boolean, promise: PromiseName, what: string): void {
  if (!condition) throw new PromiseBroken(promise, what);
}
