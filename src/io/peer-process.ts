/**
 * Which process of this host is at the other end of a loopback connection: what `ss -tnp` shows, without `ss`.
 *
 * /proc/net/tcp and tcp6 give owner and inode of a socket, /proc/PID/fd the process that has the inode (proc(5)).
 * The latter is open to the owner of the process and to root only, so a pid may stay unknown.
 */
import { type FileHandle, open, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { userNames } from './users.js';

/** A connection from the point of view of the process that is looked for. */
export interface PeerConnection {
  readonly localPort: number;
  readonly remotePort: number;
}

/** Who is behind a connection; null for what this process may not see or what is gone. */
export interface PeerProcess {
  readonly pid: number | null;
  /** Name of the program as the kernel has it, at most 15 bytes (comm of proc(5)); `node` for Node.js. */
  readonly program: string | null;
  /** Name of the user, or its number where /etc/passwd does not have it. */
  readonly user: string | null;
}

/** For tests: other places of the files of the system. */
export interface PeerProcessSources {
  readonly proc: string;
  readonly passwd: string;
}

const SYSTEM: PeerProcessSources = { proc: '/proc', passwd: '/etc/passwd' };
const NOBODY_FOUND: PeerProcess = { pid: null, program: null, user: null };

/** Bounds of one look; a host that exceeds them gets nulls. */
const MAX_TABLE_BYTES = 64 * 1024 * 1024;
const MAX_PROCESSES = 20_000;
const MAX_DESCRIPTORS = 200_000;
/** Links of one process read at a time. */
const LINKS_AT_ONCE = 64;

interface FoundSocket {
  readonly uid: number;
  readonly inode: string;
}

/**
 * Looks up many connections at once; the result has an entry for each, in order. Both ends must have loopback
 * addresses. A pair of ports that two connections share (one over IPv4, one over IPv6) is nobody's. Never rejects.
 */
export async function findPeerProcesses(
  connections: readonly PeerConnection[],
  sources: PeerProcessSources = SYSTEM,
): Promise<PeerProcess[]> {
  // Has a key for every pair of ports that is asked for.
  const sockets = new Map<string, FoundSocket | undefined>();
  for (const { localPort, remotePort } of connections) sockets.set(`${localPort} ${remotePort}`, undefined);
  const seen = new Set<string>();
  for (const table of ['net/tcp', 'net/tcp6']) await findSockets(join(sources.proc, table), sockets, seen);

  const found = connections.map(({ localPort, remotePort }) => sockets.get(`${localPort} ${remotePort}`));
  const wanted = found.filter((socket) => socket !== undefined);
  if (wanted.length === 0) return connections.map(() => NOBODY_FOUND);
  const [users, pids] = await Promise.all([userNames(sources.passwd), processesOf(wanted, sources.proc)]);
  const programs = new Map<number, string | null>();
  for (const pid of new Set(pids.values())) programs.set(pid, await programName(sources.proc, pid));
  return found.map((socket) => {
    if (socket === undefined) return NOBODY_FOUND;
    const pid = pids.get(socket.inode) ?? null;
    return {
      pid,
      program: pid === null ? null : (programs.get(pid) ?? null),
      user: users.get(socket.uid) ?? String(socket.uid),
    };
  });
}

/** Fills in what a table of sockets knows. Reads in pieces, so that other work of the process goes on between. */
async function findSockets(
  file: string,
  sockets: Map<string, FoundSocket | undefined>,
  seen: Set<string>,
): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file);
    const buffer = Buffer.alloc(64 * 1024);
    let rest = '';
    for (let total = 0; total < MAX_TABLE_BYTES; ) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      total += bytesRead;
      const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) takeSocket(line, sockets, seen);
    }
  } catch {
    // A kernel without IPv6 has no tcp6.
  } finally {
    await handle?.close();
  }
}

/** One line: number, local, remote, state, queues, timer, retransmissions, uid, timeout, inode. */
function takeSocket(line: string, sockets: Map<string, FoundSocket | undefined>, seen: Set<string>): void {
  const fields = line.trim().split(/\s+/, 10);
  const local = endpoint(fields[1]);
  const remote = endpoint(fields[2]);
  if (local === undefined || remote === undefined) return;
  const key = `${local} ${remote}`;
  const inode = fields[9] ?? '0';
  // A connection in TIME_WAIT belongs to no process.
  if (!sockets.has(key) || inode === '0') return;
  sockets.set(key, seen.has(key) ? undefined : { uid: Number(fields[7]), inode });
  seen.add(key);
}

/** Loopback addresses as the kernel prints them, 32-bit words in the order of the machine (little-endian). */
const LOOPBACK = /^(?:0000000000000000FFFF0000)?[0-9A-F]{6}7F$|^00000000000000000000000001000000$/;

/** The port of `ADDRESS:PORT` in hexadecimal digits, undefined when the address is not loopback. */
function endpoint(text = ''): number | undefined {
  const [address = '', port = ''] = text.split(':');
  return LOOPBACK.test(address) ? Number.parseInt(port, 16) : undefined;
}

/** The processes that hold these sockets, by inode. */
async function processesOf(
  sockets: readonly FoundSocket[],
  proc: string,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const missing = new Set(sockets.map(({ inode }) => inode));
  const mine = process.geteuid?.() ?? 0;
  const owners = new Set(sockets.map(({ uid }) => uid));
  let descriptors = 0;
  for (const pid of await processIds(proc)) {
    const directory = join(proc, String(pid));
    try {
      const { uid } = await stat(directory);
      // Somebody else's descriptors can be read by root only; root's own process may serve another user's socket.
      if (mine !== 0 && uid !== mine) continue;
      if (mine === 0 && uid !== 0 && !owners.has(uid)) continue;
      const names = await readdir(join(directory, 'fd'));
      descriptors += names.length;
      if (descriptors > MAX_DESCRIPTORS) break;
      await takeDescriptors(join(directory, 'fd'), names, (inode) => {
        if (missing.delete(inode)) found.set(inode, pid);
      });
    } catch {
      // The process has ended meanwhile, or is not ours to look into.
    }
    if (missing.size === 0) break;
  }
  return found;
}

async function processIds(proc: string): Promise<number[]> {
  try {
    const names = await readdir(proc);
    // Parents come before children that inherited a socket.
    const pids = names.filter((name) => /^[0-9]+$/.test(name)).map(Number);
    return pids.sort((a, b) => a - b).slice(0, MAX_PROCESSES);
  } catch {
    return [];
  }
}

async function takeDescriptors(
  directory: string,
  names: readonly string[],
  onSocket: (inode: string) => void,
): Promise<void> {
  for (let start = 0; start < names.length; start += LINKS_AT_ONCE) {
    const links = names.slice(start, start + LINKS_AT_ONCE).map((name) => readlink(join(directory, name)));
    for (const link of await Promise.allSettled(links)) {
      const inode = link.status === 'fulfilled' ? /^socket:\[([0-9]+)\]$/.exec(link.value)?.[1] : undefined;
      if (inode !== undefined) onSocket(inode);
    }
  }
}

/** What recent releases of Node.js name their first thread, and with it the process. */
const NODE_THREAD = 'MainThread';

async function programName(proc: string, pid: number): Promise<string | null> {
  const read = (name: string): Promise<string> => readFile(join(proc, String(pid), name), 'utf8');
  try {
    const name = (await read('comm')).replace(/\n$/, '');
    if (name !== NODE_THREAD) return name;
    const [command = ''] = (await read('cmdline')).split('\0');
    return basename(command) || name;
  } catch {
    return null;
  }
}
