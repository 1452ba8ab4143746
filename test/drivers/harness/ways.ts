/** The ways in which a stock driver profits from conmgr, and what each asks of conmgr.conf and of the driver. */
import type { ConmgrSettings } from '../../support/conmgr-process.js';
import type { Connection, Place, Target } from './connection.js';
import type { Driver } from './drivers.js';

export type WayName = 'gateway';

/** The ports of conmgr, by target; as documented, and the gateway's own port for writers. */
export const PORTS: Readonly<Record<Target, number>> = {
  primary: 27547,
  standby: 27548,
  any: 27549,
  'prefer-standby': 27550,
};

/** Where the servers listen, on their own hosts. */
export const SERVER_PORT = 5432;

/** A server as a directly connected application knows it. */
export interface DirectServer extends Place {
  readonly role: 'primary' | 'standby';
}

export interface Way {
  readonly name: WayName;
  /** Whether drivers are told the addresses of the servers. */
  readonly direct: boolean;
  readonly settings: ConmgrSettings;
  /** Where a driver goes for `target`, and what it must look at by itself. */
  route(
    driver: Driver,
    target: Target,
    servers: readonly DirectServer[],
  ): Pick<Connection, 'places' | 'target'>;
}

function listeners(mode: string): ConmgrSettings {
  const rows = Object.entries(PORTS).flatMap(([target, port], number) => [
    [`listener_port${number}`, port],
    [`listener_target_session_attrs${number}`, target],
    ...(mode === 'gateway' ? [] : [[`listener_mode${number}`, mode] as const]),
  ]);
  return Object.fromEntries(rows);
}

export const WAYS: readonly Way[] = [
  {
    name: 'gateway',
    direct: false,
    settings: listeners('gateway'),
    route: (_driver, target) => ({ places: [{ host: 'localhost', port: PORTS[target] }] }),
  },
];
