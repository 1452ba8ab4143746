/** `cm_ctl check`: everything that can be known before a start, without starting anything. */
import { conmgrDescriptors, connectionsAllowed } from '../core/config/descriptors.js';
import { effectiveValues, renderEffective } from '../core/config/render.js';
import type { ConmgrConfig } from '../core/config/types.js';
import { isUsable, renderTrials, type TrialView } from '../core/ctl/check-view.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { paint } from '../core/ctl/table.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { openDirectory } from '../io/conmgr-directory.js';
import { descriptorLimit } from '../io/limits.js';
import type { Call } from './call.js';
import { readConfiguration } from './configuration.js';
import type { Output } from './output.js';
import { tryInstance } from './probe-watchdog.js';
import { realDirectory } from './real-directory.js';

export async function runCheck({ world, directory }: Call): Promise<ExitStatus> {
  const { output } = world;
  const real = await realDirectory(directory);
  await openDirectory(real).catch((error: Error) => {
    const params = { directory, reason: error.message };
    throw new MessageError(CONMGR_MESSAGES.unreadableDirectory, params, { cause: error });
  });
  const { config, remarks, lines } = await readConfiguration(real);
  for (const { spec, params } of remarks) output.report(spec, params);
  const { colour } = output.layout;
  const title = (text: string): string => paint(text, 'strong', colour);
  output.lines([title('Effective values'), renderEffective(effectiveValues(config, lines)).trimEnd(), '']);
  output.lines([title('File descriptors')]);
  const enough = checkDescriptors(real, config, output);
  output.lines(['', title('Instances')]);

  const trials = await Promise.all(
    config.instances.map(async (instance): Promise<TrialView> => {
      const { watchdog, postmasterFailure } = await tryInstance(instance, config);
      const { number, host, hostaddr, backendPort: port, watchdogPort } = instance;
      return { number, host: host ?? hostaddr ?? '', port, watchdogPort, postmasterFailure, watchdog };
    }),
  );
  output.lines(renderTrials(trials, output.layout));
  if (!enough) return EXIT.configuration;
  const failed = trials.filter((trial) => !isUsable(trial)).length;
  if (failed === 0) return EXIT.done;
  output.report(CTL_MESSAGES.linksFailed, { failed, all: trials.length });
  return EXIT.failed;
}

/** The documented figure against the limit that a conmgr started from here would have. */
function checkDescriptors(directory: string, config: ConmgrConfig, output: Output): boolean {
  const instances = config.instances.length;
  const { maxConnections } = config;
  const { figure, formula } = conmgrDescriptors(instances, maxConnections);
  // Node.js raises the soft limit to the hard one.
  const { hard: limit } = descriptorLimit();
  const verdict = limit >= figure ? 'enough' : 'too few';
  output.lines([`needed: ${formula}`, `limit: ${limit}, ${verdict}`]);
  if (limit < figure) {
    const params = {
      limit,
      needed: figure,
      instances,
      maxConnections,
      unit: 'conmgr@NAME.service',
      directory,
    };
    output.report(PROCESS_MESSAGES.descriptorsTooFew, params);
    return false;
  }
  if (maxConnections === 0) {
    output.lines([`max_connections = 0: room for ${connectionsAllowed(limit, instances)} applications`]);
  }
  return true;
}
