/** Whether the open files that a process may have are enough for a configuration. */
import { conmgrDescriptors } from '../core/config/descriptors.js';
import type { ConmgrConfig } from '../core/config/types.js';
import type { MessageParams } from '../core/messages/message.js';

/** Parameters of PROCESS_MESSAGES.descriptorsTooFew; undefined when `limit` is enough. */
export function descriptorShortage(config: ConmgrConfig, limit: number): MessageParams | undefined {
  const instances = config.instances.length;
  const { maxConnections } = config;
  const { figure: needed } = conmgrDescriptors(instances, maxConnections);
  return limit >= needed ? undefined : { limit, needed, instances, maxConnections, unit: 'conmgr@.service' };
}
