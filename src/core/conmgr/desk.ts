/** Where applications are answered, placed, told and sent away. */
import { chooseInstances, mustEvict } from '../cluster/choice.js';
import type { TargetSessionAttrs } from '../cluster/target-session.js';
import type { Member } from '../cluster/view.js';
import type { Ask } from '../protocol/ask.js';
import { hasAttribute } from '../protocol/attributes.js';
import { type ByeKind, type Candidate, type DownReason, MOST_CANDIDATES } from '../protocol/first-phase.js';
import type { MonotonicMs } from '../time.js';
import { adoptSession, type HandedFacts } from './handing.js';
import { roleOf } from './instance.js';
import type { InstanceSet } from './instance-set.js';
import type { Outbox } from './outbox.js';
import { refusalForLimit, refusalForStop, refusalForTarget } from './refusals.js';
import { RouteDesk } from './route-desk.js';
import { type Attachment, type Session, SessionTable } from './sessions.js';

/** Version of the first phase that conmgr speaks. */
const FIRST_PHASE_VERSION = 1;
/** Why the sessions of a primary beside a newer one are ended. */
export const CONFLICT: DownReason = 'conflict with a newer primary';

export class SessionDesk {
  readonly sessions = new SessionTable();
  readonly #set: InstanceSet;
  readonly #out: Outbox;
  readonly #random: () => number;
  /** Answers given for each target: those who ask for one must not take the turns of another. */
  readonly #turns = new Map<TargetSessionAttrs, number>();
  readonly #routes: RouteDesk;

  constructor(set: InstanceSet, out: Outbox, random: () => number) {
    this.#set = set;
    this.#out = out;
    this.#random = random;
    this.#routes = new RouteDesk(set, out, this.sessions, (ask) => this.candidates(ask));
  }

  /** An aware driver asked, or a stock driver connected; it is answered or routed now, later, or refused. */
  ask(id: number, mode: Attachment, ask: Ask, stopping: boolean, now: MonotonicMs): void {
    const limit = this.#set.config.maxConnections;
    if (stopping) {
      this.#out.push({ do: 'refuse', session: id, error: refusalForStop() });
    } else if (limit > 0 && this.sessions.size >= limit) {
      this.#out.log('tooManySessions', { limit });
      this.#out.push({ do: 'refuse', session: id, error: refusalForLimit(limit) });
    } else {
      const session: Session = {
        id,
        mode,
        ask,
        phase: 'waiting',
        instance: undefined,
        address: '',
        port: 0,
        pid: 0,
        since: now,
        failed: [],
      };
      this.sessions.add(session);
      if (!this.answer(session) && this.#isOverdue(session, now)) this.#refuse(session);
    }
  }

  /** Takes over the sessions of a predecessor. `kept`: the instances that are the same as with it. */
  adopt(handed: readonly HandedFacts[], kept: { has(number: number): boolean }, now: MonotonicMs): void {
    for (const facts of handed) {
      const session = adoptSession(facts, now);
      this.sessions.add(session);
      const { instance } = facts;
      if (instance === undefined || session.phase === 'waiting') continue;
      if (kept.has(instance)) this.sessions.assign(session, instance);
      else this.#advise([session], instance, 'instance is not in the configuration of conmgr');
    }
  }

  /** A stock driver has said in plain text which target it wants: what was chosen for it before is given up. */
  retarget(session: Session, target: TargetSessionAttrs, now: MonotonicMs): void {
    session.ask = { ...session.ask, target };
    session.failed = [];
    this.sessions.waitAgain(session);
    this.#out.push({ do: 'hold', session: session.id });
    this.#placeAgain(session, now);
  }

  /** The place to which a session was to be forwarded does not serve it: the next one, or none. */
  routeFailed(session: Session, instance: number, text: string, now: MonotonicMs): void {
    if (this.#routes.failed(session, instance, text)) this.#placeAgain(session, now);
  }

  #placeAgain(session: Session, now: MonotonicMs): void {
    if (!this.answer(session) && this.#isOverdue(session, now)) this.#refuse(session);
  }

  /** Sends candidates, or begins to forward, if any instance fits. */
  answer(session: Session): boolean {
    if (session.mode === 'gateway') {
      if (!this.#routes.place(session)) return false;
      this.#takeTurn(session.ask.target);
      return true;
    }
    const set = this.#set;
    const hello = {
      kind: 'hello',
      version: FIRST_PHASE_VERSION,
      view: set.viewNumber,
      graceMs: set.graceMs(),
      software: set.identity.software,
    } as const;
    if (session.ask.attach !== undefined) {
      this.sessions.settle(session, 'answered');
      this.#out.tell([session.id], hello);
      return true;
    }
    const candidates = this.candidates(session.ask);
    const [first] = candidates;
    if (first === undefined) return false;
    this.#takeTurn(session.ask.target);
    this.sessions.settle(session, 'answered');
    this.sessions.assign(session, first.instance);
    this.#out.tell([session.id], hello, { kind: 'candidates', view: set.viewNumber, candidates });
    return true;
  }

  #takeTurn(target: TargetSessionAttrs): void {
    this.#turns.set(target, (this.#turns.get(target) ?? 0) + 1);
  }

  /** Answers those who wait, where an instance fits now. */
  answerWaiting(): void {
    for (const session of this.sessions.waiting()) this.answer(session);
  }

  /** Refuses those who have waited long enough. */
  refuseOverdue(now: MonotonicMs): void {
    for (const session of this.sessions.waiting()) {
      // All wait equally long, so nobody behind this one is overdue either.
      if (!this.#isOverdue(session, now)) break;
      this.#refuse(session);
    }
  }

  #isOverdue(session: Session, now: MonotonicMs): boolean {
    return now >= session.since + this.#set.config.resolveWaitMs;
  }

  /** Places that fit, best first. */
  candidates(ask: Ask): readonly Candidate[] {
    const { config, view } = this.#set;
    const chosen = chooseInstances(view, {
      target: ask.target,
      prefer: ask.prefer,
      exclude: ask.exclude,
      loadBalance: config.loadBalance,
      maxLagBytes: config.maxLagBytes,
      sessionsOf: (number) => this.sessions.countOf(number),
      random: this.#random,
      turn: this.#turns.get(ask.target) ?? 0,
    });
    return chosen.slice(0, MOST_CANDIDATES).flatMap(({ number, bits }) => {
      const instance = this.#set.get(number);
      if (instance === undefined) return [];
      const { host, address } = instance;
      return [{ instance: number, port: instance.config.backendPort, bits, host, hostaddr: address }];
    });
  }

  /** A driver has made its SQL connection; if that is no place to be, it is told at once. */
  bound(session: Session, number: number, address: string, port: number): void {
    this.sessions.settle(session, 'bound');
    session.address = address;
    session.port = port;
    session.pid = 0;
    const instance = this.#set.get(number);
    if (instance === undefined) {
      this.sessions.assign(session, undefined);
      this.#advise([session], number, 'instance is not in the configuration of conmgr');
      return;
    }
    this.sessions.assign(session, number);
    const phase = instance.health.phase;
    if (phase === 'lost' || phase === 'down') {
      const reason = phase === 'down' ? 'instance down' : 'heartbeat timeout';
      this.#end([session], number, reason, instance.reason);
    } else if (this.#set.isConflictSettled(number)) {
      this.#end([session], number, CONFLICT, 'another instance is the primary');
    } else {
      const member = this.#set.member(number);
      if (member !== undefined) this.#evictOf([session], member);
    }
  }

  /** Ends all sessions of an instance; returns how many were told. */
  drop(number: number, reason: DownReason, text: string): number {
    const sessions = this.sessions.of(number);
    this.#end(sessions, number, reason, text);
    return sessions.length;
  }

  /** Ends the sessions whose instance is no longer what they were opened for. */
  evict(member: Member): void {
    this.#evictOf(this.sessions.of(member.number), member);
  }

  #evictOf(sessions: readonly Session[], member: Member): void {
    const policy = this.#set.config.evictOnRoleChange;
    const misplaced = sessions.filter(
      (session) => session.phase === 'bound' && mustEvict(member, session.ask.target, policy),
    );
    if (misplaced.length === 0) return;
    const readOnly = hasAttribute(member.bits, 'readOnlyByDefault') ? ' and read-only by default' : '';
    const text = `instance is ${roleOf(member.bits)}${readOnly} now`;
    this.#end(misplaced, member.number, 'role no longer fits', text);
    const instance = this.#set.get(member.number);
    if (instance !== undefined)
      this.#out.log('evicted', { ...this.#set.params(instance), sessions: misplaced.length });
  }

  /** Tells sessions to drop their SQL connections, or resets them; they have no instance from now on. */
  #end(sessions: readonly Session[], instance: number, reason: DownReason, text: string): void {
    const view = this.#set.viewNumber;
    const action = 'drop';
    this.#out.tell(idsOf(sessions.filter(isAware)), { kind: 'down', view, instance, action, reason, text });
    this.#routes.lost(sessions.filter((session) => !isAware(session)));
    for (const session of sessions) this.sessions.assign(session, undefined);
  }

  /** Tells the sessions of an instance that its attributes have changed. */
  announce(member: Member): void {
    const { number, bits } = member;
    this.#out.tell(idsOf(this.sessions.of(number).filter(isAware)), {
      kind: 'changed',
      view: this.#set.viewNumber,
      instance: number,
      bits,
    });
  }

  /** The instance has left the configuration: its sessions go on without being watched. */
  release(number: number): void {
    const sessions = this.sessions.of(number);
    this.#advise(sessions, number, 'instance was removed from the configuration of conmgr');
    this.#routes.lost(sessions.filter((session) => !isAware(session) && session.phase !== 'bound'));
    for (const session of sessions) this.sessions.assign(session, undefined);
  }

  /** Sends PING to those who asked for it. */
  ping(): void {
    const wanted = [...this.sessions.all()].filter((one) => one.ask.ping && one.phase !== 'waiting');
    this.#out.tell(idsOf(wanted), { kind: 'ping' });
  }

  /** Ends every attachment; what is forwarded ends with the connections that the shell closes. */
  dismissAll(bye: ByeKind, retryAfterMs: number, text: string): void {
    // Who still waits for an answer has not been greeted, and must get what every host of a list may say.
    for (const session of this.sessions.waiting()) {
      this.sessions.remove(session.id);
      this.#out.push({ do: 'refuse', session: session.id, error: refusalForStop() });
    }
    this.#out.dismiss(idsOf([...this.sessions.all()].filter(isAware)), {
      kind: 'bye',
      bye,
      retryAfterMs,
      text,
    });
  }

  #refuse(session: Session): void {
    this.sessions.remove(session.id);
    const failed = this.#routes.describe(session);
    const error = refusalForTarget(session.ask.target, this.#set.describe(), failed);
    this.#out.push({ do: 'refuse', session: session.id, error });
  }

  #advise(sessions: readonly Session[], instance: number, text: string): void {
    const view = this.#set.viewNumber;
    this.#out.tell(idsOf(sessions.filter(isAware)), {
      kind: 'down',
      view,
      instance,
      action: 'advice',
      reason: 'operator',
      text,
    });
  }
}

function isAware({ mode }: Session): boolean {
  return mode === 'aware';
}

function idsOf(sessions: readonly Session[]): readonly number[] {
  return sessions.map((session) => session.id);
}
