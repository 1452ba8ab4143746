/**
 * All that conmgr decides, without IO: links, health, the picture of the set, and the sessions.
 *
 * The shell calls one method for everything that happens, with the present moment, and carries out
 * the effects in their order. A loss is told to the sessions before anything else is done.
 */
import { laggardsDiffer } from '../cluster/choice.js';
import type { ClusterView } from '../cluster/view.js';
import type { ConmgrConfig } from '../config/types.js';
import { type HealthEffect, type HealthEvent, healthWakeAt, stepHealth } from '../link/health.js';
import { HEALTH_MEANING } from '../link/health-meaning.js';
import { type LinkEffect, type LinkEvent, type LinkIdentity, linkWakeAt } from '../link/link.js';
import { stepLink } from '../link/link-table.js';
import { type Ask, NO_WISHES } from '../protocol/ask.js';
import type { InstanceAttributes } from '../protocol/attributes.js';
import type { Candidate } from '../protocol/first-phase.js';
import { type MonotonicMs, NEVER } from '../time.js';
import { reportClusterEvent } from './cluster-report.js';
import { SessionDesk } from './desk.js';
import type { ConmgrEffect } from './effects.js';
import { ENDINGS, type Ending } from './endings.js';
import { adoptInstances, type HandedCore, handOverCore } from './handing.js';
import { type Instance, linkSettings, roleOf, sameInstance } from './instance.js';
import { reportHealth, reportLink } from './instance-report.js';
import { InstanceSet } from './instance-set.js';
import { type KernelWishes, kernelWishes } from './kernel-wishes.js';
import { Outbox } from './outbox.js';
import { tellSessions } from './session-teller.js';
import type { Attachment, SessionTable } from './sessions.js';

/** What the core needs besides its configuration. */
export interface ConmgrCoreOptions {
  readonly identity: LinkIdentity;
  /** A number in [0, 1); the only source of chance. */
  readonly random: () => number;
}

/**
 * restart: BYE(restart) and goodbye restarting, otherwise as fast. handOver: goodbye restarting, and the sessions stay for
 * the successor. hostShutdown: as fast, but the watchdogs hear why.
 */
export type CoreStopMode = 'smart' | 'fast' | 'restart' | 'handOver' | 'hostShutdown';

export class ConmgrCore {
  readonly #set: InstanceSet;
  readonly #out = new Outbox();
  readonly #desk: SessionDesk;
  #nextPingAt: MonotonicMs = NEVER;
  #stopping: 'no' | 'smart' | 'ending' | 'handing over' = 'no';
  /** Sessions told by the dropSessions that comes just before its report. */
  #droppedCount = 0;
  /** Something that status shows has changed without changing the picture. */
  #moved = false;
  #revision = 0;

  constructor(config: ConmgrConfig, options: ConmgrCoreOptions) {
    this.#set = new InstanceSet(config, options.identity);
    this.#desk = new SessionDesk(this.#set, this.#out, options.random);
    this.sessions.onTouched = (number, session) => this.#set.get(number)?.teller.touch(session);
  }

  get config(): ConmgrConfig {
    return this.#set.config;
  }

  get view(): ClusterView {
    return this.#set.view;
  }

  get viewNumber(): number {
    return this.#set.viewNumber;
  }

  /** Nobody is answered any more. One who comes during a hand-over is. */
  get stopping(): boolean {
    return this.#stopping === 'smart' || this.#stopping === 'ending';
  }

  /** Goodbyes are being said: nothing new is begun. A smart stop that still waits is not that far. */
  get ending(): boolean {
    return this.#stopping === 'ending' || this.#stopping === 'handing over';
  }

  get instances(): readonly Instance[] {
    return this.#set.all;
  }

  get sessions(): SessionTable {
    return this.#desk.sessions;
  }

  /** When `wake` must be called; NEVER when nothing is due. */
  wakeAt(): MonotonicMs {
    const waitEndsAt = this.sessions.waitingUntil(this.config.resolveWaitMs);
    return Math.min(this.#set.wakeAt(), this.#nextPingAt, waitEndsAt);
  }

  /** Begins to set up the links. `handed`: what the predecessor knew, and its sessions. */
  start(now: MonotonicMs, handed?: HandedCore): readonly ConmgrEffect[] {
    this.#nextPingAt = now + this.config.heartbeatIntervalMs;
    const kept = adoptInstances(this.#set, handed?.instances ?? []);
    for (const instance of this.#set.all) {
      this.#startInstance(instance, now);
      if (kept.get(instance.number) === 'known') this.#stepHealth(instance, { type: 'adopted' }, now);
    }
    if (handed !== undefined) {
      this.#set.continueViews(handed.view);
      this.#desk.adopt(handed.sessions, kept, now);
    }
    return this.#finish(now);
  }

  /** Something happened to the link of an instance. */
  link(number: number, event: LinkEvent, now: MonotonicMs): readonly ConmgrEffect[] {
    const instance = this.#set.linked(number);
    if (instance !== undefined) this.#stepLink(instance, event, now);
    return this.#finish(now);
  }

  /** The postmaster of an instance was asked for a sign of life. */
  probed(number: number, answered: boolean, text: string, now: MonotonicMs): readonly ConmgrEffect[] {
    const instance = this.#set.get(number);
    if (instance !== undefined) this.#stepHealth(instance, { type: 'probed', answered, text }, now);
    return this.#finish(now);
  }

  /** The moment of wakeAt() has come. What had arrived by now has been handed in before. */
  wake(now: MonotonicMs): readonly ConmgrEffect[] {
    for (const instance of this.#set.tracked) {
      const due = linkWakeAt(instance.link);
      if (now >= due) this.#stepLink(instance, { type: 'woke', lateMs: now - due }, now);
      if (now >= healthWakeAt(instance.health)) this.#stepHealth(instance, { type: 'woke' }, now);
    }
    tellSessions(this.#set.all, this.sessions, this.#out, now);
    this.#desk.refuseOverdue(now);
    if (this.#stopping === 'smart' && this.sessions.size === 0) this.#end('stop', now);
    if (now >= this.#nextPingAt) {
      this.#nextPingAt = now + this.config.heartbeatIntervalMs;
      this.#desk.ping();
    }
    return this.#finish(now);
  }

  /** An aware driver asked. `id` is the shell's name for its connection. */
  ask(id: number, ask: Ask, now: MonotonicMs): readonly ConmgrEffect[] {
    return this.#attach(id, 'aware', ask, now);
  }

  /** A stock driver connected to a port with this target: it is to be forwarded. */
  forward(id: number, target: Ask['target'], app: string, now: MonotonicMs): readonly ConmgrEffect[] {
    return this.#attach(id, 'gateway', { ...NO_WISHES, target, app }, now);
  }

  #attach(id: number, mode: Attachment, ask: Ask, now: MonotonicMs): readonly ConmgrEffect[] {
    this.#desk.ask(id, mode, ask, this.stopping, now);
    this.#out.push({ do: 'changed' });
    return this.#out.take();
  }

  /** A stock driver has named itself, and may want another target than that of its port. */
  introduced(
    id: number,
    app: string,
    target: Ask['target'] | undefined,
    now: MonotonicMs,
  ): readonly ConmgrEffect[] {
    const session = this.sessions.get(id);
    if (session === undefined) return [];
    session.ask = { ...session.ask, app };
    if (target !== undefined && target !== session.ask.target) this.#desk.retarget(session, target, now);
    return this.#sessionsChanged(now);
  }

  /** The instance to which a session was to be forwarded cannot be reached, or refuses. */
  routeFailed(id: number, instance: number, text: string, now: MonotonicMs): readonly ConmgrEffect[] {
    const session = this.sessions.get(id);
    if (session === undefined) return [];
    this.#desk.routeFailed(session, instance, text, now);
    return this.#sessionsChanged(now);
  }

  /** The driver has made its SQL connection. */
  bound(id: number, instance: number, address: string, port: number): readonly ConmgrEffect[] {
    const session = this.sessions.get(id);
    if (session !== undefined && session.phase !== 'waiting') {
      this.#desk.bound(session, instance, address, port);
      this.#out.push({ do: 'changed' });
    }
    return this.#out.take();
  }

  /** The process ID of the backend of a session that is bound. */
  backend(id: number, pid: number): readonly ConmgrEffect[] {
    const session = this.sessions.get(id);
    if (session?.phase === 'bound') this.sessions.identify(session, pid);
    return this.#out.take();
  }

  /** The connection of a session is gone. */
  closed(id: number, now: MonotonicMs): readonly ConmgrEffect[] {
    if (this.sessions.get(id) === undefined) return [];
    this.sessions.remove(id);
    return this.#sessionsChanged(now);
  }

  /** A smart stop ends with the last session. */
  #sessionsChanged(now: MonotonicMs): readonly ConmgrEffect[] {
    this.#out.push({ do: 'changed' });
    if (this.#stopping !== 'smart' || this.sessions.size > 0) return this.#out.take();
    this.#end('stop', now);
    return this.#finish(now);
  }

  /** New configuration; what may change at reload takes effect now. `port` and listen_addresses are the shell's. */
  reconfigure(config: ConmgrConfig, now: MonotonicMs): readonly ConmgrEffect[] {
    // A link that is begun now would have to be ended first: the end would never come.
    if (this.ending) return this.#finish(now);
    const wanted = new Map(config.instances.map((instance) => [instance.number, instance]));
    this.#set.config = config;
    for (const instance of this.#set.all) {
      if (sameInstance(wanted.get(instance.number), instance.config)) {
        this.#retime(instance, now);
        wanted.delete(instance.number);
      } else {
        this.#desk.release(instance.number);
        this.#set.remove(instance);
        this.#stepLink(instance, { type: 'stop', reason: 'released', retryAfterMs: 0 }, now);
      }
    }
    for (const instance of wanted.values()) {
      const added = this.#set.add(instance);
      // A changed instance keeps its number: its old link must be gone before the new one is made.
      if (!this.#set.isDeparting(instance.number)) this.#startInstance(added, now);
    }
    this.#moved = true;
    return this.#finish(now);
  }

  /** Links that are made from now on are protected in another way. */
  protectionChanged(now: MonotonicMs): readonly ConmgrEffect[] {
    if (this.ending) return this.#finish(now);
    for (const instance of this.#set.all) this.#stepLink(instance, { type: 'protected' }, now);
    return this.#finish(now);
  }

  /** The identity of the set is learned afresh. */
  forgetCluster(now: MonotonicMs): readonly ConmgrEffect[] {
    this.#set.forgetCluster();
    for (const instance of this.#set.all)
      this.#stepLink(instance, { type: 'expect', systemIdentifier: 0n, pinned: instance.pinned }, now);
    return this.#finish(now);
  }

  /** An operator ends the sessions of an instance in conflict; `found` is false when it is in none. */
  resolveConflict(
    number: number,
    now: MonotonicMs,
  ): { readonly found: boolean; readonly effects: readonly ConmgrEffect[] } {
    const found = this.#set.expireConflict(number, now);
    return { found, effects: this.#finish(now) };
  }

  /** Where an application that asked for `target` would be sent now. */
  resolve(target: Ask['target']): readonly Candidate[] {
    return this.#desk.candidates({ ...NO_WISHES, target });
  }

  /** Another number: something about the instances has changed, and not only about sessions. */
  get revision(): number {
    return this.#revision;
  }

  /** What the kernel is to do from now on; as long as `revision` and `stopping` are the same, the same. */
  kernelWishes(): KernelWishes {
    return kernelWishes(this.config, this.#set.all, this.view, {
      accepting: !this.stopping,
      isSettled: (number) => this.#set.isConflictSettled(number),
    });
  }

  /** What is known of every instance, for DETAIL. */
  describe(): string {
    return this.#set.describe();
  }

  /** Ends in the given mode; effect `exit` comes when everything has been said. */
  stop(mode: CoreStopMode, now: MonotonicMs): readonly ConmgrEffect[] {
    if (mode === 'smart' && this.sessions.size > 0) {
      if (this.#stopping === 'no') {
        this.#stopping = 'smart';
        this.#out.log('waitingForSessions', { sessions: this.sessions.size });
      }
    } else if (mode === 'handOver') {
      this.#stopping = 'handing over';
      this.#stopLinks('restart', this.#set.graceMs(), now);
    } else if (this.#stopping !== 'ending')
      this.#end(mode === 'restart' || mode === 'hostShutdown' ? mode : 'stop', now);
    return this.#finish(now);
  }

  /** What the successor is to know, once stop('handOver') has led to `exit`. */
  handOver(now: MonotonicMs): HandedCore {
    return handOverCore(this.viewNumber, this.#set.all, this.sessions.all(), now);
  }

  /** At that moment, when the successor has not come: as if the links had been closed. What a reload added meanwhile begins. */
  resume(now: MonotonicMs): readonly ConmgrEffect[] {
    if (this.#stopping !== 'handing over') return [];
    this.#stopping = 'no';
    const text = 'conmgr could not be handed over';
    for (const instance of this.#set.all) {
      this.#stepHealth(instance, { type: 'linkLost', end: 'closed', text }, now);
      if (healthWakeAt(instance.health) === NEVER) this.#stepHealth(instance, { type: 'start' }, now);
      this.#stepLink(instance, { type: 'start' }, now);
    }
    return this.#finish(now);
  }

  // Links and health

  #startInstance(instance: Instance, now: MonotonicMs): void {
    this.#stepHealth(instance, { type: 'start' }, now);
    this.#stepLink(instance, { type: 'start' }, now);
  }

  #retime(instance: Instance, now: MonotonicMs): void {
    const settings = linkSettings(this.config);
    const old = instance.link.data.settings;
    if ((Object.keys(settings) as (keyof typeof settings)[]).every((key) => settings[key] === old[key]))
      return;
    this.#stepLink(instance, { type: 'configured', settings }, now);
    this.#stepHealth(instance, { type: 'configured', settings }, now);
  }

  #stepLink(instance: Instance, event: LinkEvent, now: MonotonicMs): void {
    const { state, effects } = stepLink(instance.link, event, now);
    if (state.phase !== instance.link.phase) this.#moved = true;
    instance.link = state;
    if (state.phase !== 'up') instance.teller.end();
    for (const effect of effects) this.#linkEffect(instance, effect, now);
    if (state.phase !== 'stopped' || !this.#set.departed(instance)) return;
    this.#out.push({ do: 'forget', instance: instance.number });
    const successor = this.#set.get(instance.number);
    if (successor !== undefined && !this.ending) this.#startInstance(successor, now);
  }

  #linkEffect(instance: Instance, effect: LinkEffect, now: MonotonicMs): void {
    const number = instance.number;
    const params = this.#set.params(instance);
    switch (effect.do) {
      case 'resolve':
      case 'disconnect':
        this.#out.push({ do: effect.do, instance: number });
        break;
      case 'connect':
        this.#out.push({ do: 'connect', instance: number, address: effect.address });
        break;
      case 'send':
        this.#out.push({ do: 'send', instance: number, message: effect.message });
        break;
      case 'reportUp':
        instance.graceMs = effect.watchdog.restartGraceMs;
        this.#out.log('linkUp', { ...params, peer: effect.address, software: effect.watchdog.software });
        break;
      case 'reportAttributes':
        this.#told(instance, effect.attributes, now);
        break;
      case 'reportLost':
        this.#stepHealth(instance, { type: 'linkLost', end: effect.end, text: effect.text }, now);
        break;
      case 'reportGoodbye': {
        const text = effect.text === '' ? `watchdog said goodbye (${effect.reason})` : effect.text;
        this.#stepHealth(
          instance,
          { type: 'goodbye', reason: effect.reason, graceMs: effect.graceMs, text },
          now,
        );
        break;
      }
      case 'reportWanted':
        instance.teller.want(effect, instance, this.sessions, now);
        break;
      default:
        if (effect.do === 'reportRejected' && instance.refused(effect, now))
          this.#desk.drop(number, 'instance down', effect.text);
        reportLink(effect, params, this.#out, instance.health.phase === 'grace');
    }
  }

  #stepHealth(instance: Instance, event: HealthEvent, now: MonotonicMs): void {
    const before = instance.health.phase;
    const { state, effects } = stepHealth(instance.health, event, now);
    instance.health = state;
    if (state.phase !== before) {
      instance.note(state.data.reason, now);
      this.#moved = true;
    }
    for (const effect of effects) this.#healthEffect(instance, effect);
    if (before === 'lost' && state.phase === 'monitored')
      this.#out.log('instanceBack', this.#set.params(instance));
  }

  #healthEffect(instance: Instance, effect: HealthEffect): void {
    const params = this.#set.params(instance);
    switch (effect.do) {
      case 'probe':
        this.#out.push({ do: 'probe', instance: instance.number, timeoutMs: effect.timeoutMs });
        break;
      case 'dropSessions':
        this.#droppedCount = this.#desk.drop(instance.number, effect.reason, effect.text);
        break;
      default:
        reportHealth(effect, params, this.#out, () => this.#takeDropped());
    }
  }

  #takeDropped(): number {
    const count = this.#droppedCount;
    this.#droppedCount = 0;
    return count;
  }

  #told(instance: Instance, attributes: InstanceAttributes, now: MonotonicMs): void {
    const params = this.#set.params(instance);
    const { state, bits, timeline, text } = attributes;
    const wasDim = instance.dim;
    const wasLost = instance.health.phase === 'lost';
    const changed = instance.tell(attributes, wasLost, now);
    // A timeline or a version is shown by status although the picture stays.
    if (changed) this.#moved = true;
    // Not before: what was told on the link before this one must not pass for what is true now.
    if (!HEALTH_MEANING[instance.health.phase].linked) this.#stepHealth(instance, { type: 'linkUp' }, now);
    if (state === 'unknown' && (changed || (instance.dim && !wasDim)) && text !== '')
      this.#out.log('notInspected', { ...params, text });
    if (changed && state !== 'unknown' && state !== 'down')
      this.#out.log('roleChanged', { ...params, role: roleOf(bits), state, timeline });
    if (state === 'down') {
      this.#stepHealth(
        instance,
        { type: 'instanceDown', text: text === '' ? 'postmaster is not running' : text },
        now,
      );
    } else if (state !== 'unknown') this.#stepHealth(instance, { type: 'instanceRuns' }, now);
  }

  // The picture

  /** Redraws the picture, tells what changed, answers those who wait; returns the effects of this call. */
  #finish(now: MonotonicMs): readonly ConmgrEffect[] {
    const { before, changed, events } = this.#set.draw(now);
    if (changed) {
      for (const member of this.view.members) {
        const was = before.members.find((one) => one.number === member.number);
        if (was?.bits === member.bits && was.state === member.state) continue;
        this.#desk.evict(member);
        this.#desk.announce(member);
      }
    }
    for (const event of events) reportClusterEvent(event, this.#set, this.#out, this.#desk);
    if (changed) this.#desk.answerWaiting();
    const { maxLagBytes } = this.config;
    const moved = this.#moved || laggardsDiffer(before, this.view, maxLagBytes);
    if (changed || moved || events.length > 0) {
      this.#revision += 1;
      this.#out.push({ do: 'changed' });
    }
    this.#moved = false;
    this.#expect(now);
    if (this.ending && this.#set.tracked.every(({ link }) => link.phase === 'stopped'))
      this.#out.push({ do: 'exit' });
    return this.#out.take();
  }

  /** Once it is known which cluster and which host is meant, another one to which a name leads is not taken for it. */
  #expect(now: MonotonicMs): void {
    const { reference } = this.#set;
    for (const instance of this.#set.all) {
      const expected = instance.link.data;
      const known = reference !== 0n && instance.attributes?.systemIdentifier === reference;
      const systemIdentifier = known ? reference : expected.expectedSystemIdentifier;
      const { pinned } = instance;
      if (systemIdentifier !== expected.expectedSystemIdentifier || pinned !== expected.pinned)
        this.#stepLink(instance, { type: 'expect', systemIdentifier, pinned }, now);
    }
  }

  #end(kind: Ending, now: MonotonicMs): void {
    this.#stopping = 'ending';
    const graceMs = kind === 'restart' ? this.#set.graceMs() : 0;
    const { bye, text } = ENDINGS[kind];
    this.#desk.dismissAll(bye, graceMs, text);
    this.#stopLinks(kind, graceMs, now);
  }

  #stopLinks(reason: Ending, retryAfterMs: number, now: MonotonicMs): void {
    for (const instance of this.#set.tracked)
      this.#stepLink(instance, { type: 'stop', reason, retryAfterMs }, now);
  }
}
