/**
 * Starts the watchdog in the order that makes every failure harmless: who and where, settings, lock, control socket,
 * port, READY, instance. READY does not wait for the instance.
 */
import { join } from 'node:path';
import { WATCHDOG_FILES } from '../core/control/watchdog.js';
import { MessageError } from '../core/messages/message-error.js';
import { TERMINATOR_MESSAGES } from '../core/messages/terminator.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import { systemClock } from '../io/clock.js';
import {
  type DataDirectory,
  openDataDirectory,
  ownerOf,
  readSystemIdentifier,
} from '../io/data-directory.js';
import { assertNotRoot, newBootId } from '../io/identity.js';
import { runService, type ServiceProcess } from '../io/service-process.js';
import { StatusPort } from '../io/status-port.js';
import { intentOfManager, stopsAsMeant } from '../io/stop-reason.js';
import { type GivenDirectory, watchdogDirectory } from '../io/unit-directory.js';
import { userNames } from '../io/users.js';
import { openWatchdogControl } from './control.js';
import { kernelBootId, recall } from './memory.js';
import { WatchdogPlace } from './place.js';
import { loadSettings } from './settings.js';
import { STOP_SIGNALS } from './stop-reason.js';
import { Watchdog } from './watchdog.js';

/** Runs until stopped; the process ends with the status that the messages name. */
export function runWatchdog(given: GivenDirectory, software: string): Promise<void> {
  return runService({
    syslogIdent: 'watchdog',
    stopSignals: STOP_SIGNALS,
    unexpected: WATCHDOG_MESSAGES.unexpected,
    start: (service) => start(given, software, service),
  });
}

async function start(given: GivenDirectory, software: string, service: ServiceProcess): Promise<void> {
  const { log, notifier } = service;
  assertNotRoot('conmgr-watchdog', 'conmgr-watchdog@DATADIR.service');
  const directory = await openOwn(await watchdogDirectory(given));
  const settings = await loadSettings(directory);
  log.reconfigure(settings.config.log);
  log.reportMissingNative();
  const statusPort = new StatusPort({
    port: settings.config.statusPort,
    clock: systemClock,
    log,
    tables: [WATCHDOG_MESSAGES, TERMINATOR_MESSAGES],
  });
  const { major, path } = directory;
  log.write(WATCHDOG_MESSAGES.started, { software, directory: path, major });
  for (const { spec, params } of settings.problems) log.write(spec, params);

  const kept = join(path, WATCHDOG_FILES.directory);
  const place = await WatchdogPlace.take(path, { clock: systemClock, log });
  service.atEnd(() => place.leave());
  const bootId = await kernelBootId();
  const watchdog = new Watchdog({
    directory,
    settings,
    systemIdentifier: await readSystemIdentifier(path),
    software,
    bootId: newBootId(),
    kernelBootId: bootId,
    memory: await recall(join(kept, WATCHDOG_FILES.state), bootId),
    clock: systemClock,
    log,
    notifier,
    statusPort,
    place,
    env: process.env,
  });
  await place.serve((stat) => openWatchdogControl(stat, watchdog));
  const stops = stopsAsMeant(intentOfManager(notifier.enabled));
  service.running({
    stop: (signal) =>
      stops(signal, (reason) => void watchdog.stop(signal, reason).then(() => service.end(0))),
    reload: () => void watchdog.reload(),
  });
  await watchdog.start();
}

/** The data directory, if it is one and belongs to this user. */
async function openOwn(given: string): Promise<DataDirectory> {
  const user = process.geteuid?.() ?? 0;
  const directory = await openDataDirectory(given);
  // A directory of somebody else cannot even be looked into as a rule; that it is somebody else's says more.
  const owner = 'problem' in directory ? await ownerOf(given) : directory.uid;
  if ('problem' in directory && (directory.problem !== 'unreadable' || owner === user)) {
    throw new MessageError(WATCHDOG_MESSAGES.directoryUnusable, {
      directory: given,
      // Without the code and the call of Node.js.
      reason: directory.reason.replace(/^[A-Z]+: (.*), \w+( '.*')?$/s, '$1'),
    });
  }
  if ('problem' in directory || owner !== user) {
    const names = await userNames();
    const nameOf = (uid: number | undefined): string =>
      uid === undefined ? 'unknown' : (names.get(uid) ?? String(uid));
    const params = { directory: given, owner: nameOf(owner), user: nameOf(user) };
    throw new MessageError(WATCHDOG_MESSAGES.wrongOwner, params);
  }
  return directory;
}
