/**
 * The parameters of conmgr.conf. This table is the only place where they stand: reading, checking, the sample
 * file, `cm_ctl check` and the manual page conmgr.conf(5) derive from it.
 *
 * Names, units and defaults of the parameters up to `max_connections` are those of the product whose files
 * work here unchanged. Each of the others has a default with which such a file behaves as it did.
 */

import { listenAddress } from './host-types.js';
import {
  CONSTANT,
  INSTANCE_PARAMETERS,
  LISTENER_PARAMETERS,
  RELOADABLE,
  SECTIONS,
  targetSessionAttrs,
} from './instance-spec.js';
import { logDestinations, logLevel, syslogFacility, syslogIdent } from './log-types.js';
import type { ParameterTable, ValuesOf } from './parameter.js';
import type { ConmgrConfig } from './types.js';
import { bytes, integer, port, time } from './value-type.js';
import { boolean, listOf, oneOf, text } from './word-types.js';

/** A heartbeat faster than this would tell more about schedulers than about servers. */
const SHORTEST_HEARTBEAT_MS = 50;

/** Longest path Linux takes (PATH_MAX, with its final NUL). */
const LONGEST_PATH = 4095;

/** Why sslmode allow and prefer of libpq are none here. */
const NO_NEGOTIATION =
  'a heartbeat link never falls back to plain text, as whoever stands between the hosts could bring that about';

/** Parameters without a number. */
export const CONMGR_PARAMETERS = {
  port: {
    type: port(),
    default: '27546',
    ...CONSTANT,
    section: SECTIONS.applications,
    doc: 'Port on which conmgr listens for applications.',
    of: (config) => config.port,
  },
  listen_addresses: {
    type: listOf(listenAddress()),
    default: 'localhost',
    ...CONSTANT,
    section: SECTIONS.applications,
    doc:
      'Addresses on which conmgr listens for applications, separated by commas. localhost means both ::1 and ' +
      '127.0.0.1. Each application host has its own conmgr; other addresses are meant for tests.',
    of: (config) => config.listenAddresses,
  },
  max_connections: {
    type: integer(0),
    default: '0',
    ...RELOADABLE,
    section: SECTIONS.applications,
    doc: 'Most connections of applications at a time; 0 means no limit.',
    of: (config) => config.maxConnections,
  },
  gateway: {
    type: boolean(),
    default: 'on',
    ...RELOADABLE,
    section: SECTIONS.applications,
    doc:
      'Whether stock drivers, those that do not know conmgr, are served on port by forwarding their bytes. ' +
      'Listeners serve them in any case.',
    of: (config) => config.gateway,
  },
  gateway_target_session_attrs: {
    type: targetSessionAttrs,
    default: 'read-write',
    ...RELOADABLE,
    section: SECTIONS.applications,
    doc:
      'Which server a stock driver that connects to port gets, unless its start-up packet comes in plain text ' +
      "and says otherwise: options='-c conmgr.target_session_attrs=standby'.",
    of: (config) => config.gatewayTargetSessionAttrs,
  },
  guard: {
    type: boolean(),
    default: 'off',
    ...CONSTANT,
    section: SECTIONS.applications,
    doc:
      'Whether local TCP connections to a lost instance are ended in the kernel, for applications that ' +
      'connect to it directly. Needs the service conmgr-helper.',
    of: (config) => config.guard,
  },
  status_port: {
    type: integer(0, 65535),
    default: '0',
    ...CONSTANT,
    section: SECTIONS.applications,
    doc:
      'Loopback port on which /metrics (Prometheus), /status (JSON) and a page for people can be had over HTTP, by ' +
      'every user of this host; 0 means off.',
    of: (config) => config.statusPort,
  },

  heartbeat_interval: {
    type: time('s', SHORTEST_HEARTBEAT_MS),
    default: '10',
    ...RELOADABLE,
    section: SECTIONS.heartbeat,
    doc: 'How often a heartbeat packet is sent, by both ends of each link.',
    of: (config) => config.heartbeatIntervalMs,
  },
  heartbeat_timeout: {
    type: time('s', SHORTEST_HEARTBEAT_MS),
    default: '20',
    ...RELOADABLE,
    section: SECTIONS.heartbeat,
    doc:
      'When no packet has come for longer than this, the link is down and the sessions of the instance are ' +
      'ended. Make it at least twice heartbeat_interval.',
    of: (config) => config.heartbeatTimeoutMs,
  },
  heartbeat_connect_interval: {
    type: time('s', SHORTEST_HEARTBEAT_MS),
    default: '1',
    ...RELOADABLE,
    section: SECTIONS.heartbeat,
    doc: 'Pause between attempts to set a link up again.',
    of: (config) => config.heartbeatConnectIntervalMs,
  },
  heartbeat_connect_timeout: {
    type: time('s', SHORTEST_HEARTBEAT_MS),
    default: '10',
    ...RELOADABLE,
    section: SECTIONS.heartbeat,
    doc:
      'Limit of one attempt to set a link up: the TCP connection, the first packet and the answer of the ' +
      'watchdog to it.',
    of: (config) => config.heartbeatConnectTimeoutMs,
  },
  heartbeat_sslmode: {
    type: oneOf(['disable', 'require', 'verify-ca', 'verify-full'], {
      refused: { allow: NO_NEGOTIATION, prefer: NO_NEGOTIATION },
    }),
    default: 'disable',
    ...RELOADABLE,
    section: SECTIONS.heartbeat,
    doc:
      'Whether the links use TLS with certificates, and what is verified of a watchdog, as sslmode of libpq: nothing ' +
      'unless heartbeat_sslrootcert is set (require), that its certificate is signed by an authority of ' +
      'heartbeat_sslrootcert (verify-ca), also that it is made out to backend_hostN or, where only backend_hostaddrN is ' +
      'set, to that address (verify-full). It is TLS 1.3 on both ends, and the watchdog needs watchdog.ssl = on. A ' +
      'change of it or of the files holds, after a reload, for links that are made from then on.',
    of: (config) => config.heartbeatSslmode,
  },
  heartbeat_sslrootcert: {
    type: text(LONGEST_PATH),
    default: undefined,
    otherwise: 'none',
    example: 'root.crt',
    ...RELOADABLE,
    section: SECTIONS.heartbeat,
    doc:
      'File with the certificates of the authorities that may have signed the certificate of a watchdog, in PEM format. ' +
      'A relative name is one in the directory of conmgr.conf; %d/NAME is a credential of the systemd unit.',
    of: (config) => config.heartbeatSslrootcert,
  },
  heartbeat_sslcert: {
    type: text(LONGEST_PATH),
    default: undefined,
    otherwise: 'none',
    example: 'conmgr.crt',
    ...RELOADABLE,
    section: SECTIONS.heartbeat,
    doc:
      'File with the certificate that conmgr shows to the watchdogs, in PEM format, and those between it and its ' +
      'authority. An authority of ssl_ca_file in postgresql.conf must have signed it.',
    of: (config) => config.heartbeatSslcert,
  },
  heartbeat_sslkey: {
    type: text(LONGEST_PATH),
    default: undefined,
    otherwise: 'none',
    example: 'conmgr.key',
    ...RELOADABLE,
    secret: 'file',
    section: SECTIONS.heartbeat,
    doc:
      'File with the key of heartbeat_sslcert, in PEM format and without passphrase. As with libpq its mode is 0600 or ' +
      'less, or 0640 or less where root owns it; else it is refused.',
    of: (config) => config.heartbeatSslkey,
  },
  heartbeat_secret_file: {
    type: text(LONGEST_PATH),
    default: undefined,
    otherwise: 'none',
    example: '%d/heartbeat-secret',
    ...RELOADABLE,
    secret: 'file',
    section: SECTIONS.heartbeat,
    doc:
      'File with the secret that conmgr and the watchdogs share, as "cm_ctl secret" makes it: the links use TLS 1.3 ' +
      'with it as pre-shared key, and each end must know it. It is refused when group or others may read it. A ' +
      'relative name is one in the directory of conmgr.conf; %d/NAME is a credential of the systemd unit. A change ' +
      'holds for links that are made from then on. It excludes heartbeat_sslmode.',
    of: (config) => config.heartbeatSecretFile,
  },

  load_balance: {
    type: oneOf(['random', 'round-robin', 'least-connections', 'nearest']),
    default: 'random',
    ...RELOADABLE,
    section: SECTIONS.choice,
    doc: 'Choice among several instances that fit; nearest goes by the round trip of the heartbeat.',
    of: (config) => config.loadBalance,
  },
  max_lag: {
    type: bytes(0),
    default: '0',
    ...RELOADABLE,
    section: SECTIONS.choice,
    doc: 'A standby that is further behind than this is not offered while another fits; 0 means no limit.',
    of: (config) => config.maxLagBytes,
  },
  resolve_wait: {
    type: time('s', 0),
    default: '0',
    ...RELOADABLE,
    section: SECTIONS.choice,
    doc: 'How long a request for an attribute that no instance has now may wait for one.',
    of: (config) => config.resolveWaitMs,
  },
  evict_on_role_change: {
    type: oneOf(['off', 'writers', 'all']),
    default: 'writers',
    ...RELOADABLE,
    section: SECTIONS.choice,
    doc:
      'Which sessions are ended when the role of their server no longer fits: those that wanted to write ' +
      '(writers), also those that wanted a standby (all), or none (off).',
    of: (config) => config.evictOnRoleChange,
  },
  on_conflict: {
    type: oneOf(['newest', 'keep', 'none']),
    default: 'newest',
    ...RELOADABLE,
    section: SECTIONS.choice,
    doc:
      'Which of two primaries is offered: the one on the newer timeline (newest), the one known longer ' +
      '(keep), or neither (none).',
    of: (config) => config.onConflict,
  },

  log_destination: {
    type: logDestinations,
    default: 'stderr',
    ...RELOADABLE,
    section: SECTIONS.log,
    doc: 'Where messages go; several places are separated by commas.',
    of: (config) => config.log.destinations,
  },
  log_min_messages: {
    type: logLevel,
    default: 'WARNING',
    ...RELOADABLE,
    section: SECTIONS.log,
    doc: 'Lowest level that is written. LOG ranks above ERROR, as in PostgreSQL.',
    of: (config) => config.log.minMessages,
  },
  syslog_facility: {
    type: syslogFacility,
    default: 'LOCAL0',
    ...RELOADABLE,
    section: SECTIONS.log,
    doc: 'Facility of messages to syslog.',
    of: (config) => config.log.syslogFacility,
  },
  syslog_ident: {
    type: syslogIdent,
    default: 'conmgr',
    ...RELOADABLE,
    section: SECTIONS.log,
    doc: 'Program name of messages to syslog.',
    of: (config) => config.log.syslogIdent,
  },
} satisfies ParameterTable<ConmgrConfig>;

/** Documented for another system; accepted with a NOTICE so that a file from there still loads. */
export const IGNORED_PARAMETERS: readonly string[] = ['event_source'];

/** The values of CONMGR_PARAMETERS. */
export type ConmgrValues = ValuesOf<typeof CONMGR_PARAMETERS>;

/** The tables of conmgr.conf together. */
export interface ConmgrTables {
  readonly plain: typeof CONMGR_PARAMETERS;
  readonly instance: typeof INSTANCE_PARAMETERS;
  readonly listener: typeof LISTENER_PARAMETERS;
}

export const CONMGR_TABLES: ConmgrTables = {
  plain: CONMGR_PARAMETERS,
  instance: INSTANCE_PARAMETERS,
  listener: LISTENER_PARAMETERS,
};
