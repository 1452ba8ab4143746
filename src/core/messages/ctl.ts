/**
 * Messages of cm_ctl (CM3020-CM3099), printed as `cm_ctl: text`. Wording: PostgreSQL documentation, 57.3 Error
 * Message Style Guide, and pg_ctl's own where it says the same.
 */
import { CTL_USAGE_MESSAGES } from './ctl-usage.js';
import type { MessageSpec } from './message.js';

const FAILED = 1;
const CONFIGURATION = 78;

export const CTL_MESSAGES = {
  ...CTL_USAGE_MESSAGES,

  // The directory and the process in it

  directoryMissing: {
    code: 'CM3020',
    level: 'ERROR',
    text: 'directory "{directory}" does not exist',
    hint: '"cm_ctl init -D DIRECTORY" makes one.',
    cause: 'There is no directory of this name, or it is something else than a directory.',
    cure: 'Check the spelling of -D or CMDATA.',
    exit: FAILED,
  },
  directoryClosed: {
    code: 'CM3021',
    level: 'ERROR',
    text: 'could not access directory "{directory}": permission denied',
    hint: 'Run cm_ctl as the user that owns it.',
    cause: 'Only the owner of the directory can talk to its conmgr.',
    cure: 'Use the owner, for example: sudo -u OWNER cm_ctl status -D DIRECTORY.',
    exit: FAILED,
  },
  notRunning: {
    code: 'CM3022',
    level: 'ERROR',
    text: 'conmgr is not running in directory "{directory}"',
    hint: '"cm_ctl list" shows every conmgr of this host.',
    cause: 'No process answers at the control socket in this directory.',
    cure: 'Start it with cm_ctl start, or check the spelling of -D or CMDATA.',
    exit: FAILED,
  },
  notAnswering: {
    code: 'CM3023',
    level: 'ERROR',
    text: 'conmgr (PID {pid}) in directory "{directory}" does not answer',
    hint: 'It may be starting, stopped by a signal, or short of CPU or memory. "cm_ctl stop -m immediate" ends it.',
    cause: 'The process exists, but its control socket is missing or brought no answer within a few seconds.',
    cure: 'Look at the process with ps and at its log.',
    exit: FAILED,
  },
  garbled: {
    code: 'CM3024',
    level: 'ERROR',
    text: 'could not understand the answer at "{socket}"',
    hint: 'Make sure that cm_ctl and the process have the same version.',
    cause: 'What listens at the control socket does not speak as this version of cm_ctl expects.',
    cure: 'Restart the process after an upgrade.',
    exit: FAILED,
  },
  refused: {
    code: 'CM3025',
    level: 'ERROR',
    text: '{text}',
    cause: 'The process declined the request; the text is its own.',
    cure: 'See the text.',
    exit: FAILED,
  },

  // init

  asRoot: {
    code: 'CM3030',
    level: 'ERROR',
    text: 'cannot be run as root',
    hint: 'Use (for example with "su" or "sudo -u") the unprivileged user that will own the process.',
    cause: 'conmgr does not run as root, and its directory must belong to the user that it runs as.',
    cure: 'Use another user.',
    exit: FAILED,
  },
  directoryNotEmpty: {
    code: 'CM3031',
    level: 'ERROR',
    text: 'directory "{directory}" exists but is not empty',
    hint: 'Name another directory, or remove what is in it.',
    cause: 'cm_ctl init overwrites nothing.',
    cure: 'Use a new or an empty directory.',
    exit: FAILED,
  },
  initFailed: {
    code: 'CM3032',
    level: 'ERROR',
    text: 'could not create "{path}": {reason}',
    cause: 'The operating system refused to make the directory or the file.',
    cure: 'Remove what the reason names.',
    exit: FAILED,
  },

  // start, stop, restart, reload

  alreadyRunning: {
    code: 'CM3040',
    level: 'ERROR',
    text: 'conmgr is already running in directory "{directory}" (PID {pid})',
    cause: 'A directory serves one process.',
    cure: 'None, or use cm_ctl restart.',
    exit: FAILED,
  },
  programMissing: {
    code: 'CM3041',
    level: 'ERROR',
    text: 'program "conmgr" is needed by cm_ctl but was not found at "{path}"',
    hint: 'Check your installation.',
    cause: 'cm_ctl starts the conmgr that lies beside itself, so that both have the same version.',
    cure: 'Install the package again.',
    exit: FAILED,
  },
  logFileFailed: {
    code: 'CM3042',
    level: 'ERROR',
    text: 'could not open log file "{file}": {reason}',
    hint: 'Option -l names another file.',
    cause: 'What conmgr writes to stderr is appended to this file, which cannot be opened.',
    cure: 'Remove what the reason names, or use -l.',
    exit: FAILED,
  },
  spawnFailed: {
    code: 'CM3043',
    level: 'ERROR',
    text: 'could not start "{path}": {reason}',
    cause: 'The operating system refused to start the program.',
    cure: 'Remove what the reason names.',
    exit: FAILED,
  },
  startFailed: {
    code: 'CM3044',
    level: 'ERROR',
    text: 'could not start conmgr',
    hint: 'Examine the log output in "{log}".',
    cause: 'conmgr ended while it was starting. What it wrote about it was printed before this line.',
    cure: 'Remove the cause that conmgr named.',
    exit: FAILED,
  },
  startMisconfigured: {
    code: 'CM3045',
    level: 'ERROR',
    text: 'could not start conmgr: its configuration is wrong',
    hint: '"cm_ctl check" shows all errors without starting anything.',
    cause:
      'conmgr refused its configuration or its limits. What it wrote about it was printed before this line.',
    cure: 'Correct what conmgr named.',
    exit: CONFIGURATION,
  },
  startTimedOut: {
    code: 'CM3046',
    level: 'ERROR',
    text: 'no link to a primary within {seconds} s; conmgr runs on',
    detail: '{lines}',
    hint: 'See "cm_ctl status". Option -t sets the time to wait, -W does not wait.',
    cause:
      'conmgr runs and goes on trying, but the links that cm_ctl start waits for did not come up in the given time.',
    cure: 'Look at what is said of each instance: is PostgreSQL up, does its watchdog run, can its port be reached?',
    exit: FAILED,
  },
  completeStartTimedOut: {
    code: 'CM3056',
    level: 'ERROR',
    text: 'not all links came up within {seconds} s; conmgr runs on',
    detail: '{lines}',
    hint: 'See "cm_ctl status". Option -t sets the time to wait; without --complete the primary is enough.',
    cause: 'conmgr runs and goes on trying, but with --complete cm_ctl start waits for every link.',
    cure: 'Look at what is said of each instance: does its watchdog run, can its port be reached?',
    exit: FAILED,
  },
  startUnanswered: {
    code: 'CM3047',
    level: 'ERROR',
    text: 'conmgr (PID {pid}) did not come up within {seconds} s; it goes on starting',
    hint: 'Examine the log output in "{log}".',
    cause: 'The process runs but has not opened its control socket.',
    cure: 'Look at its log; a name server or a disk may be slow.',
    exit: FAILED,
  },
  interrupted: {
    code: 'CM3048',
    level: 'ERROR',
    text: 'interrupted; conmgr runs on',
    cause: 'cm_ctl was interrupted while it was waiting. The process it waited for is not affected.',
    cure: 'None.',
    exit: FAILED,
  },
  stoppedMeanwhile: {
    code: 'CM3049',
    level: 'ERROR',
    text: 'conmgr ended while cm_ctl was waiting for its links',
    hint: 'Examine the log output in "{log}".',
    cause: 'conmgr had started, but somebody stopped it or it failed.',
    cure: 'See its log.',
    exit: FAILED,
  },
  stopTimedOut: {
    code: 'CM3050',
    level: 'ERROR',
    text: 'conmgr does not shut down',
    cause: 'The process was told to stop and is still there.',
    cure: 'Look at its log, or use -m immediate.',
    exit: FAILED,
  },
  stopInterrupted: {
    code: 'CM3057',
    level: 'ERROR',
    text: 'interrupted; conmgr goes on shutting down',
    cause:
      'cm_ctl was interrupted while it was waiting for the end of the process, which had been told to stop.',
    cure: 'None.',
    exit: FAILED,
  },
  smartStopTimedOut: {
    code: 'CM3051',
    level: 'ERROR',
    text: 'conmgr does not shut down: it waits for applications to detach ({sessions} left)',
    hint: 'The "-m fast" option ends their sessions instead of waiting.',
    cause: 'In smart mode conmgr waits until no application has a session.',
    cure: 'Stop the applications, or use -m fast.',
    exit: FAILED,
  },
  signalFailed: {
    code: 'CM3052',
    level: 'ERROR',
    text: 'could not send signal {signal} (PID {pid}): {reason}',
    cause: 'The control socket brought no answer, so a signal was tried, which was refused.',
    cure: 'Use the user that owns the process.',
    exit: FAILED,
  },
  reloadRefused: {
    code: 'CM3053',
    level: 'ERROR',
    text: 'conmgr.conf was not loaded, the running configuration stays',
    detail: '{lines}',
    cause: 'The file has errors; conmgr takes it as a whole or not at all.',
    cure: 'Correct all lines named and reload again.',
    exit: CONFIGURATION,
  },
  configurationWrong: {
    code: 'CM3054',
    level: 'ERROR',
    text: 'configuration file "{file}" contains errors',
    detail: '{lines}',
    cause: 'The file has errors, all of which are listed.',
    cure: 'Correct all lines named.',
    exit: CONFIGURATION,
  },
  configurationUnreadable: {
    code: 'CM3055',
    level: 'ERROR',
    text: 'could not read configuration file "{file}": {reason}',
    hint: '"cm_ctl init" writes a commented one into a new directory.',
    cause: 'The file is missing, cannot be read by this user, is no regular file, or is too large.',
    cure: 'Create it or correct its permissions.',
    exit: CONFIGURATION,
  },

  // check

  linksFailed: {
    code: 'CM3060',
    level: 'ERROR',
    text: 'number of instances that cannot be used now: {failed} of {all}',
    cause: 'The watchdog or the postmaster of these instances did not answer as it should.',
    cure: 'See the table above it: start what does not run, or open the port in the firewall.',
    exit: FAILED,
  },

  // resolve-conflict

  noConflict: {
    code: 'CM3070',
    level: 'ERROR',
    text: 'no instance is in conflict with another primary',
    cause: 'Only when two instances claim to be primary is there something to settle.',
    cure: 'None.',
    exit: FAILED,
  },
  severalConflicts: {
    code: 'CM3071',
    level: 'ERROR',
    text: 'more than one instance is in conflict: {numbers}',
    hint: 'Name the one whose sessions are to be ended: cm_ctl resolve-conflict N.',
    cause: 'With more than two primaries cm_ctl does not choose.',
    cure: 'Name the number of one of them.',
    exit: FAILED,
  },

  // watchdog

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

  // Output

  outputFailed: {
    code: 'CM3090',
    level: 'ERROR',
    text: 'could not write to stdout: {reason}',
    cause: 'The disk is full, or whatever reads the output has failed.',
    cure: 'Remove what the reason names.',
    exit: FAILED,
  },
  unexpected: {
    code: 'CM3091',
    level: 'ERROR',
    text: 'unexpected error: {reason}',
    detail: '{lines}',
    cause: 'A mistake in cm_ctl.',
    cure: 'Report it with this text.',
    exit: 70,
  },
} as const satisfies Readonly<Record<string, MessageSpec>>;
export type CtlMessageName = keyof typeof CTL_MESSAGES;
