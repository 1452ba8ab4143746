/** Descriptors that systemd passes at start: those of the store, each with its name (sd_listen_fds_with_names(3)). */

/** One of them; this process's from now on. */
export interface StoredDescriptor {
  readonly fd: number;
  /** As it was stored; '' = not told. */
  readonly name: string;
}

/** The first one (SD_LISTEN_FDS_START). */
const FIRST = 3;
/** More than any limit on open files. */
const MOST = 1 << 20;

/**
 * Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES and takes them out of `env`, so that no child takes descriptors of
 * other numbers for its own. None where they are meant for another process.
 */
export function takeStoredDescriptors(env: NodeJS.ProcessEnv, pid: number = process.pid): StoredDescriptor[] {
  const { LISTEN_PID: whose, LISTEN_FDS: count = '', LISTEN_FDNAMES: names = '' } = env;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  if (whose !== String(pid) || !/^[1-9]\d{0,6}$/.test(count)) return [];
  const words = names.split(':');
  return Array.from({ length: Math.min(Number(count), MOST) }, (_none, at) => ({
    fd: FIRST + at,
    name: words[at] ?? '',
  }));
}
