/** Proxies that watch their servers: two hosts, the second for when the first is lost. */
import { join } from 'node:path';
import { findProgram, type Peer, type PeerKind, startPeer } from '../gateway/peers.js';

const SERVER_PORT = 5432;
export const HAPROXY = 'HAProxy, inter 2s fall 3 on-marked-down shutdown-sessions';
export const PGPOOL = 'Pgpool-II, health_check_period 2 s, 2 retries after 1 s';

const kinds = (hosts: readonly [string, string]): readonly PeerKind[] => [
  {
    name: HAPROXY,
    package: 'haproxy',
    program: 'haproxy',
    files: (port) => ({
      'haproxy.cfg': `
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen postgres
  bind 127.0.0.1:${port}
  default-server inter 2s fall 3 on-marked-down shutdown-sessions
  server one ${hosts[0]}:${SERVER_PORT} check
  server two ${hosts[1]}:${SERVER_PORT} check backup
`,
    }),
    args: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
    stop: 'SIGKILL',
  },
  {
    name: PGPOOL,
    package: 'pgpool2',
    program: 'pgpool',
    files: (port, _server, folder) => ({
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
backend_hostname0 = '${hosts[0]}'
backend_port0 = ${SERVER_PORT}
backend_hostname1 = '${hosts[1]}'
backend_port1 = ${SERVER_PORT}
enable_pool_hba = off
num_init_children = 8
max_pool = 1
health_check_period = 2
health_check_timeout = 2
health_check_max_retries = 2
health_check_retry_delay = 1
health_check_user = 'postgres'
health_check_database = 'postgres'
connect_timeout = 2000
`,
      'pcp.conf': '',
      'pool_hba.conf': '',
    }),
    args: (folder) => [
      ...['-n', '-f', join(folder, 'pgpool.conf'), '-F', join(folder, 'pcp.conf')],
      ...['-a', join(folder, 'pool_hba.conf')],
    ],
    stop: 'SIGINT',
  },
];

/** Starts those that are installed; the others are named in `missing`, with how to install them. */
export async function startProxies(
  hosts: readonly [string, string],
): Promise<{ readonly proxies: Peer[]; readonly missing: string[] }> {
  const [proxies, missing]: [Peer[], string[]] = [[], []];
  for (const kind of kinds(hosts)) {
    const program = findProgram(kind.program);
    if (program === undefined) missing.push(`${kind.name} is not installed: apt-get install ${kind.package}`);
    else proxies.push(await startPeer(kind, program, SERVER_PORT));
  }
  return { proxies, missing };
}
