/**
 * The parameters of the watchdog. They stand in the postgresql.conf of its instance, where PostgreSQL takes
 * any name with a dot for a setting of an extension and keeps it as unchecked text (PostgreSQL documentation,
 * 20.16 Customized Options). Reading, checking, the listing of values and the manual derive from this table.
 */

import { cidr, listenAddress } from './host-types.js';
import { CONSTANT, LATER_RELOADABLE, RELOADABLE } from './instance-spec.js';
import { logDestinations, logLevel, syslogFacility, syslogIdent } from './log-types.js';
import type { ParameterTable, ValuesOf } from './parameter.js';
import type { WatchdogConfig } from './types.js';
import { bytes, integer, port, time } from './value-type.js';
import { boolean, listOf, oneOf, text } from './word-types.js';

/** Headings of the manual, in its order. */
const SECTIONS = {
  links: 'Links',
  instance: 'The instance',
  terminator: 'Terminator',
  promotion: 'Promotion',
  log: 'Log',
} as const;

/** Faster probes than this would load the instance with forks. */
const SHORTEST_PROBE_MS = 50;

/** Longest path Linux takes (PATH_MAX, with its final NUL). */
const LONGEST_PATH = 4095;

export const WATCHDOG_PARAMETERS = {
  'watchdog.port': {
    type: port(),
    default: '27545',
    ...CONSTANT,
    section: SECTIONS.links,
    doc: 'Port on which the watchdog listens for heartbeat links.',
    of: (config) => config.port,
  },
  'watchdog.listen_addresses': {
    type: listOf(listenAddress()),
    default: undefined,
    otherwise: "the instance's listen_addresses",
    ...CONSTANT,
    section: SECTIONS.links,
    doc: 'Addresses on which the watchdog listens, separated by commas.',
    of: (config) => config.listenAddresses,
  },
  'watchdog.max_heartbeat_connections': {
    type: integer(1),
    default: undefined,
    otherwise: "the instance's max_connections",
    ...RELOADABLE,
    section: SECTIONS.links,
    doc: 'Most heartbeat links at a time.',
    of: (config) => config.maxHeartbeatConnections,
  },
  'watchdog.allowed_clients': {
    type: listOf(cidr()),
    default: undefined,
    otherwise: 'all',
    ...RELOADABLE,
    whenWrong: 'closed',
    section: SECTIONS.links,
    doc: 'Addresses and ranges, separated by commas, from which a conmgr may connect.',
    of: (config) => config.allowedClients,
  },
  'watchdog.ssl': {
    type: boolean(),
    default: 'off',
    ...RELOADABLE,
    whenWrong: 'closed',
    section: SECTIONS.links,
    doc:
      "Whether links use TLS 1.3 with certificates on both ends: the watchdog shows the instance's own ssl_cert_file with " +
      'ssl_key_file, and only a conmgr whose certificate is signed by an authority of ssl_ca_file gets a link. Without ' +
      'ssl_ca_file the heartbeat port stays closed. ssl_crl_file and ssl_crl_dir hold as well; "ssl" itself need not be ' +
      'on. A changed file holds, after a reload of the watchdog, for links that are made from then on.',
    of: (config) => config.ssl,
  },
  'watchdog.secret_file': {
    type: text(LONGEST_PATH),
    default: undefined,
    otherwise: 'none',
    example: '%d/heartbeat-secret',
    ...RELOADABLE,
    whenWrong: 'closed',
    secret: 'file',
    section: SECTIONS.links,
    doc:
      'File with the secret that conmgr and the watchdogs share, as "cm_ctl secret" makes it: only a conmgr that knows ' +
      'it gets a link, over TLS 1.3. It is refused when group or others may read it. A relative name is one in the ' +
      'data directory, which base backups copy; %d/NAME is a credential of the systemd unit. A second line in the ' +
      'file is a secret that is good as well, for the time in which it is exchanged. It excludes watchdog.ssl.',
    of: (config) => config.secretFile,
  },
  'watchdog.status_port': {
    type: integer(0, 65535),
    default: '0',
    ...CONSTANT,
    section: SECTIONS.links,
    doc:
      'Loopback port on which /metrics (Prometheus), /status (JSON) and a page for people can be had over HTTP, by ' +
      'every user of this host; 0 means off.',
    of: (config) => config.statusPort,
  },

  'watchdog.check_attr_interval': {
    type: time('ms', 1),
    default: '1000',
    ...RELOADABLE,
    section: SECTIONS.instance,
    doc: 'How often the attributes of the instance are checked; a change is told to every conmgr at once.',
    of: (config) => config.checkAttrIntervalMs,
  },
  'watchdog.probe_interval': {
    type: time('s', SHORTEST_PROBE_MS),
    default: '10',
    ...RELOADABLE,
    section: SECTIONS.instance,
    doc: 'How often the watchdog tries whether the postmaster still takes connections.',
    of: (config) => config.probeIntervalMs,
  },
  'watchdog.probe_timeout': {
    type: time('s', SHORTEST_PROBE_MS),
    default: '20',
    ...RELOADABLE,
    section: SECTIONS.instance,
    doc: 'A postmaster that has not answered for this long is not offered to new sessions.',
    of: (config) => config.probeTimeoutMs,
  },

  'watchdog.terminate_on': {
    type: oneOf(['any', 'lost', 'never']),
    default: 'any',
    ...RELOADABLE,
    whenWrong: 'log-only',
    section: SECTIONS.terminator,
    doc:
      'Which ends of a link end the SQL sessions of its client: every one, a stop of conmgr included (any), ' +
      'only its loss (lost), or none, which are then only logged (never).',
    of: (config) => config.terminateOn,
  },
  'watchdog.terminate_scope': {
    type: oneOf(['address', 'monitored']),
    default: 'address',
    ...RELOADABLE,
    whenWrong: 'log-only',
    section: SECTIONS.terminator,
    doc:
      "Which SQL sessions are ended: all from the client's address (address), or those that a conmgr " +
      'reported as its own (monitored).',
    of: (config) => config.terminateScope,
  },
  'watchdog.restart_grace': {
    type: time('s', 0),
    default: '10',
    ...RELOADABLE,
    section: SECTIONS.terminator,
    doc: 'How long a conmgr or watchdog that is being restarted may stay away before that counts as a loss.',
    of: (config) => config.restartGraceMs,
  },
  'watchdog.exclude_replication': {
    type: boolean(),
    default: 'on',
    ...RELOADABLE,
    section: SECTIONS.terminator,
    doc: 'Whether replication connections are spared: ending them would end standbys and base backups.',
    of: (config) => config.excludeReplication,
  },

  'watchdog.promote': {
    type: oneOf(['off', 'manual-only', 'auto']),
    default: 'off',
    ...LATER_RELOADABLE,
    section: SECTIONS.promotion,
    doc: 'Whether the watchdog of a standby promotes it when the primary is gone.',
  },
  'watchdog.promote_max_lag': {
    type: bytes(0),
    default: undefined,
    ...LATER_RELOADABLE,
    section: SECTIONS.promotion,
    doc: 'A standby that is further behind than this is not promoted automatically.',
  },

  'watchdog.log_destination': {
    type: logDestinations,
    default: 'stderr',
    ...RELOADABLE,
    section: SECTIONS.log,
    doc: 'Where messages go; several places are separated by commas.',
    of: (config) => config.log.destinations,
  },
  'watchdog.log_min_messages': {
    type: logLevel,
    default: 'WARNING',
    ...RELOADABLE,
    section: SECTIONS.log,
    doc: 'Lowest level that is written. LOG ranks above ERROR, as in PostgreSQL.',
    of: (config) => config.log.minMessages,
  },
  'watchdog.syslog_facility': {
    type: syslogFacility,
    default: 'LOCAL0',
    ...RELOADABLE,
    section: SECTIONS.log,
    doc: 'Facility of messages to syslog.',
    of: (config) => config.log.syslogFacility,
  },
  'watchdog.syslog_ident': {
    type: syslogIdent,
    default: 'watchdog',
    ...RELOADABLE,
    section: SECTIONS.log,
    doc: 'Program name of messages to syslog.',
    of: (config) => config.log.syslogIdent,
  },
} satisfies ParameterTable<WatchdogConfig>;

/** The values of WATCHDOG_PARAMETERS. */
export type WatchdogValues = ValuesOf<typeof WATCHDOG_PARAMETERS>;
