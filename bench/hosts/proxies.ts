/** Proxies that watch their servers: two hosts, the second for when the first is lost. */
import { haproxyKind, type Peer, pgpoolKind, startPeers } from '../gateway/peers.js';

const SERVER_PORT = 5432;
export const HAPROXY = 'HAProxy, inter 2s fall 3 on-marked-down shutdown-sessions';
export const PGPOOL = 'Pgpool-II, health_check_period 2 s, 2 retries after 1 s';

/** Starts those that are installed; the others are named in `missing`, with how to install them. */
export async function startProxies(
  hosts: readonly [string, string],
): Promise<{ readonly proxies: Peer[]; readonly missing: string[] }> {
  const haproxy = haproxyKind(
    HAPROXY,
    (port) => `  default-server inter 2s fall 3 on-marked-down shutdown-sessions
  server one ${hosts[0]}:${port} check
  server two ${hosts[1]}:${port} check backup`,
  );
  const pgpool = pgpoolKind(
    PGPOOL,
    (port) => `
backend_hostname0 = '${hosts[0]}'
backend_port0 = ${port}
backend_hostname1 = '${hosts[1]}'
backend_port1 = ${port}
num_init_children = 8
health_check_period = 2
health_check_timeout = 2
health_check_max_retries = 2
health_check_retry_delay = 1
health_check_user = 'postgres'
health_check_database = 'postgres'
connect_timeout = 2000
`,
  );
  const { peers, missing } = await startPeers(SERVER_PORT, [haproxy, pgpool]);
  return { proxies: peers, missing };
}
