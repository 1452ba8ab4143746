/** A simulated watchdog: the machines of core/session and core/terminator with simulated IO. */
import type { Buffer } from 'node:buffer';
import type { TerminateOn, TerminateScope } from '../../../src/core/config/types.js';
import { attributesDiffer, type InstanceAttributes } from '../../../src/core/protocol/attributes.js';
import {
  agreedFrameLimit,
  decodeHeartbeat,
  encodeAttributes,
  encodeHeartbeat,
  ProtocolViolation,
} from '../../../src/core/protocol/codec.js';
import { FrameReader } from '../../../src/core/protocol/framer.js';
import {
  FRAME_LIMITS,
  type GoodbyeReason,
  type HeartbeatMessageOf,
} from '../../../src/core/protocol/messages.js';
import { judgeHello } from '../../../src/core/session/admission.js';
import {
  type Departure,
  isLive,
  newSession,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  sessionWakeAt,
  type Telling,
} from '../../../src/core/session/session.js';
import { stepSession } from '../../../src/core/session/session-table.js';
import { WatchedSessions } from '../../../src/core/terminator/watched.js';
import { NEVER } from '../../../src/core/time.js';
import { Losses } from './losses.js';
import type { TcpEnd } from './network.js';
import type { Notice, SimPostgres } from './postgres.js';
import { SimProcess } from './process.js';
import type { World } from './world.js';

export interface WatchdogSettings {
  readonly graceMs: number;
  readonly terminateOn: TerminateOn;
  readonly terminateScope: TerminateScope;
  /** watchdog.check_attr_interval. */
  readonly checkMs: number;
  readonly maxLinks: number;
}

/** How long a file event or the end of a connection takes to become known. */
const NOTICE_MS = 5;

/** One conmgr's link. */
export interface SimLink {
  readonly address: string;
  readonly end: TcpEnd;
  state: SessionState;
  disputed: boolean;
  watched: WatchedSessions;
}

export class WatchdogProcess {
  readonly instance: SimPostgres;
  readonly settings: WatchdogSettings;
  readonly #world: World;
  readonly #links = new Set<SimLink>();
  readonly #losses: Losses;
  readonly #due = (): void => this.#act(() => this.#wake());
  #process: SimProcess;
  #boots = 0;
  #attributes: InstanceAttributes;
  #encoded: Buffer;
  #telling: Telling = { serial: 1, version: 1 };
  #checkAt = NEVER;
  #stopping = false;

  constructor(world: World, instance: SimPostgres, settings: WatchdogSettings) {
    this.#world = world;
    this.instance = instance;
    this.settings = settings;
    this.#process = new SimProcess(world.timeline);
    this.#attributes = instance.attributes(1);
    this.#encoded = encodeHeartbeat(encodeAttributes(this.#attributes));
    this.#losses = new Losses(world, instance, settings, {
      otherLink: (address) => this.#otherLink(address),
      later: (delayMs, deed) => {
        world.timeline.after(delayMs, () => this.#act(deed));
      },
    });
    instance.watch((notice) => this.#noticed(notice));
  }

  get process(): SimProcess {
    return this.#process;
  }

  get alive(): boolean {
    return this.#process.alive;
  }

  start(): void {
    this.#process = new SimProcess(this.#world.timeline, this.#world.flaw === 'hasty-watchdog');
    this.#boots += 1;
    this.#stopping = false;
    this.#links.clear();
    this.#attributes = this.instance.attributes(1);
    this.#take(this.#attributes);
    this.#world.network.listen(this.instance.settings.host, 'watchdog', (end, from) =>
      this.#accept(end, from),
    );
    this.#act(() => this.#losses.recall());
  }

  /** SIGKILL: the kernel ends its connections. */
  kill(): void {
    this.#losses.forgetTimers([...this.#links]);
    this.#gone();
  }

  /** Says goodbye and ends once everybody has answered, or after half a second. */
  stop(reason: GoodbyeReason): void {
    this.#stopping = true;
    const retryAfterMs = reason === 'restart' ? this.settings.graceMs : 0;
    this.#losses.forgetTimers([...this.#links]);
    this.#act(() => {
      // Else one that connects now and says nothing would keep it until the time limit of its HELLO.
      this.#world.network.listen(this.instance.settings.host, 'watchdog', undefined);
      for (const link of [...this.#links]) this.#step(link, { type: 'stop', reason, retryAfterMs, text: '' });
    });
  }

  #gone(): void {
    this.#process.kill();
    this.#world.network.listen(this.instance.settings.host, 'watchdog', undefined);
    for (const { end } of this.#links) end.end();
    this.#links.clear();
  }

  #act(deed: () => void): void {
    this.#process.post(() => {
      deed();
      if (this.#stopping && this.#process.alive && this.#links.size === 0) {
        this.#world.note(`watchdog ${this.instance.name}`, 'exits');
        this.#gone();
      }
      let wakeAt = Math.min(this.#losses.wakeAt(), this.#checkAt);
      for (const link of this.#links) wakeAt = Math.min(wakeAt, sessionWakeAt(link.state));
      this.#process.setTimer(wakeAt, this.#due);
    });
  }

  #wake(): void {
    const { now } = this.#world;
    if (now >= this.#checkAt) {
      this.#checkAt = NEVER;
      this.#look();
    }
    for (const link of [...this.#links]) {
      const due = sessionWakeAt(link.state);
      const lateMs = this.#world.flaw === 'hasty-watchdog' ? 0 : now - due;
      if (now >= due) this.#step(link, { type: 'woke', lateMs, telling: this.#telling });
    }
    this.#losses.wake();
  }

  // The instance

  #noticed(notice: Notice): void {
    const { now } = this.#world;
    const { checkMs } = this.settings;
    const noticeMs = this.#world.flaw === 'slow-watchdog' ? 50 * NOTICE_MS : NOTICE_MS;
    const at = notice === 'at once' ? now + noticeMs : (Math.floor(now / checkMs) + 1) * checkMs;
    this.#act(() => {
      this.#checkAt = Math.min(this.#checkAt, at);
    });
  }

  #look(): void {
    const before = this.#attributes;
    const seen = this.instance.attributes(before.version);
    const changed = attributesDiffer(before, seen);
    this.#take(changed ? { ...seen, version: before.version + 1 } : seen);
    if (!changed) return;
    if (seen.state === 'down') this.#losses.instanceDown();
    for (const link of [...this.#links]) this.#step(link, { type: 'changed', telling: this.#telling });
  }

  #take(attributes: InstanceAttributes): void {
    this.#attributes = attributes;
    this.#encoded = encodeHeartbeat(encodeAttributes(attributes));
    this.#telling = { serial: this.#telling.serial + 1, version: attributes.version };
  }

  // Links

  #otherLink(address: string): boolean {
    return [...this.#links].some((link) => link.address === address && isLive(link.state, this.#world.now));
  }

  #accept(end: TcpEnd, from: string) {
    const link: SimLink = {
      address: this.#world.addressOf(from),
      end,
      state: newSession(this.#world.now),
      disputed: false,
      watched: new WatchedSessions(),
    };
    const reader = new FrameReader();
    reader.setLimit(FRAME_LIMITS.beforeWelcome);
    this.#act(() => {
      // Whom the kernel had taken before the port was closed, it resets.
      if (this.#stopping) end.end();
      else this.#links.add(link);
    });
    const read = (bytes: Buffer) => {
      try {
        for (const frame of reader.push(bytes)) {
          this.#step(link, { type: 'received', message: decodeHeartbeat(frame) });
          reader.setLimit(agreedFrameLimit(FRAME_LIMITS.max));
          if (!this.#links.has(link)) return;
        }
      } catch (error) {
        if (!(error instanceof ProtocolViolation)) throw error;
        this.#step(link, { type: 'violated', text: error.message });
        if (this.#world.flaw === 'contagious-garbage')
          for (const one of [...this.#links]) this.#departed(one, 'timeout');
      }
    };
    return {
      data: (bytes: Buffer) => this.#act(() => read(bytes)),
      closed: (text: string) => this.#act(() => this.#step(link, { type: 'closed', text })),
    };
  }

  #step(link: SimLink, event: SessionEvent): void {
    if (!this.#links.has(link)) return;
    const { state, effects } = stepSession(link.state, event, this.#world.now);
    link.state = state;
    for (const effect of effects) this.#carryOut(link, effect);
    if (link.state.phase === 'ended') this.#links.delete(link);
    const { caller, beats } = link.state.data;
    if (caller !== undefined && link.state.phase === 'up') this.#losses.remember(link, caller, beats);
  }

  #carryOut(link: SimLink, effect: SessionEffect): void {
    switch (effect.do) {
      case 'send':
        link.end.send(encodeHeartbeat(effect.message));
        return;
      case 'sendAttributes':
        link.end.send(this.#encoded);
        return;
      case 'judge':
        this.#judge(link, effect.hello);
        return;
      case 'end':
        link.end.end();
        return;
      case 'destroy':
        link.end.destroy();
        return;
      case 'reportUp':
        this.#losses.linkUp(link);
        return;
      case 'reportGone':
        this.#departed(link, effect.departure);
        return;
      case 'reportRefused':
        this.#note(`refuses the link of ${link.address}: ${effect.text}`);
        return;
      case 'reportStray':
        this.#note(`closes ${link.address}: ${effect.text}`);
        return;
      case 'reportDoubt':
        this.#note(`was late by ${effect.lateMs} ms; ${this.#labelOf(link)} is given that time`);
        return;
      case 'reportSessions':
        link.watched.apply(effect.message);
        return;
      case 'reportRetimed':
        return;
    }
  }

  #judge(link: SimLink, hello: HeartbeatMessageOf<'hello'>): void {
    const namesakes = [...this.#links].filter(
      (one) => one !== link && one.state.phase === 'up' && one.state.data.caller?.conmgrId === hello.conmgrId,
    );
    const admission = judgeHello(
      hello,
      link.address,
      namesakes.map((key) => ({ key, address: key.address })),
      {
        stopping: this.#stopping,
        links: [...this.#links].filter((one) => one.state.phase === 'up').length,
        maxLinks: this.settings.maxLinks,
        systemIdentifier: this.#attributes.systemIdentifier,
      },
    );
    if (!admission.admit) {
      for (const disputed of admission.disputes) disputed.disputed = true;
      const { code, retryAfterMs, text } = admission;
      this.#step(link, { type: 'refused', code, retryAfterMs, text });
      return;
    }
    const priorBeats = Math.max(
      this.#losses.priorBeats(hello.conmgrId, link.address),
      ...admission.replaces.map((old) => old.state.data.beats),
    );
    link.watched = new WatchedSessions(
      admission.replaces.at(-1)?.watched ?? this.#losses.priorWatched(hello.conmgrId, link.address),
    );
    for (const old of admission.replaces) this.#step(old, { type: 'replaced', text: 'by a new one' });
    this.#step(link, {
      type: 'admitted',
      welcome: {
        name: 'welcome',
        version: admission.version,
        intervalMs: hello.intervalMs,
        timeoutMs: hello.timeoutMs,
        restartGraceMs: this.settings.graceMs,
        bootId: this.#boots.toString(16).padStart(32, '0'),
        systemIdentifier: this.#attributes.systemIdentifier,
        maxFrame: FRAME_LIMITS.max,
        software: 'conmgr-watchdog',
      },
      telling: this.#telling,
      priorBeats,
    });
    if (this.settings.terminateScope === 'monitored') this.#step(link, { type: 'want', wanted: true });
  }

  #departed(link: SimLink, departure: Departure): void {
    this.#note(`link of ${this.#labelOf(link)} is gone: ${departure}`);
    this.#losses.lost(link, departure);
  }

  #labelOf(link: SimLink): string {
    return link.state.data.caller?.label ?? link.address;
  }

  #note(text: string): void {
    this.#world.note(`watchdog ${this.instance.name}`, text);
  }
}
