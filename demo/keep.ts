/** `make demo KEEP=1`: everything stays up, and the screen shows what is done to it from outside. */
import { relative } from 'node:path';
import { built } from '../test/support/programs.js';
import { inTree } from '../test/support/tree.js';
import { now } from './history.js';
import { comeBack } from './scenes.js';
import type { Stage } from './stage.js';

/** Never returns: Ctrl-C ends the demo. */
export async function stayUp(stage: Stage): Promise<never> {
  const { screen, cluster } = stage;
  const [db1, db2] = cluster.hosts;
  stage.resume();
  await comeBack(stage, db2, db1);
  const { bold, dim } = screen.paint;
  const control = relative(inTree('.'), built('bin/cm_ctl'));
  const postmaster = db1.server.pid;
  const allOfServer = `${postmaster} $(pgrep -P ${postmaster})`;
  screen.line();
  screen.line(bold('It stays up until Ctrl-C. Try in another terminal, in this directory:'));
  for (const line of [
    `export CMDATA=${cluster.directory}`,
    'export PGUSER=postgres PGDATABASE=postgres',
    `${control} status --watch`,
    `${control} resolve read-write`,
    `psql "$(${control} resolve prefer-standby)" -c 'table demo_row limit 5'`,
    dim('# freeze the primary with its watchdog, promote the standby, switch db1 off'),
    `kill -STOP ${allOfServer} ${db1.watchdogPid}`,
    `psql -h ${db2.server.host} -p ${db2.server.port} -c 'select pg_promote()'`,
    `kill -KILL ${allOfServer}`,
  ]) {
    screen.line(`  ${line}`);
  }
  screen.line();
  stage.origin = now();
  stage.columns();
  return new Promise(() => {});
}
