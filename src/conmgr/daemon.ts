/**
 * A running conmgr: hands everything that happens to ConmgrCore and carries out what it decides.
 *
 * One timer serves all deadlines. When it fires, the decision waits for one more turn of the event
 * loop, so that what lies unread in the sockets is read before anybody is declared dead.
 */

import { isDeepStrictEqual } from 'node:util';
import { connectionsLeft } from '../core/config/descriptors.js';
import { formatProblem } from '../core/config/problem.js';
import { diffConmgrConfig, resolveConmgrConfig } from '../core/config/resolve.js';
import type { ConmgrConfig } from '../core/config/types.js';
import { ConmgrCore } from '../core/conmgr/core.js';
import type { ConmgrEffect } from '../core/conmgr/effects.js';
import { destinationOf } from '../core/conmgr/kernel-wishes.js';
import { kernelWatched, takeSeen } from '../core/conmgr/seen-sessions.js';
import type { ReloadReport, StatusReport, StopMode } from '../core/control/protocol.js';
import type { LinkIdentity } from '../core/link/link.js';
import { CONFIG_MESSAGES } from '../core/messages/config.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import type { Clock, TimerHandle, WallMs } from '../core/time.js';
import { NEVER } from '../core/time.js';
import { CONFIG_FILE, readConfigFile, writableByAll } from '../io/conmgr-directory.js';
import { readLinkSecurity, SECRET_NAME } from '../io/link-secret.js';
import type { LinkSecurity } from '../io/link-security.js';
import type { Logger } from '../io/log/logger.js';
import type { Notifier } from '../io/notify.js';
import { SecretFileError } from '../io/secret-file.js';
import type { StatusPort } from '../io/status-port.js';
import { AppListeners } from './app-listeners.js';
import { AppPort } from './app-port.js';
import { Gateway } from './gateway.js';
import { Kernel } from './kernel.js';
import { Links } from './links.js';
import { ManagerStatus } from './manager-status.js';
import { ManagerWatchdog } from './manager-watchdog.js';
import { PeerProcesses } from './peers.js';
import { descriptorShortage } from './preflight.js';
import { statusReport } from './status.js';
import { conmgrPicture } from './status-picture.js';

/** How long a fast stop waits for applications to take their goodbye. */
const DRAIN_TIMEOUT_MS = 2000;
/** Answer to a reload that comes too late. */
const SHUTTING_DOWN: ReloadReport = { changed: [], needsRestart: [], problems: ['conmgr is shutting down'] };

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
  /** Called once, when everything is over. */
  readonly exit: (status: number) => void;
}

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #core: ConmgrCore;
  readonly #links: Links;
  readonly #port: AppPort;
  readonly #gateway: Gateway;
  readonly #kernel: Kernel;
  readonly #peers: PeerProcesses;
  readonly #managerStatus: ManagerStatus;
  readonly #managerWatchdog: ManagerWatchdog;
  readonly #startedAt: WallMs;
  readonly #watchers = new Set<() => void>();
  #listeners: AppListeners | undefined;
  /** Open before the first link and the first application. */
  #ownDescriptors = 0;
  /** Of the core, as the kernel was made last. */
  #kernelRevision = -1;
  /** Of links that are made from now on. */
  #security: LinkSecurity;
  #timer: TimerHandle | undefined;
  #timerAt = NEVER;
  #reportDue = false;
  #lastReload: StatusReport['lastReload'] = null;
  /** The last reload that was asked for. */
  #reloads: Promise<unknown> = Promise.resolve();
  #saidStopping = false;
  #ended = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#startedAt = options.clock.wallMs();
    this.#core = new ConmgrCore(options.config, { identity: options.identity, random: Math.random });
    this.#security = options.security;
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
    this.#peers = new PeerProcesses((session) => this.#port.connection(session));
    this.#managerStatus = new ManagerStatus({
      notifier: options.notifier,
      clock: options.clock,
      core: this.#core,
      reloadRefused: () => (this.#lastReload?.problems.length ?? 0) > 0,
    });
    this.#managerWatchdog = new ManagerWatchdog({
      notifier: options.notifier,
      clock: options.clock,
      log: options.log,
      times: () => this.#core.config,
      ended: () => this.#ended,
    });
  }

  /** Binds the ports and begins to set up the links. Rejects with MessageError when it cannot listen, or not guard. */
  async start(): Promise<void> {
    const { config, log } = this.#options;
    await this.#kernel.start();
    this.#listeners = await AppListeners.open(
      config,
      () => this.#core.config,
      log,
      (socket, rule) => this.#port.accept(socket, rule),
    );
    await this.#options.statusPort.open(async (events) => conmgrPicture(await this.status(), events));
    this.#ownDescriptors = this.#options.openDescriptors();
    this.#run(this.#core.start(this.#now()));
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
        lastReload: this.#lastReload,
        descriptors: { limit: descriptorLimit, open: openDescriptors() },
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
   *  immediate one. */
  stop(mode: DaemonStop, request: string): void {
    if (this.#ended || (this.#core.ending && mode !== 'immediate')) return;
    this.#options.log.write(CONMGR_MESSAGES.stopping, { request });
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

  /**
   * Reads conmgr.conf again; on any error the running configuration stays. One reload at a time, but each reads the
   * file after it was asked for.
   */
  reload(forgetCluster: boolean): Promise<ReloadReport> {
    const report = this.#reloads.then(() => this.#reload(forgetCluster));
    this.#reloads = report;
    return report;
  }

  resolveConflict(instance: number): boolean {
    const { found, effects } = this.#core.resolveConflict(instance, this.#now());
    this.#run(effects);
    return found;
  }

  async #reload(forgetCluster: boolean): Promise<ReloadReport> {
    const { directory, log, notifier, clock, descriptorLimit } = this.#options;
    if (this.#core.ending) return SHUTTING_DOWN;
    notifier.reloading();
    const report = await this.#readAgain(directory);
    if (this.#core.ending) return SHUTTING_DOWN;
    const problems = Array.isArray(report) ? report : [];
    this.#lastReload = { at: clock.wallMs(), problems };
    if (Array.isArray(report)) {
      log.write(CONFIG_MESSAGES.reloadRejected, { path: `${directory}/${CONFIG_FILE}` });
      notifier.ready(this.#managerStatus.text);
      this.#changed();
      return { changed: [], needsRestart: [], problems };
    }
    const { config: next, security } = report;
    const before = this.#core.config;
    const diff = diffConmgrConfig(before, next);
    for (const name of diff.needsRestart) log.write(CONFIG_MESSAGES.restartNeeded, { name });
    // What needs a restart keeps its running value, so that a second reload still finds it changed.
    this.#run(
      this.#core.reconfigure(
        {
          ...next,
          port: before.port,
          listenAddresses: before.listenAddresses,
          listeners: before.listeners,
          guard: before.guard,
          statusPort: before.statusPort,
        },
        this.#now(),
      ),
    );
    log.reconfigure(next.log);
    const shortage = descriptorShortage(directory, next, descriptorLimit);
    // Whoever finds no descriptor is refused in words, so this is no reason to keep the old configuration.
    if (shortage !== undefined)
      log.write({ ...PROCESS_MESSAGES.descriptorsTooFew, level: 'WARNING' }, shortage);
    if (forgetCluster) this.#run(this.#core.forgetCluster(this.#now()));
    const isSecretNew = !isDeepStrictEqual(security, this.#security);
    this.#security = security;
    this.#links.protect(security);
    const changed = [
      ...diff.reloadable,
      ...(isSecretNew ? ['the secret of links made from now on'] : []),
      ...diff.instancesAdded.map((number) => `instance ${number} added`),
      ...diff.instancesRemoved.map((number) => `instance ${number} removed`),
      ...diff.instancesChanged.map((number) => `instance ${number} changed`),
    ];
    log.write(CONMGR_MESSAGES.reloaded, { changed: changed.length === 0 ? 'nothing' : changed.join(', ') });
    this.#managerWatchdog.adjust();
    notifier.ready(this.#managerStatus.text);
    this.#changed();
    return { changed, needsRestart: diff.needsRestart, problems };
  }

  /** The new configuration, or the lines that say why there is none. */
  async #readAgain(directory: string): Promise<{ config: ConmgrConfig; security: LinkSecurity } | string[]> {
    const { log } = this.#options;
    let text: string;
    try {
      text = await readConfigFile(directory);
    } catch (error) {
      return [`${CONFIG_FILE}: ${(error as Error).message}`];
    }
    for (const file of await writableByAll(directory)) log.write(CONMGR_MESSAGES.writableByAll, { file });
    const { config, problems, remarks } = resolveConmgrConfig(text, CONFIG_FILE);
    for (const { spec, params } of [...problems, ...remarks]) log.write(spec, params);
    if (config === undefined) return problems.map(formatProblem);
    try {
      return { config, security: await readLinkSecurity(config, directory) };
    } catch (error) {
      if (!(error instanceof SecretFileError)) throw error;
      const reason = error.message;
      log.write({ ...CONFIG_MESSAGES.secretUnusable, level: 'ERROR' }, { name: SECRET_NAME, reason });
      return [`${SECRET_NAME}: ${reason}`];
    }
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
        void this.#finish();
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
