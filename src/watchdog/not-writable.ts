/** What is said of a file in pg_stat_tmp that cannot be written. */
import { dirname } from 'node:path';
import type { MessageParams } from '../core/messages/message.js';

/** Parameters of WATCHDOG_MESSAGES.notWritable for a file in pg_stat_tmp of a data directory. */
export function notWritable(file: string, reason: string, consequence: string): MessageParams {
  return { file, directory: dirname(dirname(file)), reason, consequence };
}
