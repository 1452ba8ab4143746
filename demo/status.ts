/** cm_ctl status at a stage of the demo: what it says, in a line, and whether that is the truth. */
import type { InstanceStatus, StatusReport } from '../src/core/control/protocol.js';
import { runProgram } from '../test/support/programs.js';
import type { Cluster } from './cluster.js';

/** What must be so: the role of each instance by its number; `lost` and `down` say that it cannot be used. */
export type Truth = readonly ('primary' | 'standby' | 'lost' | 'down')[];

/** The application_name of the writer, by which cm_ctl status shows it. */
export const WRITER = 'demo writer';

/** What cm_ctl says of an instance, in the words of `Truth`. */
function roleIn({ health, state, role }: InstanceStatus): string {
  if (health === 'lost') return 'lost';
  return state === 'up' ? role : state;
}

function describe(instance: InstanceStatus, name: string): string {
  const role = roleIn(instance);
  return role === 'lost' || role === 'down' ? `${name} ${role}: ${instance.reason}` : `${name} ${role}`;
}

/**
 * Runs `cm_ctl status` and returns what it says of the instances. Throws unless that is the truth, with the primary
 * offered, if there is one, and the writer's session shown where it is.
 */
export async function status({ directory, hosts }: Cluster, truth: Truth): Promise<string> {
  const { code, stdout, stderr } = await runProgram('cm_ctl', ['status', '-D', directory, '--json']);
  if (code !== 0) throw new Error(`cm_ctl status ended with ${code}: ${stderr}`);
  const { instances, primary, applications } = JSON.parse(stdout) as StatusReport;
  const said = instances.map((one) => describe(one, hosts[one.number]?.name ?? '')).join('; ');
  const wrong = (what: string) => new Error(`cm_ctl status does not tell the truth: ${what}`);
  if (instances.map(roleIn).join() !== truth.join()) throw wrong(`${said} instead of ${truth.join(', ')}`);
  const offered = truth.includes('primary') ? truth.indexOf('primary') : null;
  if (primary !== offered) throw wrong(`primary ${primary} instead of ${offered}`);
  const writer = applications.find(({ application }) => application === WRITER);
  if (offered !== null && writer?.instance !== offered) {
    throw wrong(`the writer is on instance ${writer?.instance} instead of ${offered}`);
  }
  return said;
}
