/**
 * All that conmgr decides, without IO: links, health, the picture of the set, and the sessions.
 *
 * The shell calls one method for everything that happens, with the present moment, and carries out
 * the effects in their order. A loss is told to the sessions before anything else is done.
 */
import { chooseInstances, describeMember, mustEvict } from '../cluster/choice.js';
import {
  type ClusterEvent,
  type ClusterMemory,
  type ClusterView,
  drawView,
  EMPTY_MEMORY,
  EMPTY_VIEW,
  expireConflict,
  forgetCluster,
  type Member,
  viewsDiffer,
  viewWakeAt,
} from '../cluster/view.js';
import type { ConmgrConfig } from '../config/types.js';
import { type HealthEffect, type HealthEvent, stepHealth } from '../link/health.js';
import { type LinkEffect, type LinkEvent, type LinkIdentity, linkWakeAt } from '../link/link.js';
import { stepLink } from '../link/link-table.js';
import type { ConmgrMessageName } from '../messages/conmgr.js';
import type { MessageParams } from '../messages/message.js';
import type { Ask } from '../protocol/ask.js';
import type { ByeKind, Candidate, ConmgrMessage, DownReason } from '../protocol/first-phase.js';
import type { GoodbyeReason } from '../protocol/messages.js';
import { type MonotonicMs, NEVER } from '../time.js';
import type { ConmgrEffect } from './effects.js';
import { Instance, linkSettings, roleOf } from './instance.js';
import { refusalForLimit, refusalForStop, refusalForTarget } from './refusals.js';
import { type Session, SessionTable } from './sessions.js';

/** What the core needs besides its configuration. */
export interface ConmgrCoreOptions {
  readonly identity: LinkIdentity;
  /** A number in [0, 1); the only source of chance. */
  readonly random: () => number;
}

/** restart: BYE(restart) and goodbye restarting, otherwise as fast. */
export type CoreStopMode = 'smart' | 'fast' | 'restart';

/** Grace told to applications before any watchdog has named its own (default of watchdog.restart_grace). */
export const DEFAULT_GRACE_MS = 10_000;

export class ConmgrCore {
  readonly sessions = new SessionTable();
  readonly #options: ConmgrCoreOptions;
  readonly #instances = new Map<number, Instance>();
  /** Instances that have left the configuration and still say goodbye. */
  readonly #departing = new Map<number, Instance>();
  #config: ConmgrConfig;
  #memory: ClusterMemory = EMPTY_MEMORY;
  #view: ClusterView = EMPTY_VIEW;
  #viewNumber = 1;
  #turn = 0;
  #nextPingAt: MonotonicMs = NEVER;
  #stopping: 'no' | 'smart' | 'ending' = 'no';
  /** Sessions told by the dropSessions that comes just before its report. */
  #droppedCount = 0;
  #effects: ConmgrEffect[] = [];

  constructor(config: ConmgrConfig, options: ConmgrCoreOptions) {
    this.#config = config;
    this.#options = options;
    for (const instance of config.instances)
      this.#instances.set(instance.number, this.#newInstance(instance));
  }

  get config(): ConmgrConfig {
    return this.#config;
  }

  get view(): ClusterView {
    return this.#view;
  }

  get viewNumber(): number {
    return this.#viewNumber;
  }

  get stopping(): boolean {
    return this.#stopping !== 'no';
  }

  get instances(): readonly Instance[] {
    return [...this.#instances.values()].sort((a, b) => a.number - b.number);
  }

  /** When `wake` must be called; NEVER when nothing is due. */
  wakeAt(): MonotonicMs {
    let at = Math.min(viewWakeAt(this.#memory), this.#nextPingAt);
    for (const instance of this.#tracked()) at = Math.min(at, instance.wakeAt());
    for (const session of this.sessions.waiting()) at = Math.min(at, session.waitEndsAt);
    return at;
  }

  /** Begins to set up the links. */
  start(now: MonotonicMs): readonly ConmgrEffect[] {
    this.#nextPingAt = now + this.#config.heartbeatIntervalMs;
    for (const instance of this.#instances.values()) this.#startInstance(instance, now);
    return this.#finish(now);
  }

  /** Something happened to the link of an instance. */
  link(number: number, event: LinkEvent, now: MonotonicMs): readonly ConmgrEffect[] {
    const instance = this.#instances.get(number) ?? this.#departing.get(number);
    if (instance !== undefined) this.#stepLink(instance, event, now);
    return this.#finish(now);
  }

  /** The postmaster of an instance was asked for a sign of life. */
  probed(number: number, answered: boolean, text: string, now: MonotonicMs): readonly ConmgrEffect[] {
    const instance = this.#instances.get(number);
    if (instance !== undefined) this.#stepHealth(instance, { type: 'probed', answered, text }, now);
    return this.#finish(now);
  }

  /** The moment of wakeAt() has come. What had arrived by now has been handed in before. */
  wake(now: MonotonicMs): readonly ConmgrEffect[] {
    for (const instance of [...this.#tracked()]) {
      const due = linkWakeAt(instance.link);
      if (now >= due) this.#stepLink(instance, { type: 'woke', lateMs: now - due }, now);
      if (now >= instance.wakeAt()) this.#stepHealth(instance, { type: 'woke' }, now);
    }
    for (const session of this.sessions.waiting()) {
      if (now >= session.waitEndsAt) this.#refuse(session, now);
    }
    if (now >= this.#nextPingAt) {
      this.#nextPingAt = now + this.#config.heartbeatIntervalMs;
      const ids = [...this.sessions.all()]
        .filter((one) => one.ask.ping && one.phase !== 'waiting')
        .map((one) => one.id);
      this.#tell(ids, { kind: 'ping' });
    }
    return this.#finish(now);
  }

  /** An aware driver asked. `id` is the shell's name for its connection. */
  ask(id: number, ask: Ask, now: MonotonicMs): readonly ConmgrEffect[] {
    const limit = this.#config.maxConnections;
    if (this.stopping) {
      this.#effects.push({ do: 'refuse', session: id, error: refusalForStop() });
    } else if (limit > 0 && this.sessions.size >= limit) {
      this.#log('tooManySessions', { limit });
      this.#effects.push({ do: 'refuse', session: id, error: refusalForLimit(limit) });
    } else {
      const waitEndsAt = now + this.#config.resolveWaitMs;
      const session: Session = {
        id,
        ask,
        phase: 'waiting',
        instance: undefined,
        address: '',
        port: 0,
        waitEndsAt,
        since: now,
      };
      this.sessions.add(session);
      if (!this.#answer(session) && now >= waitEndsAt) this.#refuse(session, now);
      this.#effects.push({ do: 'changed' });
    }
    return this.#finish(now);
  }

  /** The driver has made its SQL connection. */
  bound(
    id: number,
    instance: number,
    address: string,
    port: number,
    now: MonotonicMs,
  ): readonly ConmgrEffect[] {
    const session = this.sessions.get(id);
    if (session !== undefined && session.phase !== 'waiting') {
      this.sessions.settle(session, 'bound');
      session.address = address;
      session.port = port;
      this.#place(session, instance);
      this.#effects.push({ do: 'changed' });
    }
    return this.#finish(now);
  }

  /** The connection of a session is gone. */
  closed(id: number, now: MonotonicMs): readonly ConmgrEffect[] {
    if (this.sessions.get(id) !== undefined) {
      this.sessions.remove(id);
      this.#effects.push({ do: 'changed' });
      if (this.#stopping === 'smart' && this.sessions.size === 0) this.#end('stop', now);
    }
    return this.#finish(now);
  }

  /** New configuration; what may change at reload takes effect now. `port` and listen_addresses are the shell's. */
  reconfigure(config: ConmgrConfig, now: MonotonicMs): readonly ConmgrEffect[] {
    const wanted = new Map(config.instances.map((instance) => [instance.number, instance]));
    this.#config = config;
    for (const instance of [...this.#instances.values()]) {
      const next = wanted.get(instance.number);
      if (next !== undefined && sameInstance(next, instance.config)) {
        const settings = linkSettings(config);
        if (!sameValues(settings, instance.link.data.settings)) {
          this.#stepLink(instance, { type: 'configured', settings }, now);
          this.#stepHealth(instance, { type: 'configured', settings }, now);
        }
        wanted.delete(instance.number);
      } else this.#release(instance, now);
    }
    for (const instance of wanted.values()) {
      const added = this.#newInstance(instance);
      this.#instances.set(instance.number, added);
      // A changed instance keeps its number: its old link must be gone before the new one is made.
      if (!this.#departing.has(instance.number)) this.#startInstance(added, now);
    }
    this.#effects.push({ do: 'changed' });
    return this.#finish(now);
  }

  /** The identity of the set is learned afresh. */
  forgetCluster(now: MonotonicMs): readonly ConmgrEffect[] {
    this.#memory = forgetCluster(this.#memory);
    for (const instance of this.#instances.values())
      this.#stepLink(instance, { type: 'expect', systemIdentifier: 0n }, now);
    return this.#finish(now);
  }

  /** An operator ends the sessions of an instance in conflict. False when it is in none. */
  resolveConflict(
    number: number,
    now: MonotonicMs,
  ): { readonly found: boolean; readonly effects: readonly ConmgrEffect[] } {
    const found = this.#memory.conflicts.has(number);
    this.#memory = expireConflict(this.#memory, number, now);
    return { found, effects: this.#finish(now) };
  }

  /** Where an application that asked for `target` would be sent now. */
  resolve(target: Ask['target']): readonly Candidate[] {
    return this.#candidates({ target, prefer: [], exclude: [], attach: undefined, ping: false, app: '' });
  }

  /** What is known of every instance, for DETAIL. */
  describe(): string {
    return this.#view.members.map((member) => describeMember(member, this.#nameOf(member.number))).join(' ');
  }

  stop(mode: CoreStopMode, now: MonotonicMs): readonly ConmgrEffect[] {
    if (mode === 'smart' && this.sessions.size > 0) {
      if (this.#stopping === 'no') {
        this.#stopping = 'smart';
        this.#log('waitingForSessions', { sessions: this.sessions.size });
      }
    } else if (this.#stopping !== 'ending') this.#end(mode === 'restart' ? 'restart' : 'stop', now);
    return this.#finish(now);
  }

  // Links and health

  #tracked(): readonly Instance[] {
    return [...this.#instances.values(), ...this.#departing.values()];
  }

  #newInstance(config: Instance['config']): Instance {
    return new Instance(config, linkSettings(this.#config), this.#options.identity, DEFAULT_GRACE_MS);
  }

  #startInstance(instance: Instance, now: MonotonicMs): void {
    this.#stepHealth(instance, { type: 'start' }, now);
    this.#stepLink(instance, { type: 'start' }, now);
  }

  /** An instance leaves the configuration: its watchdog is told, its sessions get advice, none is ended. */
  #release(instance: Instance, now: MonotonicMs): void {
    const number = instance.number;
    const ids = this.sessions.of(number).map((session) => session.id);
    this.#tell(ids, {
      kind: 'down',
      view: this.#viewNumber,
      instance: number,
      action: 'advice',
      reason: 'operator',
      text: 'instance was removed from the configuration of conmgr',
    });
    for (const session of this.sessions.of(number)) this.sessions.assign(session, undefined);
    this.#instances.delete(number);
    this.#departing.set(number, instance);
    this.#stepLink(instance, { type: 'stop', reason: 'released', retryAfterMs: 0 }, now);
  }

  #stepLink(instance: Instance, event: LinkEvent, now: MonotonicMs): void {
    const { state, effects } = stepLink(instance.link, event, now);
    instance.link = state;
    for (const effect of effects) this.#linkEffect(instance, effect, now);
    if (state.phase === 'stopped' && this.#departing.get(instance.number) === instance) {
      this.#departing.delete(instance.number);
      this.#effects.push({ do: 'forget', instance: instance.number });
      const successor = this.#instances.get(instance.number);
      if (successor !== undefined && this.#stopping !== 'ending') this.#startInstance(successor, now);
    }
  }

  #linkEffect(instance: Instance, effect: LinkEffect, now: MonotonicMs): void {
    const number = instance.number;
    const params = this.#params(instance);
    switch (effect.do) {
      case 'resolve':
      case 'disconnect':
        this.#effects.push({ do: effect.do, instance: number });
        break;
      case 'connect':
        this.#effects.push({ do: 'connect', instance: number, address: effect.address });
        break;
      case 'send':
        this.#effects.push({ do: 'send', instance: number, message: effect.message });
        break;
      case 'reportUp':
        instance.graceMs = effect.watchdog.restartGraceMs;
        this.#log('linkUp', { ...params, peer: effect.address, software: effect.watchdog.software });
        this.#stepHealth(instance, { type: 'linkUp' }, now);
        break;
      case 'reportAttributes':
        this.#told(instance, effect.attributes, now);
        break;
      case 'reportLost':
        this.#stepHealth(instance, { type: 'linkLost', end: effect.end, text: effect.text }, now);
        break;
      case 'reportGoodbye':
        this.#stepHealth(
          instance,
          {
            type: 'goodbye',
            reason: effect.reason,
            graceMs: effect.graceMs,
            text: effect.text || `goodbye (${effect.reason})`,
          },
          now,
        );
        break;
      case 'reportRejected':
        this.#log('linkRefused', { ...params, reason: effect.text || effect.code });
        break;
      case 'reportFailure':
        this.#log(effect.first ? 'linkFailed' : 'linkStillFailing', {
          ...params,
          reason: effect.text,
          attempts: effect.attempts,
        });
        break;
      case 'reportRecovered':
        if (effect.attempts > 0) {
          this.#log('linkRecovered', {
            ...params,
            attempts: effect.attempts,
            seconds: (effect.afterMs / 1000).toFixed(1),
          });
        }
        break;
      case 'reportDoubt':
        this.#log('doubt', { ...params, lateMs: effect.lateMs });
        break;
    }
  }

  #stepHealth(instance: Instance, event: HealthEvent, now: MonotonicMs): void {
    const before = instance.health.phase;
    const { state, effects } = stepHealth(instance.health, event, now);
    instance.health = state;
    if (state.phase !== before) instance.note(state.data.reason, now);
    for (const effect of effects) this.#healthEffect(instance, effect, now);
    if (before === 'lost' && state.phase === 'monitored') this.#log('instanceBack', this.#params(instance));
  }

  #healthEffect(instance: Instance, effect: HealthEffect, _now: MonotonicMs): void {
    const params = this.#params(instance);
    switch (effect.do) {
      case 'probe':
        this.#effects.push({ do: 'probe', instance: instance.number, timeoutMs: effect.timeoutMs });
        break;
      case 'dropSessions':
        this.#droppedCount = this.#drop(instance.number, effect.reason, effect.text);
        break;
      case 'reportLost':
        this.#log('instanceLost', {
          ...params,
          reason: effect.reason,
          text: effect.text,
          sessions: this.#droppedCount,
        });
        this.#droppedCount = 0;
        break;
      case 'reportDown':
        this.#log('instanceDown', { ...params, text: effect.text, sessions: this.#droppedCount });
        this.#droppedCount = 0;
        break;
      case 'reportBack':
        this.#log('instanceBack', params);
        break;
      case 'reportUnmonitored':
        this.#log('instanceUnmonitored', { ...params, text: effect.text });
        break;
      case 'reportGrace':
        this.#log('watchdogRestarting', { ...params, graceMs: effect.graceMs });
        break;
      case 'reportLeaving':
        this.#log('hostLeaving', params);
        break;
    }
  }
  #told(instance: Instance, attributes: NonNullable<Instance['attributes']>, now: MonotonicMs): void {
    const wasDim = instance.dim;
    const changed = instance.tell(attributes, now);
    if (instance.dim && !wasDim)
      this.#log('notInspected', { ...this.#params(instance), text: attributes.text || 'no reason given' });
    if (changed && !instance.dim) {
      this.#log('roleChanged', {
        ...this.#params(instance),
        role: roleOf(attributes.bits),
        state: attributes.state,
        timeline: attributes.timeline,
      });
    }
    if (attributes.state === 'down') {
      this.#stepHealth(
        instance,
        { type: 'instanceDown', text: attributes.text || 'postmaster is not running' },
        now,
      );
    } else if (attributes.state !== 'unknown') this.#stepHealth(instance, { type: 'instanceRuns' }, now);
  }

  // The picture

  /** Redraws the picture, tells what changed, answers those who wait; returns the effects of this call. */
  #finish(now: MonotonicMs): readonly ConmgrEffect[] {
    const before = this.#view;
    const drawn = drawView(
      this.#memory,
      before,
      this.instances.map((instance) => instance.facts()),
      { onConflict: this.#config.onConflict, conflictMs: this.#config.heartbeatTimeoutMs },
      now,
    );
    this.#memory = drawn.memory;
    this.#view = drawn.view;
    if (viewsDiffer(before, drawn.view)) this.#viewChanged(before, drawn.events);
    else for (const event of drawn.events) this.#clusterEvent(event);
    this.#expectCluster(now);
    if (
      this.#stopping === 'ending' &&
      this.#tracked().every((instance) => instance.link.phase === 'stopped')
    ) {
      this.#effects.push({ do: 'exit' });
    }
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #viewChanged(before: ClusterView, events: readonly ClusterEvent[]): void {
    this.#viewNumber = this.#viewNumber >= 0xffff_ffff ? 1 : this.#viewNumber + 1;
    for (const member of this.#view.members) {
      const was = before.members.find((one) => one.number === member.number);
      if (was?.bits === member.bits && was.state === member.state) continue;
      this.#evict(member);
      const ids = this.sessions.of(member.number).map((session) => session.id);
      this.#tell(ids, {
        kind: 'changed',
        view: this.#viewNumber,
        instance: member.number,
        bits: member.bits,
      });
    }
    for (const event of events) this.#clusterEvent(event);
    for (const session of this.sessions.waiting()) this.#answer(session);
    this.#effects.push({ do: 'changed' });
  }

  #clusterEvent(event: ClusterEvent): void {
    const instance = 'number' in event ? this.#instances.get(event.number) : undefined;
    const params = instance === undefined ? {} : this.#params(instance);
    switch (event.type) {
      case 'conflictBegan': {
        const winner =
          event.winner === undefined
            ? 'another primary'
            : `instance ${event.winner} on timeline ${event.winnerTimeline}`;
        const offered =
          event.winner === undefined ? 'neither (on_conflict = none)' : `instance ${event.winner}`;
        this.#log('conflict', { ...params, timeline: event.timeline, winner, offered });
        break;
      }
      case 'conflictEnded':
        this.#log('conflictEnded', params);
        break;
      case 'conflictExpired': {
        const winner = `instance ${event.winner}`;
        const sessions = this.#drop(
          event.number,
          'conflict with a newer primary',
          `${winner} is the primary now`,
        );
        this.#log('conflictExpired', { ...params, sessions, winner });
        break;
      }
      case 'foreign':
        this.#log('foreign', {
          ...params,
          systemIdentifier: event.systemIdentifier,
          reference: event.reference,
        });
        break;
      case 'primaryChanged': {
        const name = (number: number | undefined) =>
          number === undefined ? 'none' : `instance ${number} (${this.#nameOf(number)})`;
        this.#log('primaryChanged', { primary: name(event.to), was: name(event.from) });
        break;
      }
    }
  }

  /** Once the cluster is known, a name that leads to another one is refused by its watchdog. */
  #expectCluster(now: MonotonicMs): void {
    if (!this.#memory.firm) return;
    for (const instance of this.#instances.values()) {
      const known = instance.attributes?.systemIdentifier === this.#memory.reference;
      if (known && instance.link.data.expectedSystemIdentifier !== this.#memory.reference) {
        this.#stepLink(instance, { type: 'expect', systemIdentifier: this.#memory.reference }, now);
      }
    }
  }

  // Sessions

  /** Sends candidates if any instance fits. */
  #answer(session: Session): boolean {
    const hello: ConmgrMessage = {
      kind: 'hello',
      version: 1,
      view: this.#viewNumber,
      graceMs: this.#graceMs(),
      software: this.#options.identity.software,
    };
    if (session.ask.attach !== undefined) {
      this.sessions.settle(session, 'answered');
      this.#tell([session.id], hello);
      return true;
    }
    const candidates = this.#candidates(session.ask);
    const [first] = candidates;
    if (first === undefined) return false;
    this.#turn += 1;
    this.sessions.settle(session, 'answered');
    this.sessions.assign(session, first.instance);
    this.#tell([session.id], hello, { kind: 'candidates', view: this.#viewNumber, candidates });
    return true;
  }

  #refuse(session: Session, _now: MonotonicMs): void {
    this.sessions.remove(session.id);
    this.#effects.push({
      do: 'refuse',
      session: session.id,
      error: refusalForTarget(session.ask.target, this.describe()),
    });
  }

  #candidates(ask: Ask): readonly Candidate[] {
    const chosen = chooseInstances(this.#view, {
      target: ask.target,
      prefer: ask.prefer,
      exclude: ask.exclude,
      loadBalance: this.#config.loadBalance,
      maxLagBytes: this.#config.maxLagBytes,
      sessionsOf: (number) => this.sessions.countOf(number),
      random: this.#options.random,
      turn: this.#turn,
    });
    return chosen.flatMap((member) => {
      const instance = this.#instances.get(member.number);
      if (instance === undefined) return [];
      return [
        {
          instance: member.number,
          port: instance.config.backendPort,
          bits: member.bits,
          host: instance.host,
          hostaddr: instance.address,
        },
      ];
    });
  }

  /** Puts a bound session where it says it goes, and tells it at once if that is no place to be. */
  #place(session: Session, number: number): void {
    const instance = this.#instances.get(number);
    if (instance === undefined) {
      this.sessions.assign(session, undefined);
      const text = 'instance is not in the configuration of conmgr';
      this.#tell([session.id], {
        kind: 'down',
        view: this.#viewNumber,
        instance: number,
        action: 'advice',
        reason: 'operator',
        text,
      });
      return;
    }
    this.sessions.assign(session, number);
    const phase = instance.health.phase;
    if (phase === 'lost' || phase === 'down') {
      this.#drop(number, phase === 'down' ? 'instance down' : 'heartbeat timeout', instance.reason);
      return;
    }
    const member = this.#view.members.find((one) => one.number === number);
    if (member !== undefined) this.#evict(member);
  }

  /** Ends all sessions of an instance; returns how many were told. */
  #drop(number: number, reason: DownReason, text: string, only?: (session: Session) => boolean): number {
    const sessions = this.sessions.of(number).filter((session) => only === undefined || only(session));
    this.#tell(
      sessions.map((session) => session.id),
      { kind: 'down', view: this.#viewNumber, instance: number, action: 'drop', reason, text },
    );
    for (const session of sessions) this.sessions.assign(session, undefined);
    return sessions.length;
  }

  #evict(member: Member): void {
    const policy = this.#config.evictOnRoleChange;
    const role = roleOf(member.bits);
    const sessions = this.#drop(
      member.number,
      'role no longer fits',
      `instance is ${role} now`,
      (session) => session.phase === 'bound' && mustEvict(member, session.ask.target, policy),
    );
    const instance = this.#instances.get(member.number);
    if (sessions > 0 && instance !== undefined) this.#log('evicted', { ...this.#params(instance), sessions });
  }

  #end(kind: Extract<GoodbyeReason & ByeKind, 'stop' | 'restart'>, now: MonotonicMs): void {
    this.#stopping = 'ending';
    const graceMs = this.#graceMs();
    const bye: ConmgrMessage = {
      kind: 'bye',
      bye: kind,
      retryAfterMs: kind === 'restart' ? graceMs : 0,
      text: kind === 'restart' ? 'conmgr is restarting' : 'conmgr was stopped by administrator command',
    };
    const sessions = [...this.sessions.all()].map((session) => session.id);
    if (sessions.length > 0) this.#effects.push({ do: 'tell', sessions, messages: [bye], close: true });
    for (const instance of this.#tracked()) {
      this.#stepLink(
        instance,
        { type: 'stop', reason: kind, retryAfterMs: kind === 'restart' ? graceMs : 0 },
        now,
      );
    }
  }

  #graceMs(): number {
    const graces = [...this.#instances.values()].map((instance) => instance.graceMs);
    return graces.length === 0 ? DEFAULT_GRACE_MS : Math.max(...graces);
  }

  #tell(sessions: readonly number[], ...messages: readonly ConmgrMessage[]): void {
    if (sessions.length > 0) this.#effects.push({ do: 'tell', sessions, messages, close: false });
  }

  #params(instance: Instance): MessageParams {
    return { instance: instance.number, host: instance.host, port: instance.config.backendPort };
  }

  #nameOf(number: number): string {
    const instance = this.#instances.get(number);
    return instance === undefined ? '' : `${instance.host}:${instance.config.backendPort}`;
  }

  #log(message: ConmgrMessageName, params: MessageParams): void {
    this.#effects.push({ do: 'log', message, params });
  }
}

function sameValues<T extends object>(a: T, b: T): boolean {
  return (Object.keys(a) as (keyof T)[]).every((key) => a[key] === b[key]);
}

function sameInstance(a: Instance['config'], b: Instance['config']): boolean {
  return sameValues(a, b);
}
