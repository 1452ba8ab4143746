/** `cm_ctl check`: everything that can be known before a start, without starting anything. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { conmgrDescriptors, connectionsAllowed, statusTerm } from '../core/config/descriptors.js';
import { effectiveValues, renderEffective } from '../core/config/render.js';
import type { ConmgrConfig } from '../core/config/types.js';
import { isUsable, renderTrials, type TrialView } from '../core/ctl/check-view.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { paint } from '../core/ctl/table.js';
import { CONFIG_MESSAGES } from '../core/messages/config.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { systemClock } from '../io/clock.js';
import { openDirectory } from '../io/conmgr-directory.js';
import { LinkFileError } from '../io/link-file.js';
import { isInUnitOnly, readLinkSecurity, reportValidity } from '../io/link-protection.js';
import type { LinkSecurity } from '../io/link-security.js';
import type { Call } from './call.js';
import { checkKernel } from './check-kernel.js';
import { readConfiguration } from './configuration.js';
import type { Output } from './output.js';
import { tryInstance } from './probe-watchdog.js';
import { realDirectory } from './real-directory.js';
import { commandLine } from './registry.js';
import { conmgrStartLimit, limitLine, type StartLimit } from './unit-limit.js';

export async function runCheck(call: Call): Promise<ExitStatus> {
  const { directory } = call;
  const { output } = call.world;
  const real = await realDirectory(directory);
  await openDirectory(real).catch(async (error: Error) => {
    // Whoever does not own it can be told more than what the directory lacks.
    const { uid } = await stat(real);
    const isClosed = uid !== call.world.uid && !(await canUse(real));
    if (isClosed) throw new MessageError(CTL_MESSAGES.directoryClosed, { directory });
    const params = { directory, reason: error.message };
    throw new MessageError(CONMGR_MESSAGES.unreadableDirectory, params, { cause: error });
  });
  const { config, remarks, lines } = await readConfiguration(real);
  for (const { spec, params } of remarks) output.report(spec, params);
  const security = await linkSecurity(call, config, real);
  const { colour } = output.layout;
  const title = (text: string): string => paint(text, 'strong', colour);
  output.lines([title('Effective values'), renderEffective(effectiveValues(config, lines)).trimEnd(), '']);
  output.lines([title('File descriptors')]);
  const enough = checkDescriptors(real, config, await conmgrStartLimit(call, real), output);
  const { uid: owner } = await stat(real);
  const startable = await checkKernel(call, config, owner, title('Kernel'));
  output.lines(['', title('Instances')]);

  const trials = await Promise.all(
    config.instances.map(async (instance): Promise<TrialView> => {
      const { watchdog, postmasterFailure } = await tryInstance(instance, config, security);
      const { number, host, hostaddr, backendPort: port, watchdogPort } = instance;
      return { number, host: host ?? hostaddr ?? '', port, watchdogPort, postmasterFailure, watchdog };
    }),
  );
  output.lines(renderTrials(trials, output.layout));
  if (!enough || !startable) return EXIT.configuration;
  const failed = trials.filter((trial) => !isUsable(trial)).length;
  if (failed === 0) return EXIT.done;
  output.report(CTL_MESSAGES.linksFailed, { failed, all: trials.length });
  return EXIT.failed;
}

/** What the conmgr would read to protect its links; undefined for a credential, which only its unit can have. */
async function linkSecurity(
  { world }: Call,
  config: ConmgrConfig,
  directory: string,
): Promise<LinkSecurity | undefined> {
  if (isInUnitOnly(config, world.environment)) return undefined;
  try {
    const security = await readLinkSecurity(config, directory, world.environment);
    reportValidity(security, systemClock.wallMs(), (spec, params) => world.output.report(spec, params));
    return security;
  } catch (error) {
    if (!(error instanceof LinkFileError)) throw error;
    const params = { name: error.parameter, reason: error.message };
    throw new MessageError(CONFIG_MESSAGES.linkFileUnusable, params, { cause: error });
  }
}

function canUse(directory: string): Promise<boolean> {
  return access(directory, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** The documented figure against the limit that a conmgr would have. */
function checkDescriptors(
  directory: string,
  config: ConmgrConfig,
  start: StartLimit,
  output: Output,
): boolean {
  const instances = config.instances.length;
  const { maxConnections, statusPort } = config;
  const { figure: needed, formula } = conmgrDescriptors(instances, maxConnections, statusPort);
  const { limit, unit } = start;
  output.lines([`needed: ${formula}`, limitLine(start, needed)]);
  if (limit < needed) {
    if (unit === undefined) {
      const term = statusTerm(statusPort);
      const params = {
        ...{ limit, needed, instances, maxConnections, statusTerm: term, directory },
        unit: 'conmgr@NAME.service',
      };
      output.report(PROCESS_MESSAGES.descriptorsTooFew, params);
    } else {
      const command = commandLine('cm_ctl', 'register', '-D', directory, '--write-limits');
      output.report(CTL_MESSAGES.unitLimitTooLow, { limit, unit, needed, formula, command });
    }
    return false;
  }
  if (maxConnections === 0) {
    const room = connectionsAllowed(limit, instances, 1, statusPort);
    output.lines([`max_connections = 0: room for ${room} applications`]);
  }
  return true;
}
