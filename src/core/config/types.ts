/**
 * The configuration of conmgr and of the watchdog once it is read, checked and completed by defaults.
 *
 * Everything else in the programs sees only these shapes: durations are milliseconds whatever unit the
 * file used, enums have their canonical spelling, and no value breaks a rule between parameters.
 */

import type { TargetSessionAttrs } from '../cluster/target-session.js';
import type { Level } from '../messages/message.js';

/** Where messages go. */
export type LogDestination = 'stderr' | 'syslog' | 'journald';

/** The facilities of syslog that are free for local use (syslog(3)). */
export type SyslogFacility =
  | 'LOCAL0'
  | 'LOCAL1'
  | 'LOCAL2'
  | 'LOCAL3'
  | 'LOCAL4'
  | 'LOCAL5'
  | 'LOCAL6'
  | 'LOCAL7';

/** What both programs know about logging. */
export interface LogConfig {
  /** Each at most once, in the order written; never empty. */
  destinations: readonly LogDestination[];
  syslogFacility: SyslogFacility;
  /** Program name in syslog, not empty. */
  syslogIdent: string;
  /** Lowest level that is written. */
  minMessages: Level;
}

/** One PostgreSQL server of the set. At least one of `host` and `hostaddr` is given. */
export interface InstanceConfig {
  /** The number at the end of backend_hostN. */
  number: number;
  /** Name or address of backend_hostN. */
  host: string | undefined;
  /** Address of backend_hostaddrN; wins over `host` and needs no name resolution. */
  hostaddr: string | undefined;
  backendPort: number;
  watchdogPort: number;
  /** Whether guard = on holds for it. */
  guard: boolean;
}

/** Which sessions are ended when their server's role no longer fits. */
export type EvictOnRoleChange = 'off' | 'writers' | 'all';

/** What to do about two primaries: follow the newest timeline, stay with the one known longer, offer neither. */
export type OnConflict = 'newest' | 'keep' | 'none';

/** Choice among several instances that fit. */
export type LoadBalance = 'random' | 'round-robin' | 'least-connections' | 'nearest';

/** How a listener serves stock drivers: the kernel redirects, conmgr forwards, or whichever is possible. */
export type ListenerMode = 'auto' | 'redirect' | 'gateway';

/** A further port for stock drivers. */
export interface ListenerConfig {
  /** The number at the end of listener_portN. */
  number: number;
  port: number;
  target: TargetSessionAttrs;
  mode: ListenerMode;
}

/** What is verified of a watchdog's certificate, with the words of libpq's sslmode. */
export type HeartbeatSslmode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/** A complete, valid conmgr.conf. */
export interface ConmgrConfig {
  port: number;
  /** Host names and addresses as written; the word `localhost` is left for the listener to expand. */
  listenAddresses: readonly string[];
  /** Sorted by number, at least one. */
  instances: readonly InstanceConfig[];
  heartbeatIntervalMs: number;
  heartbeatTimeoutMs: number;
  heartbeatConnectIntervalMs: number;
  heartbeatConnectTimeoutMs: number;
  /** As written; undefined: links are not protected by a secret. */
  heartbeatSecretFile: string | undefined;
  /** disable: links are not protected by certificates. */
  heartbeatSslmode: HeartbeatSslmode;
  /** As written, each; undefined: not set. */
  heartbeatSslrootcert: string | undefined;
  heartbeatSslcert: string | undefined;
  heartbeatSslkey: string | undefined;
  log: LogConfig;
  /** Application connections at a time; 0 = no limit. */
  maxConnections: number;
  gateway: boolean;
  gatewayTargetSessionAttrs: TargetSessionAttrs;
  /** Sorted by number. */
  listeners: readonly ListenerConfig[];
  guard: boolean;
  evictOnRoleChange: EvictOnRoleChange;
  onConflict: OnConflict;
  /** How long a request may wait for an instance with the wanted attribute; 0 = not at all. */
  resolveWaitMs: number;
  loadBalance: LoadBalance;
  /** A standby further behind is not offered while another fits; 0 = no limit. */
  maxLagBytes: number;
  /** Loopback HTTP port of the status pages; 0 = off. */
  statusPort: number;
}

/** Which ways of losing a link end SQL sessions. */
export type TerminateOn = 'any' | 'lost' | 'never';

/** Whose SQL sessions are ended: all of the client's address, or those a conmgr reported as its own. */
export type TerminateScope = 'address' | 'monitored';

/** A complete set of watchdog.* values. */
export interface WatchdogConfig {
  port: number;
  /** undefined: the instance's own listen_addresses. */
  listenAddresses: readonly string[] | undefined;
  checkAttrIntervalMs: number;
  /** undefined: the instance's max_connections. */
  maxHeartbeatConnections: number | undefined;
  /** undefined: everybody may connect. */
  allowedClients: readonly Cidr[] | undefined;
  terminateOn: TerminateOn;
  terminateScope: TerminateScope;
  restartGraceMs: number;
  /** Loopback HTTP port of the status pages; 0 = off. */
  statusPort: number;
  /** As written; undefined: links are not protected by a secret. */
  secretFile: string | undefined;
  /** Links are protected by certificates. */
  ssl: boolean;
  /** Replication connections are spared. */
  excludeReplication: boolean;
  probeIntervalMs: number;
  probeTimeoutMs: number;
  log: LogConfig;
  /** Set when a wrong security value keeps the heartbeat port closed; the text says which. */
  closed: string | undefined;
}

/** A range of addresses, e.g. 192.0.2.0/24; a bare address is a range of one. */
export interface Cidr {
  /** Canonical text. */
  text: string;
  family: 4 | 6;
  /** 4 or 16 bytes in network order, the bits past `prefix` zero. */
  bytes: Uint8Array;
  /** Leading bits that count: 0-32 or 0-128. */
  prefix: number;
}
