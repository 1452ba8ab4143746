/**
 * Messages of `cm_ctl watchdog` (CM3080-CM3089). Wording: PostgreSQL documentation, 57.3 Error Message Style Guide.
 */
import type { MessageSpec } from './message.js';

const FAILED = 1;
const CONFIGURATION = 78;

export const CTL_WATCHDOG_MESSAGES = {
  dataDirectoryWrong: {
    code: 'CM3080',
    level: 'ERROR',
    text: 'could not use data directory "{directory}": {reason}',
    hint: 'Modes of the watchdog take the data directory of the instance, with -D or in PGDATA.',
    cause: 'The directory is missing, is no data directory of PostgreSQL, or cannot be read by this user.',
    cure: 'Check the spelling, and use the user that owns the data directory.',
    exit: FAILED,
  },
  watchdogNotRunning: {
    code: 'CM3081',
    level: 'ERROR',
    text: 'no watchdog is running for data directory "{directory}"',
    cause: 'No process answers at the control socket of the watchdog in pg_stat_tmp.',
    cure: 'Start conmgr-watchdog for this data directory.',
    exit: FAILED,
  },
  watchdogNotAnswering: {
    code: 'CM3082',
    level: 'ERROR',
    text: 'the watchdog of data directory "{directory}" does not answer',
    cause: 'The process exists, but its control socket brought no answer within a few seconds.',
    cure: 'Look at the process with ps and at its log.',
    exit: FAILED,
  },
  watchdogSettingsUnreadable: {
    code: 'CM3083',
    level: 'ERROR',
    text: 'could not read the settings of the instance: {reason}',
    cause: 'Settings are read with "postgres -C", which failed or is not installed.',
    cure: 'Correct what the reason names; postgresql.conf may have an error.',
    exit: CONFIGURATION,
  },
  watchdogSettingsWrong: {
    code: 'CM3084',
    level: 'ERROR',
    text: 'number of problems in the settings of the watchdog: {number}',
    cause:
      'A parameter watchdog.* has a wrong value or does not exist, or another setting keeps the instance from working with a watchdog.',
    cure: 'Correct all that is listed, then reload PostgreSQL.',
    exit: CONFIGURATION,
  },
  preloadLeftOver: {
    code: 'CM3085',
    level: 'ERROR',
    text: 'shared_preload_libraries contains "watchdog"',
    detail:
      'There is no such library: the watchdog is a process of its own, and PostgreSQL does not start with this setting.',
    hint: 'Take "watchdog" out of shared_preload_libraries.',
    cause: 'The setting is left over from a product in which the watchdog was a library.',
    cure: 'Take the word out of shared_preload_libraries in postgresql.conf.',
    exit: CONFIGURATION,
  },
  descriptorsUnknown: {
    code: 'CM3086',
    level: 'NOTICE',
    text: 'the limit of open files of the instance is not known: it is not running',
    cause: 'The limit is that of the running postmaster.',
    cure: 'Repeat the check while the instance runs.',
  },
} as const satisfies Readonly<Record<string, MessageSpec>>;
