/** `cm_ctl watchdog check`: the settings of an instance that concern its watchdog, without starting anything. */
import {
  heartbeatConnectionsAllowed,
  instanceDescriptors,
  statusTerm,
  watchdogDescriptors,
} from '../core/config/descriptors.js';
import { effectiveWatchdogValues, renderEffective } from '../core/config/render.js';
import { resolveWatchdogConfig } from '../core/config/resolve-watchdog.js';
import type { WatchdogConfig } from '../core/config/types.js';
import { WATCHDOG_PARAMETERS } from '../core/config/watchdog-spec.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { paint } from '../core/ctl/table.js';
import { CONFIG_MESSAGES } from '../core/messages/config.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { systemClock } from '../io/clock.js';
import { type DataDirectory, openDataDirectory, readPostmaster } from '../io/data-directory.js';
import { readSettings, SettingsUnreadable } from '../io/instance-settings.js';
import { descriptorLimit } from '../io/limits.js';
import { isForeignCredential, LinkFileError } from '../io/link-file.js';
import { readGateSecurity, reportValidity, SSL_SETTINGS, type SslSettings } from '../io/link-protection.js';
import { unitOfProcess } from '../io/systemd-job.js';
import type { Call } from './call.js';
import { dataDirectoryError } from './data-directory-error.js';
import type { Output } from './output.js';
import { limitLine, type StartLimit, watchdogStartLimit } from './unit-limit.js';

/** Settings of PostgreSQL itself, with the defaults of its documentation. */
const INSTANCE_SETTINGS = {
  max_connections: '100',
  max_files_per_process: '1000',
  shared_preload_libraries: '',
  ...SSL_SETTINGS,
} as const;

export async function runWatchdogCheck(call: Call): Promise<ExitStatus> {
  const { directory } = call;
  const { output } = call.world;
  const opened = await openDataDirectory(directory);
  if ('problem' in opened) throw dataDirectoryError(directory, opened.problem);
  const raw = await readRaw(opened);
  const own = new Map([...raw].filter(([name]) => !Object.hasOwn(INSTANCE_SETTINGS, name)));
  const resolved = resolveWatchdogConfig(own);
  const { config, problems, remarks } = resolved;
  for (const { spec, params } of [...problems, ...remarks]) output.report(spec, params);
  let wrong = problems.length;
  wrong += await checkProtection(opened, config, raw, call);
  if (librariesIn(raw.get('shared_preload_libraries') ?? '').includes('watchdog')) {
    output.report(CTL_MESSAGES.preloadLeftOver);
    wrong += 1;
  }
  const title = (text: string): string => paint(text, 'strong', output.layout.colour);
  output.lines([
    title('Effective values'),
    renderEffective(effectiveWatchdogValues(resolved, own)).trimEnd(),
    '',
  ]);
  output.lines([title('File descriptors')]);
  const figure = (name: keyof typeof INSTANCE_SETTINGS): number =>
    Number(raw.get(name) ?? INSTANCE_SETTINGS[name]);
  const links = config.maxHeartbeatConnections ?? figure('max_connections');
  const start = await watchdogStartLimit(call, opened.path);
  checkWatchdogDescriptors(links, config.statusPort, start, output);
  await checkInstanceDescriptors(opened, figure('max_files_per_process'), links, output);
  if (wrong === 0) return EXIT.done;
  throw new MessageError(CTL_MESSAGES.watchdogSettingsWrong, { number: wrong });
}

/** How many errors the files have that protect the links; a unit's credential cannot be read here. */
async function checkProtection(
  directory: DataDirectory,
  config: WatchdogConfig,
  raw: ReadonlyMap<string, string>,
  { world: { output, environment: env } }: Call,
): Promise<number> {
  if (isForeignCredential({ path: config.secretFile ?? '', env })) return 0;
  const settings = Object.fromEntries(
    Object.entries(SSL_SETTINGS).map(([name, value]) => [name, raw.get(name) ?? value]),
  ) as SslSettings;
  try {
    const security = await readGateSecurity(config, settings, directory, env);
    reportValidity(security, systemClock.wallMs(), (spec, params) => output.report(spec, params));
    return 0;
  } catch (error) {
    if (!(error instanceof LinkFileError)) throw error;
    const params = { name: error.parameter, reason: error.message };
    output.report({ ...CONFIG_MESSAGES.linkFileUnusable, level: 'ERROR' }, params);
    return 1;
  }
}

async function readRaw(directory: DataDirectory): Promise<ReadonlyMap<string, string>> {
  try {
    return await readSettings(directory, [
      'max_connections',
      ...Object.keys(INSTANCE_SETTINGS),
      ...Object.keys(WATCHDOG_PARAMETERS),
    ]);
  } catch (error) {
    if (!(error instanceof SettingsUnreadable)) throw error;
    const params = { reason: error.message };
    throw new MessageError(CTL_MESSAGES.watchdogSettingsUnreadable, params, { cause: error });
  }
}

/** File names without directory and ending, as PostgreSQL looks for them. */
function librariesIn(list: string): string[] {
  return list.split(',').map((word) => {
    const name = word.trim().replaceAll('"', '');
    return name.slice(name.lastIndexOf('/') + 1).replace(/\.so$/, '');
  });
}

function checkWatchdogDescriptors(
  links: number,
  statusPort: number,
  start: StartLimit,
  output: Output,
): void {
  const { limit, unit = 'conmgr-watchdog@NAME.service' } = start;
  const { figure, formula } = watchdogDescriptors(links, statusPort);
  output.lines([`watchdog needs: ${formula}`, limitLine(start, figure)]);
  if (limit >= figure) return;
  const allowed = heartbeatConnectionsAllowed(limit, statusPort);
  const params = {
    ...{ limit, allowed, wanted: links, needed: figure, unit },
    statusTerm: statusTerm(statusPort),
  };
  output.report(PROCESS_MESSAGES.heartbeatLinksCapped, params);
}

/** The documented figure against the limit that the running postmaster has. */
async function checkInstanceDescriptors(
  { path }: DataDirectory,
  maxFiles: number,
  links: number,
  output: Output,
): Promise<void> {
  const { figure, formula } = instanceDescriptors(maxFiles, links);
  output.lines([`instance needs: ${formula}`]);
  const { fact } = await readPostmaster(path);
  if (fact.kind !== 'running') {
    output.report(CTL_MESSAGES.descriptorsUnknown);
    return;
  }
  const { soft: limit } = descriptorLimit({ pid: fact.pid });
  output.lines([`limit of PID ${fact.pid}: ${limit}, ${limit >= figure ? 'enough' : 'too few'}`]);
  if (limit >= figure) return;
  const unit = unitOfProcess('postgresql.service', `/proc/${fact.pid}/cgroup`);
  const params = { limit, pid: fact.pid, needed: figure, maxFiles, heartbeatConnections: links, unit };
  output.report(PROCESS_MESSAGES.instanceDescriptorsTooFew, params);
}
