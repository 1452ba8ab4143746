/**
 * What the helper does with the requests of its callers. One object serves one caller and takes back all that it asked
 * for when it is gone.
 */
import type { TcpSocket } from '../core/guard/inet-diag.js';
import { encodeEnds } from '../core/guard/local-ends.js';
import { type HelperRequest, readHelperRequest, refusedOf } from '../core/guard/request.js';
import { formatTarget, type Target } from '../core/guard/target.js';
import type { Permission } from '../core/guard/target-list.js';
import { HELPER_MESSAGES } from '../core/messages/kernel-helper.js';
import type { Log } from '../core/messages/message.js';
import type { Clock } from '../core/time.js';
import type { Guard } from './guard.js';
import { ListenerTaken, type RouteTable } from './route-table.js';

/** Version of the protocol; grows when a request changes its meaning. */
export const HELPER_PROTOCOL = 1;

/** What is possible on this host. */
export interface Abilities {
  readonly guard: Guard<object> | undefined;
  /** '' with a guard. */
  readonly guardProblem: string;
  readonly routes: RouteTable<object> | undefined;
  /** '' with routes. */
  readonly redirectProblem: string;
}

export type HelperAnswer =
  | { readonly id: number; readonly ok: false; readonly error: string }
  | ({ readonly id: number; readonly ok: true } & Readonly<Record<string, unknown>>);

/** Surroundings of all callers. */
export interface ServiceOptions {
  readonly abilities: Abilities;
  readonly clock: Clock;
  readonly log: Log;
  /** For messages. */
  readonly directory: string;
}

/** Thrown and caught in here: why a request is not carried out. */
class Refused extends Error {}

export class HelperService {
  readonly #options: ServiceOptions;
  readonly #user: string;
  #permission: Permission;

  /** `user` as messages name it. */
  constructor(options: ServiceOptions, user: string, permission: Permission) {
    this.#options = options;
    this.#user = user;
    this.#permission = permission;
  }

  /** The lists were read again. What is no longer allowed and was asked for earlier stays until the caller ends it. */
  permit(permission: Permission): void {
    this.#permission = permission;
  }

  /** Answers one line. Never throws. */
  answer(line: string): HelperAnswer {
    const { id, request, problem } = readHelperRequest(line);
    if (request === undefined) return this.#refuse(id, 'unreadable', problem);
    // A probe asks what would be refused.
    const refused = refusedOf(request, this.#permission);
    if (request.do === 'probe') return { id, ok: true, ...this.#probe(refused) };
    if (refused.length > 0) return this.#refuse(id, request.do, `not allowed: ${refused.join(', ')}`);
    try {
      return { id, ok: true, ...this.#carryOut(request) };
    } catch (error) {
      if (error instanceof Refused) return { id, ok: false, error: error.message };
      return this.#failed(id, request, error as Error);
    }
  }

  /** The caller is gone. */
  close(): void {
    this.#options.abilities.guard?.endSweeps(this);
    this.#options.abilities.routes?.removeAll(this);
  }

  #probe(refused: readonly string[]): Readonly<Record<string, unknown>> {
    const { guardProblem, redirectProblem } = this.#options.abilities;
    return {
      version: HELPER_PROTOCOL,
      guard: guardProblem === '' ? null : guardProblem,
      redirect: redirectProblem === '' ? null : redirectProblem,
      refused,
    };
  }

  #carryOut(request: Exclude<HelperRequest, { do: 'probe' }>): Readonly<Record<string, unknown>> {
    switch (request.do) {
      case 'kill':
        return { ended: this.#end(request.target, () => this.#guard.kill(request.target, request.spare)) };
      case 'sweep':
        if (!request.on) return { ended: this.#guard.endSweep(this, request.target) };
        if (this.#guard.sweep(this, request.target, request.spare)) return {};
        throw new Refused('too many instances are swept');
      case 'count':
        return this.#count(request.targets, request.listeners);
      case 'ends':
        return this.#ends(request.targets, request.listeners);
      case 'route':
        this.#route(request.listener, request.targets);
        return {};
      case 'evict': {
        const routes = this.#routes;
        const { listener, target } = request;
        const came = (cookie: bigint): boolean => routes.listenerOf(cookie) === listener;
        return {
          ended: this.#end(target, () => this.#guard.killChosen(target, ({ cookie }) => came(cookie))),
        };
      }
      case 'clear':
        this.close();
        return {};
    }
  }

  get #guard(): Guard<object> {
    const { guard, guardProblem } = this.#options.abilities;
    if (guard === undefined) throw new Refused(`sockets cannot be ended: ${guardProblem}`);
    return guard;
  }

  get #routes(): RouteTable<object> {
    const { routes, redirectProblem } = this.#options.abilities;
    if (routes === undefined) throw new Refused(`connections cannot be redirected: ${redirectProblem}`);
    return routes;
  }

  /** Connections to each target, and those of them that came by each listener. */
  #count(
    targets: readonly Target[],
    listeners: readonly number[],
  ): { readonly counts: readonly number[]; readonly came: readonly number[] } {
    const standing = targets.map((target) => this.#guard.standing(target));
    const { routes } = this.#options.abilities;
    const came = new Map(listeners.map((port) => [port, 0]));
    for (const { cookie } of listeners.length === 0 ? [] : standing.flat()) {
      const port = routes?.listenerOf(cookie);
      const before = port === undefined ? undefined : came.get(port);
      if (port !== undefined && before !== undefined) came.set(port, before + 1);
    }
    return { counts: standing.map(({ length }) => length), came: [...came.values()] };
  }

  /** Local ends of the connections to each target; with listeners only of those that came by one of them. */
  #ends(targets: readonly Target[], listeners: readonly number[]): ReturnType<typeof encodeEnds> {
    const { routes } = this.#options.abilities;
    const came = ({ cookie }: TcpSocket): boolean => {
      const port = routes?.listenerOf(cookie);
      return port !== undefined && listeners.includes(port);
    };
    return encodeEnds(
      targets.map((target) => {
        const standing = this.#guard.standing(target);
        return listeners.length === 0 ? standing : standing.filter(came);
      }),
    );
  }

  #route(listener: number, targets: readonly Target[]): void {
    try {
      this.#routes.set(this, listener, targets);
    } catch (error) {
      if (error instanceof ListenerTaken)
        throw new Refused(`listener ${listener} is routed by another conmgr`);
      throw error;
    }
  }

  #end(target: Target, end: () => number): number {
    const { clock, log } = this.#options;
    const begun = clock.monotonicMs();
    const count = end();
    if (count > 0) {
      log.write(HELPER_MESSAGES.socketsEnded, {
        count,
        target: formatTarget(target),
        ms: Math.round(clock.monotonicMs() - begun),
        peer: this.#user,
      });
    }
    return count;
  }

  #refuse(id: number, request: string, reason: string): HelperAnswer {
    const { log, directory } = this.#options;
    log.write(HELPER_MESSAGES.requestRefused, { request, peer: this.#user, reason, directory });
    return { id, ok: false, error: reason };
  }

  #failed(id: number, request: HelperRequest, { message }: Error): HelperAnswer {
    const { log } = this.#options;
    if (request.do === 'route') {
      log.write(HELPER_MESSAGES.routeFailed, { port: request.listener, reason: message });
    } else {
      const target = 'target' in request ? formatTarget(request.target) : 'the instances asked for';
      log.write(HELPER_MESSAGES.endingFailed, { target, reason: message });
    }
    return { id, ok: false, error: message };
  }
}
