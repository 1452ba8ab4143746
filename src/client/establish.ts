/**
 * Finds a session: walks the host list, asks, and lets the caller make each connection, until one holds or
 * nothing is left. Used by CmClient (whose attempts are whole sessions) and by the stream and the postgres.js
 * helper (whose attempts are TCP connections).
 */
import type { HostEntry } from '../core/client/host-list.js';
import { RememberedHosts } from '../core/client/remembered-hosts.js';
import {
  type Endpoint,
  newWalk,
  stepsLeft,
  WALK,
  type WalkEffect,
  type WalkEvent,
  type WalkState,
} from '../core/client/walk.js';
import type { TargetSessionAttrs } from '../core/cluster/target-session.js';
import { step } from '../core/fsm.js';
import { CLIENT_MESSAGES } from '../core/messages/client.js';
import type { Clock } from '../core/time.js';
import { backgroundClock } from '../io/clock.js';
import { asError, cmError, codeOf, describeError } from './errors.js';
import { type Asked, type AskRequest, askHost } from './first-phase.js';
import { lossOf } from './loss.js';
import type { ResolvedOptions } from './options.js';
import { SideSocket } from './side-socket.js';

/** How the application appears to those who are asked. */
export interface Identity {
  readonly user: string | undefined;
  readonly database: string | undefined;
  readonly applicationName: string;
  readonly tlsRequired: boolean;
}

/** What establish() is told besides the options. */
export interface EstablishPlan {
  readonly options: Pick<
    ResolvedOptions,
    'hosts' | 'target' | 'mode' | 'conmgrLost' | 'allowRemote' | 'timeoutMs'
  >;
  readonly identity: Identity;
  /** Ends everything that is under way. */
  readonly signal?: AbortSignal | undefined;
  /** Told before every ask and before every connection. */
  readonly onPhase?: (phase: 'awaiting_cm_response' | 'connecting') => void;
  readonly remembered?: RememberedHosts;
  readonly clock?: Clock;
}

/** One connection to be made. */
export interface Attempt {
  readonly endpoint: Endpoint;
  /** What the role of the server is to be held against. */
  readonly accept: TargetSessionAttrs;
  /** This attempt's share of the time, 0 = no limit. */
  readonly timeoutMs: number;
  /** The attachment to bind once the connection stands; undefined for a host used directly. */
  readonly side: SideSocket | undefined;
  /** Aborted, with the error as its reason, when the attempt is to be given up. */
  readonly signal: AbortSignal;
}

/** A session, or a connection that may become one. */
export interface Established<T> {
  readonly result: T;
  readonly endpoint: Endpoint;
  readonly side: SideSocket | undefined;
}

/** What this process has learned of hosts. */
const processMemory = new RememberedHosts();

/**
 * Failures behind which another server may stand: it could not be reached (08), cannot take connections now
 * (57P03, 57P01, 57P02), or is full (53300). Anything else, a wrong password above all, is the same everywhere.
 */
function mayBeBetterElsewhere(error: Error): boolean {
  const code = codeOf(error);
  // pg gives no SQLSTATE to what happens on the socket; Node's codes have another form.
  return !/^[0-9A-Z]{5}$/.test(code) || /^(08|57P0|53300)/.test(code) || isSystemCode(code);
}

/** Five capitals may also be a code of the operating system, as EPIPE and EPERM are. */
function isSystemCode(code: string): boolean {
  return /^E[A-Z]+$/.test(code);
}

/** Establishes. Rejects with CmError, or with the server's own error where no other server would say otherwise. */
export async function establish<T>(
  plan: EstablishPlan,
  attempt: (attempt: Attempt) => Promise<T>,
): Promise<Established<T>> {
  const clock = plan.clock ?? backgroundClock;
  return new Establishing(plan, clock, attempt).run();
}

class Establishing<T> {
  readonly #plan: EstablishPlan;
  readonly #clock: Clock;
  readonly #attempt: (attempt: Attempt) => Promise<T>;
  readonly #deadline: number;
  readonly #errors: Error[] = [];
  #walk: WalkState;
  #side: SideSocket | undefined;

  constructor(plan: EstablishPlan, clock: Clock, attempt: (attempt: Attempt) => Promise<T>) {
    this.#plan = plan;
    this.#clock = clock;
    this.#attempt = attempt;
    const { hosts, target, timeoutMs } = plan.options;
    this.#walk = newWalk(hosts, target);
    this.#deadline = timeoutMs > 0 ? clock.monotonicMs() + timeoutMs : Number.POSITIVE_INFINITY;
  }

  async run(): Promise<Established<T>> {
    let effect = this.#step({ type: 'begin' });
    while (effect !== undefined) {
      this.#checkGoingOn();
      if (effect.type === 'ask') {
        effect = this.#step(await this.#ask(effect.host, effect.exclude));
        continue;
      }
      const { endpoint, accept } = effect;
      const side = this.#side;
      try {
        this.#plan.onPhase?.('connecting');
        const result = await this.#try({ endpoint, accept, timeoutMs: this.#share(), side });
        this.#step({ type: 'connected' });
        return { result, endpoint, side };
      } catch (thrown) {
        const error = asError(thrown);
        if (!mayBeBetterElsewhere(error)) {
          this.#leaveConmgr();
          throw error;
        }
        this.#errors.push(error);
        effect = this.#step({ type: 'failed', wrongRole: isWrongRole(error) });
      }
    }
    this.#leaveConmgr();
    throw this.#gathered();
  }

  /** One attempt; given up when the application ends the client, or conmgr tells that the instance is down. */
  async #try(attempt: Omit<Attempt, 'signal'>): Promise<T> {
    const { endpoint, side } = attempt;
    const { host, port } = endpoint;
    const giveUp = new AbortController();
    const onEnd = () => giveUp.abort(cmError('08001', 'ended'));
    this.#plan.signal?.addEventListener('abort', onEnd);
    if (side !== undefined) {
      side.onDoubt = (instance, reason, text) => {
        if (instance === endpoint.instance) giveUp.abort(lossOf({ instance, host, port }, reason, text));
      };
    }
    try {
      return await this.#attempt({ ...attempt, signal: giveUp.signal });
    } finally {
      this.#plan.signal?.removeEventListener('abort', onEnd);
    }
  }

  #step(event: WalkEvent): WalkEffect | undefined {
    const { state, effects } = step(WALK, this.#walk, event, this.#clock.monotonicMs());
    this.#walk = state;
    return effects[0];
  }

  /** Asks one host, unless it is known not to be a conmgr. Failures are kept for the final error. */
  async #ask(host: HostEntry, exclude: readonly number[]): Promise<WalkEvent> {
    this.#leaveConmgr();
    const { mode } = this.#plan.options;
    const memory = this.#plan.remembered ?? processMemory;
    const name = [host.hostaddr || host.host, host.port].join(':');
    if (mode === 'off') return { type: 'server' };
    if (mode === 'auto' && memory.isDirect(name, this.#clock.monotonicMs())) return { type: 'server' };
    try {
      this.#plan.onPhase?.('awaiting_cm_response');
      const asked = await askHost({
        ...this.#request(host),
        ask: { ...this.#question(), exclude },
        timeoutMs: this.#share(),
        signal: this.#plan.signal,
      });
      if (asked.kind === 'direct') {
        memory.rememberDirect(name, this.#clock.monotonicMs());
        if (mode === 'auto') return { type: 'server' };
        throw cmError('08001', 'notConmgr', { host: host.host, port: host.port });
      }
      const known = this.#walk.data.failed;
      if (asked.candidates.every((candidate) => known.includes(candidate.instance))) {
        this.#errors.push(cmError('57P03', 'noCandidate', { host: host.host, port: host.port }));
      }
      this.#side = this.#attach(host, asked);
      return { type: 'told', candidates: asked.candidates };
    } catch (thrown) {
      this.#errors.push(asError(thrown));
      return { type: 'failed', wrongRole: false };
    }
  }

  #attach(host: HostEntry, asked: Extract<Asked, { kind: 'conmgr' }>): SideSocket {
    const request = this.#request(host);
    const question = this.#question();
    return new SideSocket(asked, {
      clock: backgroundClock,
      keep: this.#plan.options.conmgrLost === 'keep',
      random: Math.random,
      reattach: (instance) =>
        askHost({
          ...request,
          ask: { ...question, attach: instance },
          timeoutMs: REATTACH_TIMEOUT_MS,
          background: true,
        }),
    });
  }

  #request(host: HostEntry): Omit<AskRequest, 'ask' | 'timeoutMs'> {
    const { user, database, tlsRequired } = this.#plan.identity;
    return { host, user, database, tlsRequired, allowRemote: this.#plan.options.allowRemote };
  }

  #question() {
    const { target } = this.#plan.options;
    const app = this.#plan.identity.applicationName;
    return { target, prefer: [], exclude: [], attach: undefined, ping: false, app } as const;
  }

  /** The conmgr asked last has no use any more. */
  #leaveConmgr(): void {
    this.#side?.end();
    this.#side = undefined;
  }

  /** What is left of the time, shared evenly among what is left to try; 0 = no limit. */
  #share(): number {
    if (this.#deadline === Number.POSITIVE_INFINITY) return 0;
    return Math.max(1, (this.#deadline - this.#clock.monotonicMs()) / stepsLeft(this.#walk));
  }

  #checkGoingOn(): void {
    const ended = this.#plan.signal?.aborted === true;
    if (!ended && this.#clock.monotonicMs() < this.#deadline) return;
    this.#leaveConmgr();
    if (ended) throw cmError('08001', 'ended');
    throw this.#gathered();
  }

  /** One error for all attempts: 57P03 when somebody said "not now", else 08001. */
  #gathered(): Error {
    const errors = this.#errors;
    const notNow = errors.some((error) => codeOf(error) === '57P03');
    return cmError(
      notNow ? '57P03' : '08001',
      'noSession',
      { target: this.#plan.options.target, attempts: errors.map(describeError).join('; ') },
      { errors, cause: errors.at(-1), detail: detailOf(errors), hint: hintOf(errors) },
    );
  }
}

/** One attempt to re-attach; conmgr answers on the same host, so a silent one is not there. */
const REATTACH_TIMEOUT_MS = 2000;

function isWrongRole(error: Error): boolean {
  return 'cmCode' in error && error.cmCode === CLIENT_MESSAGES.roleMismatch.code;
}

/** conmgr's words on what is known of each instance are the most useful ones. */
function detailOf(errors: readonly Error[]): string | undefined {
  return lastText(errors, 'detail');
}

function hintOf(errors: readonly Error[]): string | undefined {
  return lastText(errors, 'hint');
}

function lastText(errors: readonly Error[], field: 'detail' | 'hint'): string | undefined {
  const texts = errors.map((error) => (error as unknown as Record<string, unknown>)[field]);
  return texts.filter((text): text is string => typeof text === 'string').at(-1);
}
