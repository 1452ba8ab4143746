/** Where the tables of messages are put before readers: conmgr-messages(7) and the catalog of the journal. */
import { CLIENT_MESSAGES } from '../../src/core/messages/client.js';
import { CONFIG_MESSAGES } from '../../src/core/messages/config.js';
import { CONMGR_MESSAGES } from '../../src/core/messages/conmgr.js';
import { CTL_MESSAGES } from '../../src/core/messages/ctl.js';
import { HELPER_MESSAGES } from '../../src/core/messages/kernel-helper.js';
import type { MessageSpec } from '../../src/core/messages/message.js';
import { PROCESS_MESSAGES } from '../../src/core/messages/process.js';
import { TERMINATOR_MESSAGES } from '../../src/core/messages/terminator.js';
import { WATCHDOG_MESSAGES } from '../../src/core/messages/watchdog.js';

/** One table and its readers. */
export interface MessageTable {
  /** Its section of conmgr-messages(7). */
  readonly section: string;
  readonly rows: Readonly<Record<string, MessageSpec>>;
  /** Written by a service, and so perhaps to the journal. */
  readonly logged: boolean;
}

/** All tables, by code. */
export const MESSAGE_TABLES: readonly MessageTable[] = [
  { section: 'Configuration', rows: CONFIG_MESSAGES, logged: true },
  { section: 'Processes and their surroundings', rows: PROCESS_MESSAGES, logged: true },
  { section: 'conmgr', rows: CONMGR_MESSAGES, logged: true },
  { section: 'The watchdog', rows: WATCHDOG_MESSAGES, logged: true },
  { section: 'The terminator', rows: TERMINATOR_MESSAGES, logged: true },
  { section: 'The kernel helper', rows: HELPER_MESSAGES, logged: true },
  { section: 'cm_ctl', rows: CTL_MESSAGES, logged: false },
  { section: 'The client library', rows: CLIENT_MESSAGES, logged: false },
];
