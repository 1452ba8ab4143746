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
  const toSuperuser = 'user=postgres dbname=postgres';
  screen.line();
  screen.line(bold('It stays up until Ctrl-C. Try in another terminal, in this directory:'));
  for (const line of [
    `export CMDATA=${cluster.directory}`,
    `${control} status --watch`,
    `${control} resolve read-write`,
    `psql "$(${control} resolve prefer-standby) ${toSuperuser}" -c 'table demo_row limit 5'`,
    dim('# freeze the primary as in scene 1, promote the standby, end the frozen one'),
    `kill -STOP ${[...db1.server.processes(), db1.watchdogPid].join(' ')}`,
    `psql "host=${db2.server.host} port=${db2.server.port} ${toSuperuser}" -c 'select pg_promote()'`,
    `kill -KILL ${db1.server.pid}`,
  ]) {
    screen.line(`  ${line}`);
  }
  screen.line();
  stage.origin = now();
  stage.columns();
  return new Promise(() => {});
}
