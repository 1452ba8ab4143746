/** Whether the open files that the process may have are enough, looked at before anything is made. */
import { conmgrDescriptors, connectionsAllowed, statusTerm } from '../core/config/descriptors.js';
import type { ConmgrConfig } from '../core/config/types.js';
import type { Log, MessageParams } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { descriptorLimit } from '../io/limits.js';
import { unitOfProcess } from '../io/systemd-job.js';

/** Stands for "unlimited". */
const LARGEST_LIMIT = 2_147_483_647;

/** Compares the documented figure with what the process really has; returns the limit. Throws MessageError. */
export function preflight(directory: string, config: ConmgrConfig, log: Log): number {
  const limit = Math.min(
    LARGEST_LIMIT,
    knownOr(() => descriptorLimit().soft, log, LARGEST_LIMIT),
  );
  const shortage = descriptorShortage(directory, config, limit);
  if (shortage !== undefined) throw new MessageError(PROCESS_MESSAGES.descriptorsTooFew, shortage);
  const instances = config.instances.length;
  if (config.maxConnections === 0 || config.gateway || config.listeners.length > 0) {
    log.write(PROCESS_MESSAGES.descriptorsAllow, {
      limit,
      connections: connectionsAllowed(limit, instances, 1, config.statusPort),
      forwarded: connectionsAllowed(limit, instances, 2, config.statusPort),
    });
  }
  return limit;
}

/** Parameters of PROCESS_MESSAGES.descriptorsTooFew; undefined when `limit` is enough. */
export function descriptorShortage(
  directory: string,
  config: ConmgrConfig,
  limit: number,
): MessageParams | undefined {
  const instances = config.instances.length;
  const { maxConnections, statusPort } = config;
  const { figure: needed } = conmgrDescriptors(instances, maxConnections, statusPort);
  if (limit >= needed) return undefined;
  const unit = unitOfProcess('conmgr@NAME.service');
  return { limit, needed, instances, maxConnections, statusTerm: statusTerm(statusPort), directory, unit };
}

/** A figure of this process, or `otherwise` with a WARNING where /proc does not tell. */
export function knownOr(read: () => number, log: Log, otherwise: number): number {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    log.write(error.spec, error.params);
    return otherwise;
  }
}
