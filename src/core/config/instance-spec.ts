/**
 * The numbered parameters of conmgr.conf, one set for each instance and one for each further listener, and
 * the pieces that both tables of conmgr.conf are made of.
 */

import { TARGET_REFUSALS, TARGET_SYNONYMS, TARGETS } from '../cluster/target-session.js';
import { host, ipAddress } from './host-types.js';
import type { ParameterTable, ValuesOf } from './parameter.js';
import type { InstanceConfig, ListenerConfig } from './types.js';
import { port } from './value-type.js';
import { boolean, oneOf } from './word-types.js';

/** Headings of the sample file, in its order. */
export const SECTIONS = {
  instances: 'Instances',
  applications: 'Applications',
  heartbeat: 'Heartbeat',
  choice: 'Choice of the instance',
  log: 'Log',
} as const;

/** When a change takes effect, and whether this version has the function. */
export const CONSTANT = { applies: 'restart', availability: 'now' } as const;
export const RELOADABLE = { applies: 'reload', availability: 'now' } as const;
export const LATER_RELOADABLE = { applies: 'reload', availability: 'later' } as const;

/** What libpq takes for target_session_attrs, and pgjdbc's words for the same. */
export const targetSessionAttrs = oneOf(TARGETS, { synonyms: TARGET_SYNONYMS, refused: TARGET_REFUSALS });

/** Parameters of one instance; each name ends in the instance's number. */
export const INSTANCE_PARAMETERS = {
  backend_host: {
    type: host(),
    default: undefined,
    ...RELOADABLE,
    section: SECTIONS.instances,
    doc: 'Host name or IP address of instance N. Numbers start at 0 and may have gaps.',
    example: 'db1.example.com',
    of: (instance) => instance.host,
  },
  backend_hostaddr: {
    type: ipAddress(),
    default: undefined,
    ...RELOADABLE,
    section: SECTIONS.instances,
    doc: 'IP address of instance N. It is used without name resolution and wins over backend_hostN.',
    example: '192.0.2.1',
    of: (instance) => instance.hostaddr,
  },
  backend_port: {
    type: port(),
    default: '27500',
    ...RELOADABLE,
    section: SECTIONS.instances,
    doc: 'Port of the postmaster of instance N.',
    of: (instance) => instance.backendPort,
  },
  watchdog_port: {
    type: port(),
    default: '27545',
    ...RELOADABLE,
    section: SECTIONS.instances,
    doc: "Port of the watchdog of instance N: watchdog.port in the instance's postgresql.conf.",
    of: (instance) => instance.watchdogPort,
  },
  backend_guard: {
    type: boolean(),
    default: 'on',
    ...RELOADABLE,
    section: SECTIONS.instances,
    doc: 'Whether guard = on holds for instance N.',
    of: (instance) => instance.guard,
  },
} satisfies ParameterTable<InstanceConfig>;

/** Parameters of one further port for stock drivers; each name ends in the listener's number. */
export const LISTENER_PARAMETERS = {
  listener_port: {
    type: port(),
    default: undefined,
    ...CONSTANT,
    section: SECTIONS.applications,
    doc:
      'A further port for stock drivers, with a target of its own. Numbers start at 0 and may have gaps. By ' +
      'convention 27547 leads to the primary, 27548 to a standby and 27549 to any server.',
    example: '27547',
    of: (listener) => listener.port,
  },
  listener_target_session_attrs: {
    type: targetSessionAttrs,
    default: 'any',
    ...CONSTANT,
    section: SECTIONS.applications,
    doc: 'Which server a connection to listener_portN gets.',
    of: (listener) => listener.target,
  },
  listener_mode: {
    type: oneOf(['auto', 'redirect', 'gateway']),
    default: 'auto',
    ...CONSTANT,
    section: SECTIONS.applications,
    doc:
      'How a connection to listener_portN is served: the kernel leads it straight to the server (redirect), conmgr ' +
      'forwards its bytes (gateway), or the kernel where the service conmgr-helper runs and can do it (auto). What ' +
      'the kernel does not redirect is forwarded in every mode.',
    of: (listener) => listener.mode,
  },
} satisfies ParameterTable<ListenerConfig>;

export type InstanceValues = ValuesOf<typeof INSTANCE_PARAMETERS>;
