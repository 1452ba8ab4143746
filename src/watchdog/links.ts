/** All heartbeat links of the watchdog: accepts them, tells them apart, tells them what the instance is. */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { cidrContains, normaliseIp, parseIp } from '../core/config/address.js';
import type { Cidr } from '../core/config/types.js';
import type { Log } from '../core/messages/message.js';
import { TERMINATOR_MESSAGES } from '../core/messages/terminator.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import type { InstanceAttributes } from '../core/protocol/attributes.js';
import { encodeAttributes, encodeHeartbeat } from '../core/protocol/codec.js';
import { FRAME_LIMITS, type GoodbyeReason, type HeartbeatMessageOf } from '../core/protocol/messages.js';
import { judgeHello, REFUSAL_RETRY_MS } from '../core/session/admission.js';
import { type Departure, reject, type Telling } from '../core/session/session.js';
import { SessionStore } from '../core/session/session-store.js';
import { DEPARTURE_VERDICTS } from '../core/terminator/verdict.js';
import { MOST_WATCHED, WatchedSessions } from '../core/terminator/watched.js';
import type { Clock } from '../core/time.js';
import type { GateSecurity } from '../io/link-security.js';
import { FramedSocket } from '../io/tcp-frames.js';
import { denyAccess } from '../io/tls-denial.js';
import { TlsGate } from '../io/tls-gate.js';
import { Deadlines } from './deadlines.js';
import { Link, type LinkOwner, NOTHING_WATCHED, peerText, type ReportEffect } from './link.js';
import { LinkIndex } from './link-index.js';
import { type Stranger, Strangers } from './strangers.js';

/** To a peer that speaks without TLS. */
const NEEDED = {
  secret: 'links need the secret of watchdog.secret_file; set heartbeat_secret_file in conmgr.conf',
  certificate:
    'links need a certificate, as watchdog.ssl is on; set heartbeat_sslmode and the files of its certificate in conmgr.conf',
} as const satisfies Readonly<Record<GateSecurity['kind'], string>>;
/** Links told of a change in one go; between two goes packets flow. */
const SLICE = 200;
const GOLDEN_RATIO = 0.618_033_988_75;

export interface LinksOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly software: string;
  readonly bootId: string;
  readonly maxLinks: () => number;
  /** Connections at a time that are no links. */
  readonly maxStrangers: () => number;
  readonly restartGraceMs: () => number;
  /** undefined: everybody may connect. */
  readonly allowedClients: () => readonly Cidr[] | undefined;
  /** Called after a link came up; returns BEATs of the same conmgr's link before. */
  readonly onUp: (link: Link) => void;
  readonly priorBeats: (conmgrId: string, address: string) => number;
  /** Only sessions that a conmgr reports are ended with its link (watchdog.terminate_scope). */
  readonly monitored: () => boolean;
  /** What the lost link of a conmgr had reported. */
  readonly priorWatched: (conmgrId: string, address: string) => WatchedSessions | undefined;
  /** A link that was up has gone. */
  readonly onGone: (link: Link, departure: Departure, text: string) => void;
  /** What is remembered over a restart, or shown, has changed. */
  readonly onChange: () => void;
}

export class Links {
  readonly #options: LinksOptions;
  readonly #owner: LinkOwner;
  readonly #strangers: Strangers<Link | Stranger>;
  readonly #up = new Set<Link>();
  readonly #byConmgr = new LinkIndex();
  readonly #byAddress = new LinkIndex();
  readonly #leaving = new Set<Link>();
  /** Where in an interval the link before this one beats. */
  #spread = 0;
  #attributes: InstanceAttributes;
  #encoded: Buffer = Buffer.alloc(0);
  #telling: Telling = { serial: 0, version: 0 };
  /** Undefined where links are not protected. */
  #gate: TlsGate | undefined;
  #stopping: { readonly text: string } | undefined;
  #onAllLeft: () => void = () => {};

  constructor(options: LinksOptions, attributes: InstanceAttributes) {
    this.#options = options;
    this.#attributes = attributes;
    this.#strangers = new Strangers(options.maxStrangers, ({ peer }) =>
      options.log.write(WATCHDOG_MESSAGES.halfOpenDropped, { peer }),
    );
    this.#owner = {
      clock: options.clock,
      deadlines: new Deadlines(options.clock),
      store: new SessionStore(),
      telling: () => this.#telling,
      attributes: () => this.#encoded,
      report: (link, effect) => this.#report(link, effect),
      proven: () => options.onChange(),
      closed: (link) => this.#closed(link),
    };
    this.#take(attributes);
  }

  /** Links that are up. */
  get up(): ReadonlySet<Link> {
    return this.#up;
  }

  /** Whether a conmgr is connected from an address and has sent a packet within its own time-out. */
  isAlive(address: string): boolean {
    const now = this.#options.clock.monotonicMs();
    return this.#byAddress.of(address).some((link) => link.isLive(now));
  }

  /** Tells which sessions each conmgr that is alive at the address has reported; without one of them. */
  watchedAt(address: string, otherThan: string): ReturnType<WatchedSessions['recogniser']>[] {
    const now = this.#options.clock.monotonicMs();
    return this.#byAddress
      .of(address)
      .filter((link) => link.isLive(now) && link.caller?.conmgrId !== otherThan)
      .map((link) => link.watched.recogniser(address));
  }

  isAllowed(address: string): boolean {
    const ranges = this.#options.allowedClients();
    if (ranges === undefined) return true;
    const ip = parseIp(address);
    return ip !== undefined && ranges.some((range) => cidrContains(range, ip));
  }

  accept(socket: Socket): void {
    const address = normaliseIp(socket.remoteAddress ?? '');
    if (!this.isAllowed(address)) {
      const text = `${address} is not in watchdog.allowed_clients`;
      if (this.#gate === undefined) this.#turnAway(socket, address, text);
      else this.#deny(socket, address, text);
      return;
    }
    if (this.#gate === undefined) this.#strangers.arrived(new Link(socket, this.#owner));
    else this.#shakeHands(this.#gate, socket, address);
  }

  /**
   * What links need from now on; undefined: nothing. Links that are up stay: those that have proven a secret or a
   * certificate did so when it was good, and the end of one that has not ends no session.
   */
  protect(security: GateSecurity | undefined): void {
    this.#gate?.close();
    this.#gate = security === undefined ? undefined : new TlsGate(security);
  }

  /** The end of a link that has proven nothing ends no session. */
  get isProtected(): boolean {
    return this.#gate !== undefined;
  }

  /** New attributes; a change goes to all links at once, positions go with each link's next BEAT. */
  tell(attributes: InstanceAttributes, changed: boolean): void {
    this.#take(attributes);
    if (changed) this.#broadcast([...this.#up]);
  }

  /** Says goodbye to everybody; resolves when all have read it or their time is up. */
  stop(reason: GoodbyeReason, text: string): Promise<void> {
    const retryAfterMs = reason === 'restart' ? this.#options.restartGraceMs() : 0;
    this.#stopping = { text };
    const event = { type: 'stop', reason, retryAfterMs, text } as const;
    for (const link of this.#up) this.#leaving.add(link);
    this.#gate?.close();
    const waiting = this.#strangers.waiting.filter((stranger): stranger is Link => stranger instanceof Link);
    for (const link of [...waiting, ...this.#up]) link.step(event);
    return new Promise((resolve) => {
      this.#onAllLeft = resolve;
      if (this.#leaving.size === 0) resolve();
    });
  }

  /** The scope of the terminator has changed: who is asked for its sessions, or no longer, hears of it. */
  scopeChanged(): void {
    const wanted = this.#options.monitored();
    for (const link of this.#up) {
      if (!wanted) link.watched = NOTHING_WATCHED;
      link.step({ type: 'want', wanted });
    }
  }

  #take(attributes: InstanceAttributes): void {
    this.#attributes = attributes;
    this.#encoded = encodeHeartbeat(encodeAttributes(attributes));
    this.#telling = { serial: this.#telling.serial + 1, version: attributes.version };
  }

  #broadcast(links: readonly Link[]): void {
    const telling = this.#telling;
    for (const link of links.slice(0, SLICE)) {
      if (link.data.told.serial < telling.serial) link.step({ type: 'changed', telling: this.#telling });
    }
    if (links.length > SLICE) setImmediate(() => this.#broadcast(links.slice(SLICE)));
  }

  /** Before the handshake a connection counts as one that has not said HELLO; behind it the link does. */
  #shakeHands(gate: TlsGate, socket: Socket, address: string): void {
    const peer = peerText(address, socket.remotePort ?? 0);
    const stranger = { address, peer, destroy: () => socket.destroy() };
    gate.accept(socket, {
      secured: (secured, raw) => {
        this.#strangers.gone(stranger);
        this.#strangers.arrived(new Link(secured, this.#owner, { raw, protection: gate.kind }));
      },
      unproven: (reason, secured, raw) => {
        this.#strangers.gone(stranger);
        this.#turnAway(secured, address, `this conmgr ${reason}`, raw);
      },
      plain: () => {
        this.#strangers.gone(stranger);
        this.#turnAway(socket, address, NEEDED[gate.kind]);
        socket.resume();
      },
      failed: (reason) => {
        this.#strangers.gone(stranger);
        if (reason !== '') this.#options.log.write(WATCHDOG_MESSAGES.linkNotSecured, { peer, reason });
      },
    });
    this.#strangers.arrived(stranger);
  }

  /** As #turnAway, where those that may connect speak TLS: it hears it in its own language, whichever that is. */
  #deny(socket: Socket, address: string, text: string): void {
    const stranger = { address, peer: address, destroy: () => socket.destroy() };
    denyAccess(socket, {
      plain: () => {
        this.#strangers.gone(stranger);
        this.#turnAway(socket, address, text);
        socket.resume();
      },
      denied: () => this.#options.log.write(WATCHDOG_MESSAGES.linkRefused, { peer: address, reason: text }),
      closed: () => this.#strangers.gone(stranger),
    });
    this.#strangers.lingers(stranger);
  }

  /** Who may not connect is told so and takes no place among those that wait to say HELLO. `raw`: below one of TLS. */
  #turnAway(socket: Socket, address: string, text: string, raw: Socket = socket): void {
    const framed = new FramedSocket(
      socket,
      {
        message: () => {},
        violated: () => {},
        closed: () => this.#strangers.gone(stranger),
      },
      raw,
    );
    const stranger = { address, peer: address, destroy: () => framed.destroy() };
    framed.send(reject('notAllowed', REFUSAL_RETRY_MS, text));
    framed.end();
    this.#strangers.lingers(stranger);
    this.#options.log.write(WATCHDOG_MESSAGES.linkRefused, { peer: address, reason: text });
  }

  #report(link: Link, effect: ReportEffect): void {
    const { log } = this.#options;
    const names = { peer: link.peer, label: link.label };
    switch (effect.do) {
      case 'judge':
        this.#judge(link, effect.hello);
        return;
      case 'reportUp': {
        const { intervalMs, timeoutMs, caller } = link.data;
        const software = caller?.software === '' ? 'unknown software' : caller?.software;
        log.write(WATCHDOG_MESSAGES.linkUp, { ...names, intervalMs, timeoutMs, software });
        this.#options.onUp(link);
        this.#options.onChange();
        return;
      }
      case 'reportSessions':
        this.#reported(link, effect.message);
        return;
      case 'reportRefused':
        this.#strangers.lingers(link);
        log.write(WATCHDOG_MESSAGES.linkRefused, { peer: link.peer, reason: effect.text });
        return;
      case 'reportStray':
        log.write(WATCHDOG_MESSAGES.stray, { peer: link.peer, reason: effect.text });
        return;
      case 'reportGone': {
        this.#forget(link);
        this.#strangers.lingers(link);
        const { words } = DEPARTURE_VERDICTS[effect.departure];
        const { text: reason } = effect;
        const more = reason === '' ? '' : `: ${reason}`;
        log.write(WATCHDOG_MESSAGES.linkGone, { ...names, words, reason, more });
        this.#options.onGone(link, effect.departure, effect.text);
        this.#options.onChange();
        return;
      }
      case 'reportRetimed': {
        const { intervalMs, timeoutMs } = link.data;
        log.write(WATCHDOG_MESSAGES.linkRetimed, { ...names, intervalMs, timeoutMs });
        this.#options.onChange();
        return;
      }
      case 'reportDoubt':
        log.write(WATCHDOG_MESSAGES.linkDoubt, { ...names, lateMs: effect.lateMs });
        return;
    }
  }

  #judge(link: Link, hello: HeartbeatMessageOf<'hello'>): void {
    this.#strangers.spoke(link);
    const namesakes = this.#byConmgr.of(hello.conmgrId);
    const admission = judgeHello(
      hello,
      link.address,
      namesakes.map((key) => ({ key, address: key.address })),
      {
        stopping: this.#stopping !== undefined,
        links: this.#up.size,
        maxLinks: this.#options.maxLinks(),
        systemIdentifier: this.#attributes.systemIdentifier,
      },
    );
    if (!admission.admit) {
      for (const disputed of admission.disputes) disputed.disputed = true;
      const { code, retryAfterMs, text } = admission;
      link.step({ type: 'refused', code, retryAfterMs, text });
      return;
    }
    const priorBeats = Math.max(
      this.#options.priorBeats(hello.conmgrId, link.address),
      ...admission.replaces.map((old) => old.data.beats),
    );
    const before =
      admission.replaces.at(-1)?.watched ?? this.#options.priorWatched(hello.conmgrId, link.address);
    link.watched = before?.told === true ? new WatchedSessions(before) : NOTHING_WATCHED;
    for (const old of admission.replaces) old.step({ type: 'replaced', text: `it comes from ${link.peer}` });
    this.#remember(link, hello);
    link.step({
      type: 'admitted',
      welcome: this.#welcome(hello, admission.version),
      telling: this.#telling,
      priorBeats,
      spread: this.#nextSpread(),
    });
    if (this.#options.monitored()) link.step({ type: 'want', wanted: true });
  }

  /** Multiples of the golden ratio fill an interval evenly, however many there are (Knuth, TAOCP 3, 6.4). */
  #nextSpread(): number {
    this.#spread = (this.#spread + GOLDEN_RATIO) % 1;
    return this.#spread;
  }

  /** What was not asked for is not kept. */
  #reported(link: Link, message: HeartbeatMessageOf<'sessions'>): void {
    if (!this.#options.monitored()) return;
    const { log } = this.#options;
    const names = { peer: link.address, label: link.label };
    link.hasReported = true;
    if (link.watched === NOTHING_WATCHED) link.watched = new WatchedSessions();
    const news = link.watched.apply(message);
    if (news === 'begun') log.write(TERMINATOR_MESSAGES.sessionsReported, names);
    if (news === 'full') log.write(TERMINATOR_MESSAGES.tooManyReported, { ...names, limit: MOST_WATCHED });
    this.#options.onChange();
  }

  #welcome(hello: HeartbeatMessageOf<'hello'>, version: number): HeartbeatMessageOf<'welcome'> {
    return {
      name: 'welcome',
      version,
      intervalMs: hello.intervalMs,
      timeoutMs: hello.timeoutMs,
      restartGraceMs: this.#options.restartGraceMs(),
      bootId: this.#options.bootId,
      systemIdentifier: this.#attributes.systemIdentifier,
      maxFrame: FRAME_LIMITS.max,
      software: this.#options.software,
    };
  }

  #remember(link: Link, { conmgrId }: HeartbeatMessageOf<'hello'>): void {
    this.#up.add(link);
    this.#byConmgr.add(conmgrId, link);
    this.#byAddress.add(link.address, link);
  }

  #forget(link: Link): void {
    if (!this.#up.delete(link)) return;
    this.#byConmgr.remove(link.caller?.conmgrId ?? '', link);
    this.#byAddress.remove(link.address, link);
  }

  #closed(link: Link): void {
    this.#strangers.gone(link);
    this.#forget(link);
    if (this.#leaving.delete(link) && this.#leaving.size === 0) this.#onAllLeft();
  }
}
