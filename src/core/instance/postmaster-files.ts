/** The two files by which a postmaster says where it is and how it was started. */

/**
 * Line 8 of postmaster.pid (PostgreSQL src/include/utils/pidfile.h, PM_STATUS_*). standby: up, but not accepting
 * connections.
 */
export const POSTMASTER_STATUSES = ['starting', 'stopping', 'ready', 'standby'] as const;
export type PostmasterStatus = (typeof POSTMASTER_STATUSES)[number];

/** What postmaster.pid tells. */
export interface PostmasterPid {
  /** Negative: a single-user backend (PostgreSQL src/backend/utils/init/miscinit.c, CreateLockFile). */
  readonly pid: number;
  /** Seconds since 1970, 0 where the line is missing. */
  readonly startTime: number;
  readonly port: number;
  /** First Unix socket directory; '' for none. */
  readonly socketDirectory: string;
  /** First listen address or `*`; '' for none. */
  readonly listenAddress: string;
  /** undefined while the postmaster has not written it. */
  readonly status: PostmasterStatus | undefined;
}

/** Reads postmaster.pid; undefined while it is empty or not one, as in the moment of its creation. */
export function parsePostmasterPid(text: string): PostmasterPid | undefined {
  const lines = text.split('\n').map((line) => line.trim());
  const pid = Number(lines[0]);
  if (lines[0] === undefined || lines[0] === '' || !Number.isInteger(pid) || pid === 0) return undefined;
  return {
    pid,
    startTime: Number(lines[2]) || 0,
    port: Number(lines[3]) || 0,
    socketDirectory: lines[4] ?? '',
    listenAddress: lines[5] ?? '',
    status: POSTMASTER_STATUSES.find((status) => status === lines[7]),
  };
}

/** What postmaster.opts tells: the program and its arguments. */
export interface PostmasterOptions {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * Reads postmaster.opts: the program, then each argument in double quotes after a blank, nothing escaped (PostgreSQL
 * src/backend/postmaster/postmaster.c, CreateOptsFile). So a quote inside an argument cannot be told from its end
 * unless a blank and a quote follow, which is how arguments are told apart here. undefined for an empty file.
 */
export function parsePostmasterOpts(text: string): PostmasterOptions | undefined {
  const line = text.replace(/\n$/, '');
  const start = line.indexOf(' "');
  const program = start === -1 ? line : line.slice(0, start);
  if (program === '') return undefined;
  if (start === -1) return { program, args: [] };
  return {
    program,
    args: line
      .slice(start + 2)
      .replace(/"$/, '')
      .split('" "'),
  };
}

/** Flags of postgres that take their value as the next argument (PostgreSQL documentation, postgres). */
const VALUED_FLAGS = 'BcDdfhkNprStvW';

/**
 * The arguments that settings depend on: everything but the data directory and what would start a server in another
 * way. They come before `-C NAME`.
 */
export function settingArguments(args: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? '';
    const flag = /^-([A-Za-z])(.*)$/s.exec(arg);
    const valued = flag !== null && VALUED_FLAGS.includes(flag[1] ?? '');
    const value = valued && flag[2] === '' ? args[index + 1] : undefined;
    if (valued && flag[2] === '') index += 1;
    if (flag?.[1] === 'D') continue;
    kept.push(arg, ...(value === undefined ? [] : [value]));
  }
  return kept;
}
