/** The watchdog put together: settings, port, links, instance, terminator. */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { diffWatchdogConfig } from '../core/config/resolve-watchdog.js';
import { WATCHDOG_FILES, type WatchdogStatus } from '../core/control/watchdog.js';
import { describeInstance, describeState } from '../core/instance/describe.js';
import { MessageError } from '../core/messages/message-error.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import type { InstanceAttributes } from '../core/protocol/attributes.js';
import type { Departure } from '../core/session/session.js';
import { VIEW_FILE } from '../core/session/view-rows.js';
import type { WatchedSessions } from '../core/terminator/watched.js';
import type { Clock, TimerHandle } from '../core/time.js';
import type { DataDirectory } from '../io/data-directory.js';
import { reportValidity } from '../io/link-protection.js';
import type { Logger } from '../io/log/logger.js';
import type { Notifier } from '../io/notify.js';
import type { StatusPort } from '../io/status-port.js';
import type { StopReason } from '../io/stop-reason.js';
import { ListenError, type Listener, listen } from '../io/tcp-listener.js';
import { InstanceMonitor } from './instance-monitor.js';
import type { Link } from './link.js';
import { Links } from './links.js';
import { linksAndLosses, type Memory, MemoryFile, type PresentMemory } from './memory.js';
import type { WatchdogPlace } from './place.js';
import { checkPostmasterLimit, linksAllowed, RightsCheck, strangersAllowed } from './preflight.js';
import { loadSettings, type Settings } from './settings.js';
import { statusReport } from './status.js';
import { watchdogPicture } from './status-picture.js';
import { type LostLink, Terminator } from './terminator.js';
import { ViewFile } from './view-file.js';

/** Settings that could not be read are tried again this often. */
const SETTINGS_RETRY_MS = 10_000;
/** systemd hears of the number of links at most this often. */
const STATUS_INTERVAL_MS = 500;
/** Goodbyes may take this long. */
const GOODBYE_LIMIT_MS = 1500;
const GOODBYES: Readonly<Record<StopReason, string>> = {
  stop: 'the watchdog was stopped',
  restart: 'the watchdog is being restarted',
  hostShutdown: 'the host is shutting down',
};

export interface WatchdogOptions {
  readonly directory: DataDirectory;
  readonly settings: Settings;
  readonly systemIdentifier: bigint;
  readonly software: string;
  readonly bootId: string;
  readonly kernelBootId: string;
  /** What was known before a restart. */
  readonly memory: Memory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly notifier: Notifier;
  readonly statusPort: StatusPort;
  readonly place: WatchdogPlace;
  readonly env: NodeJS.ProcessEnv;
}

export class Watchdog {
  readonly terminator: Terminator;
  readonly #options: WatchdogOptions;
  readonly #links: Links;
  readonly #monitor: InstanceMonitor;
  readonly #memory: MemoryFile;
  readonly #view: ViewFile;
  readonly #rights: RightsCheck;
  readonly #startedAt: number;
  #settings: Settings;
  #maxLinks: number;
  #maxStrangers: number;
  #listener: Listener | undefined;
  #changedAt: number;
  #stopping: Promise<void> | undefined;
  #reloading: Promise<void> = Promise.resolve();
  #retry: TimerHandle | undefined;
  #statusTimer: TimerHandle | undefined;
  #statusTold = '';

  constructor(options: WatchdogOptions) {
    const { directory, clock, log, settings } = options;
    this.#options = options;
    this.#settings = settings;
    this.#startedAt = clock.wallMs();
    this.#changedAt = this.#startedAt;
    this.#maxLinks = linksAllowed(this.#wantedLinks(settings), log, settings.config.statusPort);
    this.#maxStrangers = strangersAllowed(this.#maxLinks, log, settings.config.statusPort);
    this.#rights = new RightsCheck(log);
    this.#monitor = new InstanceMonitor({
      directory,
      clock,
      log,
      env: options.env,
      systemIdentifier: options.systemIdentifier,
      timing: () => {
        const { checkAttrIntervalMs, probeIntervalMs, probeTimeoutMs } = this.#settings.config;
        return { checkMs: checkAttrIntervalMs, intervalMs: probeIntervalMs, timeoutMs: probeTimeoutMs };
      },
      onLook: () => void this.#followDirectory(),
      onAttributes: (attributes, changed) => this.#onAttributes(attributes, changed),
      onConnected: (session, { pid }) => {
        const { serverVersionNum } = this.#monitor.attributes;
        this.#rights.look(session, serverVersionNum).catch(() => {});
        const { maxFilesPerProcess } = this.#settings;
        checkPostmasterLimit(pid, maxFilesPerProcess, this.#wantedLinks(this.#settings), log);
        this.terminator.connected();
        // Where the server runs, its configuration can be found.
        if (this.#settings.unreadable !== undefined) void this.#readAgain();
      },
    });
    this.terminator = new Terminator({
      clock,
      log,
      config: () => this.#settings.config,
      session: () => this.#monitor.connections.get('terminator'),
      ownPids: () => this.#monitor.connections.pids,
      otherLink: (address) => this.#links.isAlive(address),
      alsoWatched: (address, otherThan) => this.#links.watchedAt(address, otherThan),
      authenticationTimeoutMs: () => this.#settings.authenticationTimeoutMs,
      onChange: () => this.#changed(),
    });
    this.#links = new Links(
      {
        clock,
        log,
        software: options.software,
        bootId: options.bootId,
        maxLinks: () => this.#maxLinks,
        maxStrangers: () => this.#maxStrangers,
        restartGraceMs: () => this.#settings.config.restartGraceMs,
        allowedClients: () => this.#settings.config.allowedClients,
        priorBeats: (conmgrId, address) => this.terminator.priorBeats(conmgrId, address),
        monitored: () => this.#settings.config.terminateScope === 'monitored',
        priorWatched: (conmgrId, address) => this.terminator.priorWatched(conmgrId, address),
        onUp: (link) => this.terminator.linkUp(link.caller?.conmgrId ?? '', link.address),
        onGone: (link, departure, text) => this.#onGone(link, departure, text),
        onChange: () => this.#changed(),
      },
      this.#monitor.attributes,
    );
    this.#memory = new MemoryFile({
      path: join(directory.path, WATCHDOG_FILES.directory, WATCHDOG_FILES.state),
      kernelBootId: options.kernelBootId,
      clock,
      log,
      present: () => this.#present(),
    });
    this.#view = new ViewFile({
      path: join(directory.path, WATCHDOG_FILES.directory, VIEW_FILE),
      bootId: options.bootId,
      clock,
      log,
      links: () => this.#links.up,
    });
  }

  /** Listens, then watches. Rejects with MessageError when the port cannot be had. */
  async start(): Promise<void> {
    const { memory, notifier, statusPort } = this.#options;
    this.#links.protect(this.#settings.protection);
    this.#reportValidity();
    await this.#openPort();
    await statusPort.open(async (events) => watchdogPicture(this.status(), events));
    this.#reportUnreadable();
    this.terminator.restorePause(memory.paused);
    for (const link of memory.links) {
      const { beats, address } = link;
      const authenticated = link.authenticated || !this.#links.isProtected;
      const allowed = this.#links.isAllowed(address);
      const untold = this.#isUntold(link.watched);
      const standing = { welcomed: true, beats, allowed, disputed: false, untold, authenticated };
      this.terminator.remember(link, standing);
    }
    notifier.ready(this.#statusText());
    this.#ping();
    await this.#monitor.start();
  }

  /** Reads the settings again; what can be changed takes effect. */
  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  /** Settings that could not be read are tried again; until that works nothing has changed and nothing is said. */
  #readAgain(): Promise<void> {
    this.#reloading = this.#reloading.then(async () => {
      if (this.#stopping !== undefined || this.#settings.unreadable === undefined) return;
      const next = await loadSettings(this.#options.directory);
      if (next.unreadable === undefined) await this.#reload();
      else {
        this.#settings = { ...this.#settings, unreadable: next.unreadable };
        this.#reportUnreadable();
      }
    });
    return this.#reloading;
  }

  /** Says goodbye and ends everything; resolves when that is done. */
  stop(signal: string, reason: StopReason): Promise<void> {
    this.#stopping ??= this.#stop(signal, reason);
    return this.#stopping;
  }

  status(): WatchdogStatus {
    const { directory, software, clock } = this.#options;
    const { unreadable } = this.#settings;
    return statusReport({
      software,
      dataDirectory: directory.path,
      stopping: this.#stopping !== undefined,
      startedAt: this.#startedAt,
      port: this.#listener?.port ?? 0,
      listenAddresses: this.#listener?.addresses ?? [],
      config: this.#settings.config,
      maxLinks: this.#maxLinks,
      attributes: this.#monitor.attributes,
      changedAt: this.#changedAt,
      postmaster: this.#monitor.postmaster,
      rights: this.#rights.rights,
      connected: this.#monitor.connections.get('terminator') !== undefined,
      links: [...this.#links.up],
      isAllowed: (address) => this.#links.isAllowed(address),
      isProtected: this.#links.isProtected,
      protection: this.#settings.protection,
      terminator: this.terminator,
      findings: [
        ...this.#rights.texts,
        ...(unreadable === undefined ? [] : [`settings could not be read: ${unreadable.reason}`]),
      ],
      now: clock.monotonicMs(),
      wall: clock.wallMs(),
    });
  }

  async #openPort(): Promise<void> {
    const { log } = this.#options;
    const { config, listenAddresses } = this.#settings;
    if (config.closed !== undefined) {
      log.write(WATCHDOG_MESSAGES.portClosed, { reason: config.closed });
      return;
    }
    const addresses = config.listenAddresses ?? listenAddresses;
    if (addresses.length === 0) {
      log.write(WATCHDOG_MESSAGES.noAddress);
      return;
    }
    const { port } = config;
    try {
      this.#listener = await listen({
        addresses,
        port,
        onConnection: (socket) => this.#links.accept(socket),
      });
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      const reason = error.failures.map(({ address, text }) => `${address}: ${text}`).join('; ');
      throw new MessageError(WATCHDOG_MESSAGES.cannotListen, { port, reason }, { cause: error });
    }
    for (const address of this.#listener.addresses) log.write(WATCHDOG_MESSAGES.listening, { address, port });
    for (const { address, text } of this.#listener.missing) {
      log.write(WATCHDOG_MESSAGES.addressMissing, { address, reason: text });
    }
  }

  async #reload(): Promise<void> {
    const { directory, log, notifier } = this.#options;
    if (this.#stopping !== undefined) return;
    notifier.reloading();
    const before = this.#settings;
    const next = await loadSettings(directory);
    const { reloadable, needsRestart } = diffWatchdogConfig(before.config, next.config);
    const { port, listenAddresses } = this.#listener === undefined ? next.config : before.config;
    const { statusPort } = before.config;
    this.#settings = { ...next, config: { ...next.config, port, listenAddresses, statusPort } };
    log.reconfigure(next.config.log);
    for (const { spec, params } of next.problems) log.write(spec, params);
    this.#reportUnreadable();
    this.#maxLinks = linksAllowed(this.#wantedLinks(next), log, statusPort);
    this.#maxStrangers = strangersAllowed(this.#maxLinks, log, statusPort);
    if (before.config.terminateScope !== next.config.terminateScope) this.#links.scopeChanged();
    this.#reportValidity();
    const files = this.#protectAnew(before, next) ? ['what links need to prove'] : [];
    const changed = [...reloadable, ...files].join(', ') || 'nothing changed';
    log.write(WATCHDOG_MESSAGES.reloaded, { changed });
    for (const name of needsRestart) {
      // A closed heartbeat port is opened with its new values.
      if (this.#listener === undefined && name !== 'watchdog.status_port') continue;
      log.write(WATCHDOG_MESSAGES.needsRestart, { name });
    }
    await this.#openOrClose();
    void this.#monitor.lookNow();
    notifier.ready(this.#statusText());
  }

  /** Whether secrets or certificates have changed; then new links need the new ones. */
  #protectAnew(before: Settings, { protection }: Settings): boolean {
    if (isDeepStrictEqual(before.protection, protection)) return false;
    this.#links.protect(protection);
    const open = [...this.#links.up].filter(({ authenticated }) => !authenticated);
    if (protection !== undefined && open.length > 0) {
      this.#options.log.write(WATCHDOG_MESSAGES.linksNotSecured, { number: open.length });
    }
    return true;
  }

  #reportValidity(): void {
    const { clock, log } = this.#options;
    reportValidity(this.#settings.protection, clock.wallMs(), (spec, params) => log.write(spec, params));
  }

  /** The port follows a security value that has become wrong or was mended. */
  async #openOrClose(): Promise<void> {
    const { log } = this.#options;
    const { closed } = this.#settings.config;
    if (closed !== undefined && this.#listener !== undefined) {
      const listener = this.#listener;
      this.#listener = undefined;
      await listener.close();
      log.write(WATCHDOG_MESSAGES.portClosed, { reason: closed });
    } else if (this.#listener === undefined) {
      await this.#openPort().catch((error: unknown) => {
        if (!(error instanceof MessageError)) throw error;
        log.write(WATCHDOG_MESSAGES.portClosed, { reason: error.message });
      });
    }
  }

  #reportUnreadable(): void {
    const { log, clock } = this.#options;
    const { unreadable } = this.#settings;
    this.#retry?.cancel();
    if (unreadable === undefined) return;
    log.write(WATCHDOG_MESSAGES.settingsUnreadable, unreadable);
    this.#retry = clock.setTimer(SETTINGS_RETRY_MS, () => void this.#readAgain());
  }

  async #stop(signal: string, reason: StopReason): Promise<void> {
    const { log, notifier, clock } = this.#options;
    notifier.stopping(GOODBYES[reason]);
    log.write(WATCHDOG_MESSAGES.stopping, { signal, reason });
    this.#retry?.cancel();
    this.#statusTimer?.cancel();
    const { paused, links } = this.#present();
    const known = { paused, links: [...links] };
    this.terminator.stop();
    this.#options.statusPort.close();
    await this.#listener?.close();
    await Promise.race([
      this.#links.stop(reason, GOODBYES[reason]),
      new Promise<void>((resolve) => clock.setTimer(GOODBYE_LIMIT_MS, resolve)),
    ]);
    // After a stop nobody is watched; only a restart goes on where it was.
    await this.#memory.close(reason === 'restart' ? known : { ...known, links: [] });
    this.#view.close();
    await this.#monitor.stop();
  }

  /** Another directory may have taken the place of the data directory. */
  async #followDirectory(): Promise<void> {
    if (this.#stopping !== undefined || !(await this.#options.place.renew())) return;
    this.#options.log.write(WATCHDOG_MESSAGES.directoryReplaced, { directory: this.#options.directory.path });
    this.#memory.moved();
    this.#view.changed();
  }

  #onAttributes(attributes: InstanceAttributes, changed: boolean): void {
    this.#links.tell(attributes, changed);
    if (!changed) return;
    const { clock, log } = this.#options;
    this.#changedAt = clock.wallMs();
    log.write(WATCHDOG_MESSAGES.instanceChanged, {
      state: describeState(attributes),
      facts: describeInstance(attributes),
    });
    if (attributes.state === 'down') this.terminator.instanceDown();
    this.#statusSoon();
  }

  #onGone(link: Link, departure: Departure, text: string): void {
    if (this.#stopping !== undefined) return;
    const { beats } = link.data;
    const standing = {
      welcomed: true,
      beats,
      allowed: this.#links.isAllowed(link.address),
      disputed: link.disputed,
      untold: this.#isUntold(link.watched),
      authenticated: link.authenticated || !this.#links.isProtected,
    };
    this.terminator.lost(lostLink(link), standing, departure, text);
  }

  /** What a conmgr watches decides what is ended with it, and it has not said. */
  #isUntold(watched: WatchedSessions | undefined): boolean {
    return this.#settings.config.terminateScope === 'monitored' && watched?.told !== true;
  }

  #present(): PresentMemory {
    const links = this.#links.up;
    function* up(): Generator<LostLink, void, void> {
      for (const link of links) if (!link.disputed) yield lostLink(link);
    }
    const { terminator } = this;
    return { paused: terminator.paused, links: linksAndLosses(up(), () => terminator.pending) };
  }

  #wantedLinks({ config, maxConnections }: Settings): number {
    return config.maxHeartbeatConnections ?? maxConnections;
  }

  #changed(): void {
    if (this.#stopping !== undefined) return;
    this.#memory.changed();
    this.#view.changed();
    this.#statusSoon();
  }

  #statusSoon(): void {
    this.#statusTimer ??= this.#options.clock.setTimer(STATUS_INTERVAL_MS, () => {
      this.#statusTimer = undefined;
      const text = this.#statusText();
      if (this.#stopping !== undefined || text === this.#statusTold) return;
      this.#statusTold = text;
      this.#options.notifier.status(text);
    });
  }

  #statusText(): string {
    const { attributes } = this.#monitor;
    return [
      `instance ${attributes.state} (${describeInstance(attributes)})`,
      ...(this.#listener === undefined ? ['heartbeat port closed'] : []),
      ...(this.terminator.paused ? ['terminator paused'] : []),
      `heartbeat links: ${this.#links.up.size}`,
    ].join('; ');
  }

  #ping(): void {
    const { notifier, clock } = this.#options;
    const intervalMs = notifier.watchdogIntervalMs;
    if (intervalMs === undefined) return;
    notifier.watchdogPing();
    clock.setTimer(intervalMs, () => this.#ping());
  }
}

function lostLink({ address, label, data, watched, authenticated }: Link): LostLink {
  const { timeoutMs, beats, caller } = data;
  return { conmgrId: caller?.conmgrId ?? '', address, label, timeoutMs, beats, watched, authenticated };
}
