/**
 * What conmgr does through the kernel: it tells conmgr-helper what is wanted, again until it is so, and keeps what came
 * of it for the status.
 */
import type { ConmgrConfig } from '../core/config/types.js';
import { type KernelOrder, KernelOrders } from '../core/conmgr/kernel-orders.js';
import { type Destination, type KernelWishes, wantsKernel } from '../core/conmgr/kernel-wishes.js';
import type { KernelWatched } from '../core/conmgr/seen-sessions.js';
import type { KernelStatus } from '../core/control/protocol.js';
import { type LocalEnd, MOST_ENDS } from '../core/guard/local-ends.js';
import { formatTarget } from '../core/guard/target.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Log } from '../core/messages/message.js';
import type { Clock, TimerHandle } from '../core/time.js';
import { type Abilities, assertGuard, probeHelper } from '../io/helper-abilities.js';
import {
  type HelperAnswer,
  HelperClient,
  HelperRefusal,
  HelperUnreachable,
  REFUSED,
} from '../io/helper-client.js';
import { type KernelCount, KernelCounts } from './kernel-counts.js';
import { KernelWatch } from './kernel-watch.js';
import { ListenerWays } from './listener-ways.js';

/** At the start of conmgr a helper that is just being started, or restarted, gets this long. */
export const START_PATIENCE_MS = 5000;
/** What was refused is asked for again: root may have written another list meanwhile. */
const ASK_AGAIN_MS = 5000;

export interface KernelOptions {
  readonly config: () => ConmgrConfig;
  /** What is wanted at this moment. */
  readonly wishes: () => KernelWishes;
  /** The instances whose address is known. */
  readonly places: () => readonly Destination[];
  /** Whose connections a watchdog wants to know that pass conmgr by. */
  readonly watched: () => KernelWatched;
  /** The connections to an instance; none while they cannot be listed. */
  readonly seen: (instance: number, ends: readonly LocalEnd[]) => void;
  /** Socket of the helper. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** What status shows has changed. */
  readonly changed: () => void;
}

export class Kernel {
  readonly #options: KernelOptions;
  readonly #orders = new KernelOrders();
  readonly #ways: ListenerWays;
  readonly #counts: KernelCounts;
  readonly #watch: KernelWatch;
  #client: HelperClient | undefined;
  /** What the helper can do; while it cannot be reached, why. */
  #helper: Abilities | HelperUnreachable = new HelperUnreachable('no answer');
  /** The instances that the helper was last asked about. */
  #asked = '';
  /** What was refused on this connection; said once. */
  readonly #refusals = new Set<string>();
  #again: TimerHandle | undefined;
  #met: ((outcome: Abilities | HelperUnreachable) => void) | undefined;

  constructor(options: KernelOptions) {
    this.#options = options;
    this.#ways = new ListenerWays(options.config, options.log);
    this.#counts = new KernelCounts(options.clock, (request) => this.#ask(request));
    this.#watch = new KernelWatch({
      clock: options.clock,
      intervalMs: () => options.config().heartbeatIntervalMs,
      watched: options.watched,
      seen: options.seen,
      helper: () => this.#helper,
      ask: (request) => this.#ask(request),
      refused: (reason) => this.#refused('a list of connections', reason),
      cut: (left) => options.log.write(CONMGR_MESSAGES.sessionsNotListed, { left, limit: MOST_ENDS }),
    });
  }

  /**
   * Connects to the helper if the configuration wants anything of it. With guard = on it is waited for; rejects with
   * MessageError (guardImpossible) when sockets cannot be ended, or not those of these instances.
   */
  async start(): Promise<void> {
    const { path, clock, config } = this.#options;
    if (!wantsKernel(config())) return;
    this.#client = new HelperClient({
      path,
      clock,
      onUp: () => void this.#greet(),
      onDown: (error) => this.#down(error),
    });
    const first = new Promise<Abilities | HelperUnreachable>((resolve) => {
      this.#met = resolve;
    });
    this.#client.start();
    this.#watch.start();
    if (!config().guard) return;
    const patience = clock.setTimer(START_PATIENCE_MS, () => this.#met?.(this.#helper));
    try {
      assertGuard(await first);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      patience.cancel();
      this.#met = undefined;
    }
  }

  /** Makes the kernel as it is wanted now. */
  update(): void {
    const helper = this.#helper;
    if (helper instanceof Error) return;
    const means = { guard: helper.guard === '', redirect: helper.redirect === '' };
    for (const order of this.#orders.next(this.#options.wishes(), means)) {
      // Refused once is enough.
      if (order.port !== undefined && helper.refusedListeners.has(order.port)) this.#orders.failed(order);
      else void this.#carryOut(order);
    }
    // An address that has become known may be one that no list allows: that is said now, not when the server is lost.
    if (this.#asked !== this.#targetsText()) void this.#probe();
  }

  /** undefined: nothing is wanted of the kernel. */
  async status(): Promise<KernelStatus | undefined> {
    const { config, wishes, places } = this.#options;
    const { guard, listeners } = config();
    if (!wantsKernel(config())) return undefined;
    const helper = this.#helper;
    const { routes } = wishes();
    const redirected = listeners.filter((listener) => this.#ways.whyForwarded(listener, helper) === '');
    const count = await this.#counts.take(
      places(),
      redirected.map(({ port }) => port),
    );
    const cameBy = (port: number, { came }: KernelCount): number | null => came.get(port) ?? null;
    return {
      helper: helper instanceof Error ? helper.message : '',
      guard: { wanted: guard, problem: guard ? guardProblem(helper) : '' },
      connections: count.connections,
      listeners: listeners.map((listener) => {
        const { port, target } = listener;
        const reason = this.#ways.whyForwarded(listener, helper);
        if (reason !== '') {
          return { port, target, via: 'gateway' as const, reason, instances: [], connections: null };
        }
        const destinations = routes.find((one) => one.listener.port === port)?.destinations ?? [];
        const instances = destinations.map(({ instance }) => instance);
        return {
          port,
          target,
          via: 'redirect' as const,
          reason,
          instances,
          connections: cameBy(port, count),
        };
      }),
    };
  }

  /** The helper takes everything back by itself. */
  close(): void {
    this.#again?.cancel();
    this.#watch.stop();
    this.#client?.close();
    this.#client = undefined;
    this.#helper = new HelperUnreachable('conmgr ends');
  }

  async #greet(): Promise<void> {
    this.#orders.reset();
    this.#refusals.clear();
    this.#ways.forgetProblems();
    await this.#probe();
  }

  /** Asks what can and may be done, and then for it to be done. */
  async #probe(): Promise<void> {
    this.#asked = this.#targetsText();
    const { config, places, log } = this.#options;
    const abilities = await probeHelper((request) => this.#ask(request), config(), places());
    if (abilities === undefined || this.#client === undefined) return;
    const back = this.#helper instanceof HelperUnreachable && this.#ways.announced;
    this.#helper = abilities;
    this.#watch.tryAgain();
    if (back) log.write(CONMGR_MESSAGES.helperBack);
    if (config().guard && abilities.guard !== '') this.#refused('to end connections', abilities.guard);
    const { refused } = abilities;
    if (refused.length > 0) {
      this.#refused('what conmgr.conf asks for', `not allowed: ${refused.join(', ')}`);
      this.#askAgain();
    }
    this.#ways.announce(abilities);
    this.#met?.(abilities);
    this.update();
    this.#options.changed();
  }

  #down(error: HelperUnreachable): void {
    const { log, config, changed } = this.#options;
    const had = !(this.#helper instanceof Error);
    this.#helper = error;
    if (had) log.write(CONMGR_MESSAGES.helperLost, { reason: error.message });
    // One that is being started or restarted may listen in a moment; one that refuses will go on to.
    const starting = this.#met !== undefined && config().guard;
    if (error.code === 'EACCES' || error.code === REFUSED) this.#met?.(error);
    if (!starting) this.#ways.announce(error);
    if (had) changed();
  }

  async #carryOut(order: KernelOrder): Promise<void> {
    const answer = await this.#ask(order.request);
    const { port, destination, request } = order;
    const isRoute = destination === undefined && port !== undefined;
    if (answer instanceof Error) {
      this.#orders.failed(order);
      this.#askAgain();
      if (!(answer instanceof HelperRefusal)) return;
      this.#refused(order.what, answer.message);
      if (isRoute && this.#ways.setProblem(port, answer.message)) this.#ways.announce(this.#helper);
      return;
    }
    if (isRoute && this.#ways.setProblem(port, '')) this.#ways.announce(this.#helper);
    const count = Number(answer['ended']);
    if (destination === undefined || !(count > 0) || request['on'] === false) return;
    const { instance, target } = destination;
    this.#options.log.write(CONMGR_MESSAGES.connectionsEnded, {
      instance,
      target: formatTarget(target),
      count,
    });
  }

  #askAgain(): void {
    if (this.#client === undefined) return;
    this.#again ??= this.#options.clock.setTimer(ASK_AGAIN_MS, () => {
      this.#again = undefined;
      void this.#probe();
    });
  }

  #refused(what: string, reason: string): void {
    const said = `${what}: ${reason}`;
    if (this.#refusals.has(said)) return;
    this.#refusals.add(said);
    this.#options.log.write(CONMGR_MESSAGES.helperRefused, { what, reason });
  }

  #targetsText(): string {
    return this.#options
      .places()
      .map(({ target }) => formatTarget(target))
      .join(' ');
  }

  async #ask(request: object): Promise<HelperAnswer | Error> {
    const client = this.#client;
    if (client === undefined) return new HelperUnreachable('there is no connection');
    return client.ask(request).catch((error: Error) => error);
  }
}

function guardProblem(helper: Abilities | HelperUnreachable): string {
  if (helper instanceof Error) return `conmgr-helper cannot be reached: ${helper.message}`;
  if (helper.guard !== '') return helper.guard;
  return helper.refusedTargets.length === 0 ? '' : `no list allows ${helper.refusedTargets.join(', ')}`;
}
