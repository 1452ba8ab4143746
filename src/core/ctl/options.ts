/** The options of cm_ctl, spelled as pg_ctl spells them where it has the same (PostgreSQL documentation, pg_ctl). */
import { MANAGER_CHOICES } from './manager-choice.js';

/** One option. It has a short or a long name, or both. */
export interface OptionSpec {
  /** One letter, used as `-D`. */
  readonly short?: string;
  /** Used as `--directory`. */
  readonly long?: string;
  /** Name of its value in --help; absent for a switch. */
  readonly value?: string;
  /** Values it takes, where there is a list. */
  readonly choices?: readonly string[];
  readonly doc: string;
}

export const STOP_MODE_CHOICES = ['smart', 'fast', 'immediate'] as const;
export const SHOW_CHOICES = ['all', 'instance', 'application'] as const;

/** How long start, stop and restart wait unless -t says otherwise, as pg_ctl does. */
export const DEFAULT_WAIT_SECONDS = 60;
/** Longest -t; more does not fit a timer (2^31 - 1 ms). */
export const MAX_WAIT_SECONDS = 2_147_483;

export const OPTIONS = {
  directory: {
    short: 'D',
    long: 'directory',
    value: 'DIR',
    doc: 'directory with conmgr.conf; default: variable CMDATA',
  },
  timeout: {
    short: 't',
    long: 'timeout',
    value: 'SEC',
    doc: `how long to wait, default ${DEFAULT_WAIT_SECONDS}; 0 = for ever`,
  },
  wait: { short: 'w', long: 'wait', doc: 'wait until it is done (default)' },
  noWait: { short: 'W', long: 'no-wait', doc: 'do not wait' },
  silent: { short: 's', long: 'silent', doc: 'print errors only' },
  stopMode: {
    short: 'm',
    long: 'mode',
    value: 'MODE',
    choices: STOP_MODE_CHOICES,
    doc: 'stop: smart, fast (default) or immediate',
  },
  logFile: {
    short: 'l',
    long: 'log',
    value: 'FILE',
    doc: 'start: append stderr to FILE, default DIR/conmgr.log',
  },
  manager: {
    long: 'manager',
    value: 'WHO',
    choices: MANAGER_CHOICES,
    doc: 'who runs it: system, user (their systemd), none',
  },
  complete: { long: 'complete', doc: 'start: wait for all links, not only for the primary' },
  show: {
    short: 'i',
    value: 'WHAT',
    choices: SHOW_CHOICES,
    doc: 'status: all (default), instance or application',
  },
  json: { long: 'json', doc: 'status, list, resolve: print JSON, for programs' },
  watch: { long: 'watch', doc: 'status: show every change until interrupted' },
  forgetCluster: { long: 'forget-cluster', doc: 'reload: learn the cluster anew, after pg_upgrade' },
  all: { long: 'all', doc: 'resolve: every candidate, not only the first' },
  dryRun: { long: 'dry-run', doc: 'watchdog terminate: only show what would be ended' },
  name: { short: 'N', long: 'name', value: 'NAME', doc: 'register: the instance is conmgr@NAME' },
  user: { short: 'U', long: 'user', value: 'USER', doc: 'register: run as USER, default: owner of DIR' },
  writeLimits: { long: 'write-limits', doc: 'register: raise LimitNOFILE= of the unit' },
  follow: { short: 'f', long: 'follow', doc: 'logs: show what comes until interrupted' },
  lines: { short: 'n', long: 'lines', value: 'LINES', doc: 'logs: show the last LINES lines' },
  help: { short: '?', long: 'help', doc: 'print this help, then exit' },
  version: { short: 'V', long: 'version', doc: 'print the version, then exit' },
} as const satisfies Readonly<Record<string, OptionSpec>>;
export type OptionName = keyof typeof OPTIONS;

/** What the options of a command line say, defaults put in. */
export interface CtlOptions {
  /** -D, else what the environment has; undefined when neither does. */
  readonly directory: string | undefined;
  /** 0 = for ever. */
  readonly timeoutMs: number;
  readonly wait: boolean;
  readonly silent: boolean;
  /** undefined: the default of the mode. */
  readonly stopMode: (typeof STOP_MODE_CHOICES)[number] | undefined;
  readonly logFile: string | undefined;
  /** undefined: found out. */
  readonly manager: (typeof MANAGER_CHOICES)[number] | undefined;
  readonly complete: boolean;
  readonly show: (typeof SHOW_CHOICES)[number];
  readonly json: boolean;
  readonly watch: boolean;
  readonly forgetCluster: boolean;
  readonly all: boolean;
  readonly dryRun: boolean;
  readonly name: string | undefined;
  readonly user: string | undefined;
  readonly writeLimits: boolean;
  readonly follow: boolean;
  readonly lines: number | undefined;
}

/** `-D`, or `--complete` for an option without a short name. */
export function optionText(name: OptionName): string {
  const { short, long }: OptionSpec = OPTIONS[name];
  return short === undefined ? `--${long}` : `-${short}`;
}
