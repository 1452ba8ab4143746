/** The ways in which a stock driver profits from conmgr, and what each asks of conmgr.conf and of the driver. */
import type { ConmgrSettings } from '../../support/conmgr-process.js';
import type { Connection, Place, Target } from './connection.js';
import type { Driver } from './drivers.js';

export type WayName = 'gateway' | 'redirect' | 'guard';

/** conmgr's own port. */
export const CONMGR_PORT = 27546;

/** The ports of conmgr's listeners, by target; as documented. */
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

export type Route = Pick<Connection, 'places' | 'target'>;

export interface Way {
  readonly name: WayName;
  /** Whether drivers are told the addresses of the servers. */
  readonly direct: boolean;
  /** Whether conmgr-helper and the redirect programs have a part in it. */
  readonly kernel: boolean;
  readonly settings: ConmgrSettings;
  /** Where a driver goes for `target`, and what it must look at by itself. */
  route(driver: Driver, target: Target, servers: readonly DirectServer[]): Route;
}

function listeners(mode: string): ConmgrSettings {
  const rows = Object.entries(PORTS).flatMap(([target, port], number) => [
    [`listener_port${number}`, port],
    [`listener_target_session_attrs${number}`, target],
    [`listener_mode${number}`, mode],
  ]);
  return Object.fromEntries(rows);
}

const toListener: Way['route'] = (_driver, target) => ({
  places: [{ host: 'localhost', port: PORTS[target] }],
});

export const WAYS: readonly Way[] = [
  {
    name: 'gateway',
    direct: false,
    kernel: false,
    settings: listeners('gateway'),
    route: toListener,
  },
  {
    name: 'redirect',
    direct: false,
    kernel: true,
    settings: { guard: 'on', ...listeners('redirect') },
    route: toListener,
  },
  {
    name: 'guard',
    direct: true,
    kernel: true,
    settings: { guard: 'on' },
    route: ({ without }, target, servers) => {
      const role = target === 'primary' ? 'primary' : 'standby';
      // Those that fit first, for drivers that do not get past a lost one.
      const places = [...servers]
        .sort((one, other) => Number(other.role === role) - Number(one.role === role))
        .map(({ host, port }) => ({ host, port }));
      // Who takes one place only, or cannot choose, is told the right one by whoever writes its string.
      const chooses = target !== 'prefer-standby' || without[target] === undefined;
      if (without['several hosts'] === undefined && chooses) return { places, target };
      return { places: places.slice(0, 1) };
    },
  },
];
