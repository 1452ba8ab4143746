/** conmgr.conf as cm_ctl reads it before it asks or stops anybody. */
import { formatProblem } from '../core/config/problem.js';
import { type ResolvedConmgrConfig, resolveConmgrConfig } from '../core/config/resolve.js';
import type { ConmgrConfig } from '../core/config/types.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { CONFIG_FILE, readConfigFile } from '../io/conmgr-directory.js';

/** A valid configuration and what was remarked about it. */
export interface ReadConfiguration extends ResolvedConmgrConfig {
  readonly config: ConmgrConfig;
}

/** Rejects with MessageError: the file cannot be read, or has errors, all of which are named. */
export async function readConfiguration(directory: string): Promise<ReadConfiguration> {
  const file = `${directory}/${CONFIG_FILE}`;
  const text = await readConfigFile(directory).catch((error: Error) => {
    const params = { file, reason: error.message };
    throw new MessageError(CTL_MESSAGES.configurationUnreadable, params, { cause: error });
  });
  const resolved = resolveConmgrConfig(text, CONFIG_FILE);
  const { config, problems } = resolved;
  if (config === undefined) {
    const lines = problems.map(formatProblem).join('\n');
    throw new MessageError(CTL_MESSAGES.configurationWrong, { file, lines });
  }
  return { ...resolved, config };
}
