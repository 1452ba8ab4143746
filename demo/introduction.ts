/** What the demo consists of, on one look. */
import { type Cluster, HEARTBEAT_INTERVAL_S, HEARTBEAT_TIMEOUT_S, RESOLVE_WAIT_S } from './cluster.js';
import type { Screen } from './screen.js';
import { PACE_MS } from './writer.js';

/** The picture and who is who. */
export function introduce(screen: Screen, { hosts, port }: Cluster): void {
  const { bold, dim } = screen.paint;
  const line = (text?: string): void => screen.line(text);
  const place = (index: 0 | 1): string => {
    const { name, server } = hosts[index];
    return `${name} ${server.host}:${server.port}`;
  };
  line();
  line(dim('   application host                          database hosts'));
  line(`   writer, reader ====== SQL, directly ====> ${place(0)}, primary`);
  line(`     | ask where, be told of losses          ${place(1)}, standby`);
  line(`   conmgr localhost:${port} --- heartbeat --> a watchdog beside each`);
  line();
  line(` ${bold('with conmgr')}  CmPool of conmgr/client with target_session_attrs=read-write`);
  line(
    `              heartbeat every ${HEARTBEAT_INTERVAL_S} s (default 10), lost after ${HEARTBEAT_TIMEOUT_S} s (default 20),`,
  );
  line(`              who asks for a primary may wait ${RESOLVE_WAIT_S} s for one (default 0)`);
  line(` ${bold('host list')}    plain node-postgres that tries db1, then db2 for one that takes`);
  line("              writes; libpq's default time-outs: none to connect, keepalives on");
  line();
  line(` Both write a row every ${PACE_MS} ms, each under a number of its own. The standby is`);
  line(' synchronous: what was acknowledged is on both servers.');
}
