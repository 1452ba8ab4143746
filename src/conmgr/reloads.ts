/** Reload: conmgr.conf and the files that protect the links are read again, and what may change takes effect. */
import { isDeepStrictEqual } from 'node:util';
import { formatProblem } from '../core/config/problem.js';
import { diffConmgrConfig, resolveConmgrConfig } from '../core/config/resolve.js';
import type { ConmgrConfig } from '../core/config/types.js';
import type { ConmgrCore } from '../core/conmgr/core.js';
import type { ConmgrEffect } from '../core/conmgr/effects.js';
import type { ReloadReport, StatusReport } from '../core/control/protocol.js';
import { CONFIG_MESSAGES } from '../core/messages/config.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Log } from '../core/messages/message.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import type { Clock } from '../core/time.js';
import { CONFIG_FILE, readConfigFile, writableByAll } from '../io/conmgr-directory.js';
import { LinkFileError } from '../io/link-file.js';
import { readLinkSecurity, reportValidity } from '../io/link-protection.js';
import type { LinkSecurity } from '../io/link-security.js';
import type { Logger } from '../io/log/logger.js';
import type { Notifier } from '../io/notify.js';
import type { Links } from './links.js';
import { whyNotStart } from './next-start.js';
import { descriptorShortage } from './preflight.js';

/** Answer to a reload that comes too late. */
const SHUTTING_DOWN: ReloadReport = { changed: [], needsRestart: [], problems: ['conmgr is shutting down'] };

export interface ReloadsOptions {
  readonly directory: string;
  readonly log: Logger;
  readonly notifier: Notifier;
  readonly clock: Clock;
  /** RLIMIT_NOFILE of this process. */
  readonly descriptorLimit: number;
  /** Where conmgr-helper listens. */
  readonly helperSocket: string;
  readonly core: ConmgrCore;
  readonly links: Links;
  /** As read at start. */
  readonly security: LinkSecurity;
  readonly run: (effects: readonly ConmgrEffect[]) => void;
  /** One line for the service manager. */
  readonly statusText: () => string;
  /** Something has taken effect. */
  readonly reloaded: () => void;
  /** What status shows has changed. */
  readonly changed: () => void;
}

export class Reloads {
  readonly #options: ReloadsOptions;
  /** Of links that are made from now on. */
  #security: LinkSecurity;
  /** The last one that was asked for. */
  #pending: Promise<unknown> = Promise.resolve();
  /** The last one that was made. */
  last: StatusReport['lastReload'] = null;

  constructor(options: ReloadsOptions) {
    this.#options = options;
    this.#security = options.security;
  }

  /** One at a time, but each reads the file after it was asked for. */
  ask(forgetCluster: boolean): Promise<ReloadReport> {
    const report = this.#pending.then(() => this.#reload(forgetCluster));
    this.#pending = report;
    return report;
  }

  /** What keeps the next process of the service manager from starting with the configuration as it is in the file now. */
  async problems(): Promise<readonly string[]> {
    const report = await readAgain(this.#options.directory, this.#options.log);
    return Array.isArray(report) ? report : whyNotStart({ ...this.#options, config: report.config });
  }

  async #reload(forgetCluster: boolean): Promise<ReloadReport> {
    const { directory, log, notifier, clock, descriptorLimit, core, run, changed, statusText } =
      this.#options;
    if (core.ending) return SHUTTING_DOWN;
    notifier.reloading();
    const report = await readAgain(directory, log);
    if (core.ending) return SHUTTING_DOWN;
    const problems = Array.isArray(report) ? report : [];
    this.last = { at: clock.wallMs(), problems };
    if (Array.isArray(report)) {
      log.write(CONFIG_MESSAGES.reloadRejected, { path: `${directory}/${CONFIG_FILE}` });
      notifier.ready(statusText());
      changed();
      return { changed: [], needsRestart: [], problems };
    }
    const { config: next, security } = report;
    const before = core.config;
    const diff = diffConmgrConfig(before, next);
    for (const name of diff.needsRestart) log.write(CONFIG_MESSAGES.restartNeeded, { name });
    // What needs a restart keeps its running value, so that a second reload still finds it changed.
    run(
      core.reconfigure(
        {
          ...next,
          port: before.port,
          listenAddresses: before.listenAddresses,
          listeners: before.listeners,
          guard: before.guard,
          statusPort: before.statusPort,
        },
        clock.monotonicMs(),
      ),
    );
    log.reconfigure(next.log);
    const shortage = descriptorShortage(directory, next, descriptorLimit);
    // Whoever finds no descriptor is refused in words, so this is no reason to keep the old configuration.
    if (shortage !== undefined)
      log.write({ ...PROCESS_MESSAGES.descriptorsTooFew, level: 'WARNING' }, shortage);
    if (forgetCluster) run(core.forgetCluster(clock.monotonicMs()));
    reportValidity(security, clock.wallMs(), (spec, params) => log.write(spec, params));
    const isProtectionNew = !isDeepStrictEqual(security, this.#security);
    this.#security = security;
    this.#options.links.protect(security);
    if (isProtectionNew) run(core.protectionChanged(clock.monotonicMs()));
    const changes = [
      ...diff.reloadable,
      ...(isProtectionNew ? ['the protection of links made from now on'] : []),
      ...diff.instancesAdded.map((number) => `instance ${number} added`),
      ...diff.instancesRemoved.map((number) => `instance ${number} removed`),
      ...diff.instancesChanged.map((number) => `instance ${number} changed`),
    ];
    log.write(CONMGR_MESSAGES.reloaded, { changed: changes.length === 0 ? 'nothing' : changes.join(', ') });
    this.#options.reloaded();
    notifier.ready(statusText());
    changed();
    return { changed: changes, needsRestart: diff.needsRestart, problems };
  }
}

/** The new configuration, or the lines that say why there is none. */
async function readAgain(
  directory: string,
  log: Log,
): Promise<{ readonly config: ConmgrConfig; readonly security: LinkSecurity } | string[]> {
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
    if (!(error instanceof LinkFileError)) throw error;
    const { message: reason, parameter: name } = error;
    log.write({ ...CONFIG_MESSAGES.linkFileUnusable, level: 'ERROR' }, { name, reason });
    return [`${name}: ${reason}`];
  }
}
