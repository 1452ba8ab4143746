/** A conmgr between scripted watchdogs, for tests of its links. */
import { ConmgrProcess, type ConmgrSettings, type InstanceLines } from './conmgr-process.js';
import { freePort } from './free-ports.js';
import type { NameServer } from './name-server.js';
import { ScriptedWatchdog, type WatchdogOptions } from './scripted-watchdog.js';

/** What a test has started, ended by `endScene` newest first. */
export const ends: (() => unknown)[] = [];
/** For afterEach. */
export async function endScene(): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}

/** A scripted watchdog that ends with the test. */
export async function watchdog(options: WatchdogOptions = {}): Promise<ScriptedWatchdog> {
  const scripted = await ScriptedWatchdog.start(options);
  ends.push(() => scripted.stop());
  return scripted;
}

/** The built conmgr with links to these; ends with the test. */
export async function conmgrFor(
  instances: readonly (ScriptedWatchdog | InstanceLines)[],
  settings: ConmgrSettings = {},
  names?: NameServer,
): Promise<ConmgrProcess> {
  const conmgr = await ConmgrProcess.start({
    instances: await Promise.all(
      instances.map(async (one) =>
        one instanceof ScriptedWatchdog
          ? { host: one.host, backendPort: await freePort(), watchdogPort: one.port }
          : one,
      ),
    ),
    settings,
    ...(names === undefined ? {} : { env: names.env }),
  });
  ends.push(() => conmgr.stop('SIGQUIT'));
  return conmgr;
}
