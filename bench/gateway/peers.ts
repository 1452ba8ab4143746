/**
 * Proxies that are measured beside the gateway, as their packages of Debian bring them: each in front of one server,
 * with what it needs to take so many clients and otherwise its own defaults.
 */
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { eventually } from '../../test/support/eventually.js';
import { freePort } from '../../test/support/free-ports.js';
import { asServer, giveToServers } from '../../test/support/postgres-account.js';
import { type Running, startCommand } from '../../test/support/running.js';
import { temporaryDirectory } from '../../test/support/tree.js';

/** A proxy that runs. */
export interface Peer {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<unknown>;
}

/** How a proxy is started. */
export interface PeerKind {
  readonly name: string;
  /** Of Debian, for whom it is missing. */
  readonly package: string;
  readonly program: string;
  /** Files of its configuration by name, for a proxy on `port` in front of `server`; `folder` is where they are. */
  readonly files: (port: number, server: number, folder: string) => Readonly<Record<string, string>>;
  readonly args: (folder: string) => readonly string[];
  /** What ends it at once, and all its processes. */
  readonly stop: NodeJS.Signals;
}

/** More than any measurement has. */
const MOST_CLIENTS = 72;

/** Pgpool-II that only forwards. `settings`: its servers, and how many clients it takes. */
export function pgpoolKind(name: string, settings: (server: number) => string): PeerKind {
  return {
    name,
    package: 'pgpool2',
    program: 'pgpool',
    files: (port, server, folder) => ({
      'pgpool.conf': `
backend_clustering_mode = 'raw'
listen_addresses = '127.0.0.1'
port = ${port}
socket_dir = '${folder}'
pcp_socket_dir = '${folder}'
pcp_listen_addresses = ''
pid_file_name = '${join(folder, 'pgpool.pid')}'
work_dir = '${folder}'
logdir = '${folder}'
enable_pool_hba = off
max_pool = 1
${settings(server)}`,
      'pcp.conf': '',
      'pool_hba.conf': '',
    }),
    args: (folder) => [
      ...['-n', '-f', join(folder, 'pgpool.conf'), '-F', join(folder, 'pcp.conf')],
      ...['-a', join(folder, 'pool_hba.conf')],
    ],
    // Killed, it would leave its children.
    stop: 'SIGINT',
  };
}

/** HAProxy that only forwards. `servers`: their lines, and what they are checked by. */
export function haproxyKind(name: string, servers: (server: number) => string): PeerKind {
  return {
    name,
    package: 'haproxy',
    program: 'haproxy',
    files: (port, server) => ({
      'haproxy.cfg': `
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen postgres
  bind 127.0.0.1:${port}
${servers(server)}
`,
    }),
    args: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
    stop: 'SIGKILL',
  };
}

const PEERS: readonly PeerKind[] = [
  haproxyKind('HAProxy', (server) => `  server one 127.0.0.1:${server}`),
  {
    name: 'PgBouncer, session',
    package: 'pgbouncer',
    program: 'pgbouncer',
    files: (port, server, folder) => ({
      'pgbouncer.ini': `
[databases]
postgres = host=127.0.0.1 port=${server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = ${MOST_CLIENTS}
logfile = ${join(folder, 'log')}
`,
    }),
    args: (folder) => [join(folder, 'pgbouncer.ini')],
    stop: 'SIGKILL',
  },
  pgpoolKind(
    'Pgpool-II',
    (server) => `
backend_hostname0 = '127.0.0.1'
backend_port0 = ${server}
num_init_children = ${MOST_CLIENTS}
`,
  ),
];

/** The path of a program, also of those that only root has in its PATH. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Starts those that are installed; the others are named in `missing`, with how to install them. */
export async function startPeers(
  server: number,
  kinds: readonly PeerKind[] = PEERS,
): Promise<{ readonly peers: Peer[]; readonly missing: string[] }> {
  const [peers, missing]: [Peer[], string[]] = [[], []];
  for (const kind of kinds) {
    const program = findProgram(kind.program);
    if (program === undefined) missing.push(`${kind.name} is not installed: apt-get install ${kind.package}`);
    else peers.push(await startPeer(kind, program, server));
  }
  return { peers, missing };
}

/** Starts a proxy, whose program is there, in front of a server, and returns when it listens. */
async function startPeer(kind: PeerKind, program: string, server: number): Promise<Peer> {
  const folder = temporaryDirectory('peer-');
  const port = await freePort();
  for (const [name, text] of Object.entries(kind.files(port, server, folder))) {
    const file = join(folder, name);
    writeFileSync(file, text);
    chmodSync(file, 0o644);
  }
  giveToServers(folder);
  const running = startCommand(program, kind.args(folder), { within: asServer(), cwd: folder });
  await listens(running, port, kind.name);
  return { name: kind.name, port, pid: running.pid, stop: () => running.stop(kind.stop) };
}

async function listens(running: Running, port: number, name: string): Promise<void> {
  let ended = false;
  void running.done.then(() => {
    ended = true;
  });
  await eventually(async () => ended || (await accepts(port)), { what: `${name} listens` });
  if (ended) throw new Error(`${name} ended at its start:\n${running.lines.join('\n')}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (outcome: boolean): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}

/** CPU time of a process and of all below it, those that have ended included, in ms (resolution 10 ms). */
export function cpuMsWithChildren(root: number): number {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        return [{ pid: Number(pid), fields: stat.slice(stat.lastIndexOf(')') + 2).split(' ') }];
      } catch {
        return [];
      }
    });
  let ticks = 0;
  const waiting = [root];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    for (const one of stats) {
      if (Number(one.fields[1]) === pid) waiting.push(one.pid);
      // utime, stime, cutime and cstime of proc(5), in clock ticks, of which there are 100 a second on every Linux.
      if (one.pid === pid) for (const at of [11, 12, 13, 14]) ticks += Number(one.fields[at]);
    }
  }
  return ticks * 10;
}
