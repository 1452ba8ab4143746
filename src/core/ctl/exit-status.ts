/** Exit statuses of cm_ctl: those of pg_ctl where it has one (PostgreSQL documentation, pg_ctl), sysexits.h else. */

/** 78 is EX_CONFIG of sysexits.h, as conmgr itself ends with. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  noDirectory: 4,
  configuration: 78,
} as const;
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** What each means, for --help and the manual. */
export const EXIT_MEANING: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'done',
  failed: 'failed or timed out',
  usage: 'wrong usage',
  notRunning: 'not running (status)',
  noDirectory: 'no such or no accessible directory (status)',
  configuration: 'bad configuration',
};
