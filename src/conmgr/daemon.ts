/**
 * A running conmgr: hands everything that happens to ConmgrCore and carries out what it decides.
 *
 * One timer serves all deadlines. When it fires, the decision waits for one more turn of the event
 * loop, so that what lies unread in the sockets is read before anybody is declared dead.
 */

import { connectionsLeft } from '../core/config/descriptors.js';
import type { ConmgrConfig } from '../core/config/types.js';
import { ConmgrCore } from '../core/conmgr/core.js';
import type { ConmgrEffect } from '../core/conmgr/effects.js';
import { destinationOf } from '../core/conmgr/kernel-wishes.js';
import { kernelWatched, takeSeen } from '../core/conmgr/seen-sessions.js';
import type { ReloadReport, StatusReport, StopMode } from '../core/control/protocol.js';
import type { LinkIdentity } from '../core/link/link.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Clock, TimerHandle, WallMs } from '../core/time.js';
import { NEVER } from '../core/time.js';
import { reached } from '../io/hand-over-steps.js';
import type { NamedDescriptor } from '../io/handed-descriptors.js';
import { certificateStatus } from '../io/link-protection.js';
import type { LinkSecurity } from '../io/link-security.js';
import type { Logger } from '../io/log/logger.js';
import type { Notifier } from '../io/notify.js';
import type { StatusPort } from '../io/status-port.js';
import type { UnixRights } from '../io/unix-rights.js';
import { AppListeners } from './app-listeners.js';
import { AppPort } from './app-port.js';
import { Gateway } from './gateway.js';
import { HandingOver } from './handing-over.js';
import { Kernel } from './kernel.js';
import { Links } from './links.js';
import { ManagerStatus } from './manager-status.js';
import { ManagerWatchdog } from './manager-watchdog.js';
import { PeerProcesses } from './peers.js';
import { Reloads } from './reloads.js';
import { statusReport } from './status.js';
import { conmgrPicture } from './status-picture.js';
import { type Heir, type Inheritance, takeOver } from './succession.js';

/** How long a fast stop waits for applications to take their goodbye. */
const DRAIN_TIMEOUT_MS = 2000;
/** What ends a daemon; the end of the host is not ordered, but announced by the service manager. */
export type DaemonStop = StopMode | 'hostShutdown';

export interface DaemonOptions {
  readonly directory: string;
  readonly config: ConmgrConfig;
  readonly identity: LinkIdentity;
  readonly security: LinkSecurity;
  readonly clock: Clock;
  readonly log: Logger;
  readonly notifier: Notifier;
  readonly statusPort: StatusPort;
  /** RLIMIT_NOFILE of this process. */
  readonly descriptorLimit: number;
  readonly openDescriptors: () => number;
  /** Where conmgr-helper listens. */
  readonly helperSocket: string;
  /** Passes descriptors to a successor; undefined where that cannot be. */
  readonly rights: UnixRights | undefined;
  /** Called once, when an end begins that is none of a restart. */
  readonly stopping: () => void;
  /** Called once, when everything is over. */
  readonly exit: (status: number) => void;
  /** Called instead when a successor has everything: ends the process at once, and takes nothing back. */
  readonly leave: () => void;
}

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #core: ConmgrCore;
  readonly #links: Links;
  readonly #port: AppPort;
  readonly #gateway: Gateway;
  readonly #kernel: Kernel;
  readonly #peers: PeerProcesses;
  readonly #reloads: Reloads;
  readonly #handing: HandingOver;
  readonly #managerStatus: ManagerStatus;
  readonly #managerWatchdog: ManagerWatchdog;
  readonly #startedAt: WallMs;
  readonly #watchers = new Set<() => void>();
  #listeners: AppListeners | undefined;
  /** Open before the first link and the first application. */
  #ownDescriptors = 0;
  /** Of the core, as the kernel was made last. */
  #kernelRevision = -1;
  #timer: TimerHandle | undefined;
  #timerAt = NEVER;
  #reportDue = false;
  #saidStopping = false;
  /** The service manager starts the next process at once. */
  #restarts = false;
  #ended = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#startedAt = options.clock.wallMs();
    this.#core = new ConmgrCore(options.config, { identity: options.identity, random: Math.random });
    this.#links = new Links(
      {
        link: (instance, event) => this.#run(this.#core.link(instance, event, this.#now())),
        probed: (instance, answered, text) =>
          this.#run(this.#core.probed(instance, answered, text, this.#now())),
      },
      options.security,
    );
    this.#gateway = new Gateway({
      descriptorLimit: options.descriptorLimit,
      hasRoom: () => this.#port.hasRoom(),
      connectTimeoutMs: () => this.#core.config.heartbeatConnectTimeoutMs,
      events: {
        forward: (session, target, app) => this.#run(this.#core.forward(session, target, app, this.#now())),
        introduced: (session, app, target) =>
          this.#run(this.#core.introduced(session, app, target, this.#now())),
        routeFailed: (session, instance, text) =>
          this.#run(this.#core.routeFailed(session, instance, text, this.#now())),
        bound: (session, instance, address, port) =>
          this.#run(this.#core.bound(session, instance, address, port)),
        backend: (session, pid) => this.#run(this.#core.backend(session, pid)),
        closed: (session) => this.#run(this.#core.closed(session, this.#now())),
      },
    });
    this.#port = new AppPort({
      clock: options.clock,
      gateway: this.#gateway,
      console: {
        software: options.identity.software,
        facts: async () => ({ status: await this.status(), config: this.#core.config }),
      },
      allowed: () => ({
        connections: connectionsLeft(
          options.descriptorLimit,
          this.#ownDescriptors,
          this.#core.config.instances.length,
          this.#core.config.statusPort,
        ),
        limit: options.descriptorLimit,
      }),
      silentAfterMs: () => this.#core.config.heartbeatTimeoutMs,
      events: {
        asked: (session, ask) => this.#run(this.#core.ask(session, ask, this.#now())),
        bound: (session, { instance, address, port }) =>
          this.#run(this.#core.bound(session, instance, address, port)),
        backend: (session, { pid }) => this.#run(this.#core.backend(session, pid)),
        closed: (session) => this.#run(this.#core.closed(session, this.#now())),
        report: (message, params) => options.log.write(CONMGR_MESSAGES[message], params),
      },
    });
    this.#kernel = new Kernel({
      config: () => this.#core.config,
      wishes: () => this.#core.kernelWishes(),
      places: () => this.#core.instances.flatMap(destinationOf),
      watched: () => kernelWatched(this.#core.config, this.#core.instances),
      seen: (instance, ends) => {
        takeSeen(this.#core, instance, ends);
        this.#arm();
      },
      path: options.helperSocket,
      clock: options.clock,
      log: options.log,
      changed: () => this.#changed(),
    });
    this.#peers = new PeerProcesses((session) => this.#port.connection(session), options.clock);
    this.#reloads = new Reloads({
      ...options,
      core: this.#core,
      links: this.#links,
      run: (effects) => this.#run(effects),
      statusText: () => this.#managerStatus.text,
      reloaded: () => this.#managerWatchdog.adjust(),
      changed: () => this.#changed(),
    });
    this.#handing = new HandingOver({
      ...options,
      core: this.#core,
      port: this.#port,
      gateway: this.#gateway,
    });
    this.#managerStatus = new ManagerStatus({
      notifier: options.notifier,
      clock: options.clock,
      core: this.#core,
      reloadRefused: () => (this.#reloads.last?.problems.length ?? 0) > 0,
    });
    this.#managerWatchdog = new ManagerWatchdog({
      notifier: options.notifier,
      clock: options.clock,
      log: options.log,
      times: () => this.#core.config,
      ended: () => this.#ended,
    });
  }

  /**
   * Binds the ports and begins to set up the links; goes on with what a predecessor has left. Rejects with MessageError
   * when it cannot listen, or not guard.
   */
  async start(inheritance?: Inheritance): Promise<void> {
    await this.#kernel.start();
    const { document, sockets = [] } = inheritance ?? {};
    reached('adopting');
    if (document !== undefined)
      this.#run(takeOver(document, sockets, this.#core, this.#port, this.#options.log, this.#now()));
    reached('adopted');
    this.#listeners = await AppListeners.open(
      this.#options.config,
      () => this.#core.config,
      this.#options.log,
      (socket, rule) => this.#port.accept(socket, rule),
      inheritance?.listeners,
    );
    reached('listening');
    await this.#options.statusPort.open(async (events) => conmgrPicture(await this.status(), events));
    this.#ownDescriptors = this.#options.openDescriptors() - this.#port.open - this.#gateway.servers;
    if (document === undefined) this.#run(this.#core.start(this.#now()));
  }

  /** Tells the service manager that applications can connect, and from then on that it is alive. */
  ready(): void {
    this.#options.notifier.ready(this.#managerStatus.text);
    this.#managerWatchdog.start();
  }

  /** The whole truth at this moment. */
  async status(): Promise<StatusReport> {
    const { clock, directory, identity, descriptorLimit, openDescriptors } = this.#options;
    const [peers, kernel] = await Promise.all([
      this.#peers.look([...this.#core.sessions.all()].map((session) => session.id)),
      this.#kernel.status(),
    ]);
    const report = statusReport(
      this.#core,
      {
        software: identity.software,
        pid: process.pid,
        directory,
        startedAt: this.#startedAt,
        port: this.#options.config.port,
        listenAddresses: this.#listeners?.addresses ?? [],
        lastReload: this.#reloads.last,
        descriptors: { limit: descriptorLimit, open: openDescriptors() },
        protectionOf: (instance) => this.#links.protectionOf(instance),
        ...certificateStatus(this.#links.security),
      },
      peers,
      (session) => this.#gateway.traffic(session),
      clock.monotonicMs(),
      clock.wallMs(),
    );
    return kernel === undefined ? report : { ...report, kernel };
  }

  get core(): ConmgrCore {
    return this.#core;
  }

  /** Calls `fn` after every change that status would show, at most once a turn of the event loop. */
  onChange(fn: () => void): () => void {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  /** `request`: what is logged as asked for. What comes when the end has begun already changes nothing, but for an
   *  immediate one; a hand-over gives way to every other than a smart one. */
  stop(mode: DaemonStop, request: string): void {
    const isHandingOver = this.#handing.begun;
    // A smart one waits for sessions, and those are the successor's in a moment.
    const isHeeded = mode === 'immediate' || !this.#core.ending || (isHandingOver && mode !== 'smart');
    if (this.#ended || !isHeeded) return;
    this.#handing.giveUp();
    this.#options.log.write(CONMGR_MESSAGES.stopping, { request });
    this.#restarts = mode === 'restart';
    if (mode === 'immediate') {
      this.#sayStopping();
      this.#end(0);
      return;
    }
    if (mode !== 'smart') {
      this.#sayStopping();
      void this.#listeners?.close();
    }
    this.#run(this.#core.stop(mode, this.#now()));
    this.#kernel.update();
  }

  /** The sockets that listen for applications, by the names under which they are handed over. */
  get listening(): readonly NamedDescriptor[] {
    return this.#listeners?.descriptors ?? [];
  }

  /** Somebody is taking over. */
  get handingOver(): boolean {
    return this.#handing.begun;
  }

  /**
   * Hands everything to `heir` once the watchdogs have been told, and ends; goes on when he does not take it. Yields ''
   * when that has begun, otherwise why it cannot be.
   */
  handOver(heir: Heir): string {
    if (this.#ended || this.#core.stopping || this.#core.ending) return 'conmgr is shutting down';
    const reason = this.#handing.begin(heir, this.listening);
    if (reason !== '') return reason;
    reached('asked');
    this.#options.log.write(CONMGR_MESSAGES.stopping, { request: 'restart' });
    void this.#listeners?.close();
    this.#run(this.#core.stop('handOver', this.#now()));
    return '';
  }

  /** The last act. */
  #handOver(): void {
    if (!this.#handing.begun || this.#ended) return;
    reached('watchdogs told');
    const listeners = this.#handing.finish(this.#now());
    if (listeners === undefined) {
      this.#options.leave();
      return;
    }
    this.#port.thaw();
    // Those that it had, and no others: an address that was missing at the start may be somebody else's now.
    this.#listeners = AppListeners.again(
      this.#options.config,
      () => this.#core.config,
      (socket, rule) => this.#port.accept(socket, rule),
      listeners,
    );
    this.#run(this.#core.resume(this.#now()));
  }

  /**
   * Reads conmgr.conf again; on any error the running configuration stays. One reload at a time, but each reads the
   * file after it was asked for.
   */
  reload(forgetCluster: boolean): Promise<ReloadReport> {
    return this.#reloads.ask(forgetCluster);
  }

  /** What keeps the next process of the service manager from starting with the configuration as it is in the file now. */
  configurationProblems(): Promise<readonly string[]> {
    return this.#reloads.problems();
  }

  resolveConflict(instance: number): boolean {
    const { found, effects } = this.#core.resolveConflict(instance, this.#now());
    this.#run(effects);
    return found;
  }

  // Effects

  #now(): number {
    return this.#options.clock.monotonicMs();
  }

  #run(effects: readonly ConmgrEffect[]): void {
    for (const effect of effects) this.#carryOut(effect);
    this.#arm();
  }

  #carryOut(effect: ConmgrEffect): void {
    switch (effect.do) {
      case 'tell':
        this.#port.tell(effect.sessions, effect.messages, effect.close);
        break;
      case 'refuse':
        if (!this.#gateway.refuse(effect.session, effect.error))
          this.#port.refuse(effect.session, effect.error);
        break;
      case 'route':
        this.#gateway.route(effect.session, effect.place);
        break;
      case 'hold':
        this.#gateway.hold(effect.session);
        break;
      case 'reset':
        this.#port.reset(effect.sessions);
        break;
      case 'resolve':
      case 'connect':
      case 'probe':
        this.#reach(effect);
        break;
      case 'send':
        this.#links.send(effect.instance, effect.message);
        break;
      case 'disconnect':
        this.#links.disconnect(effect.instance);
        break;
      case 'forget':
        this.#links.forget(effect.instance);
        break;
      case 'log':
        this.#options.log.write(CONMGR_MESSAGES[effect.message], effect.params);
        break;
      case 'changed':
        if (this.#core.revision !== this.#kernelRevision) {
          this.#kernelRevision = this.#core.revision;
          this.#kernel.update();
        }
        this.#changed();
        break;
      case 'exit':
        if (!this.#handing.begun) void this.#finish();
        // With nothing half done on the way here.
        else setImmediate(() => this.#handOver());
        break;
    }
  }

  #reach(effect: Extract<ConmgrEffect, { do: 'resolve' | 'connect' | 'probe' }>): void {
    const instance = this.#core.instances.find((one) => one.number === effect.instance);
    if (instance === undefined) return;
    if (effect.do === 'resolve') this.#links.resolve(instance.config);
    else if (effect.do === 'connect') this.#links.connect(instance.config, effect.address);
    else {
      const host = instance.address === '' ? instance.host : instance.address;
      this.#links.probe(
        { number: instance.number, host, backendPort: instance.config.backendPort },
        effect.timeoutMs,
      );
    }
  }

  #arm(): void {
    const at = this.#core.wakeAt();
    if (at === this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    if (at === NEVER || this.#ended) return;
    this.#timer = this.#options.clock.setTimer(at - this.#now(), () => {
      setImmediate(() => {
        this.#timerAt = NEVER;
        if (!this.#ended) this.#run(this.#core.wake(this.#now()));
      });
    });
  }

  #changed(): void {
    if (this.#reportDue) return;
    this.#reportDue = true;
    setImmediate(() => {
      this.#reportDue = false;
      for (const watcher of this.#watchers) watcher();
      this.#managerStatus.changed();
    });
  }

  /** Not while a smart stop waits: from this word on the service manager gives the process TimeoutStopSec=. */
  #sayStopping(): void {
    if (this.#saidStopping) return;
    this.#saidStopping = true;
    this.#managerStatus.stop();
    if (!this.#restarts) this.#options.stopping();
    this.#options.notifier.stopping('shutting down');
  }

  async #finish(): Promise<void> {
    if (this.#ended) return;
    this.#sayStopping();
    this.#ended = true;
    this.#timer?.cancel();
    this.#kernel.close();
    this.#options.statusPort.close();
    await this.#listeners?.close();
    await this.#port.drain(DRAIN_TIMEOUT_MS);
    this.#links.close();
    this.#options.log.write(CONMGR_MESSAGES.stopped);
    this.#options.exit(0);
  }

  #end(status: number): void {
    this.#ended = true;
    this.#options.exit(status);
  }
}
