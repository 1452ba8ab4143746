/**
 * How many file descriptors the processes need at least, by the documented formulas. Each comes with the
 * formula as a text with its numbers filled in, for the message that says the limit is too low.
 */

/** A figure and how it came about. */
export interface DescriptorNeed {
  readonly figure: number;
  /** `9 + 2 x 3 instances + 100 max_connections = 115`. */
  readonly formula: string;
}

/** Standard streams, listeners, control socket, lock, log sockets and the event loop's own. */
const CONMGR_BASE = 9;
/** For each instance: its link, and a probe of its postmaster or the next link. */
const PER_INSTANCE = 2;
/** Connections to status_port at a time, on both loopback addresses together. */
export const STATUS_CONNECTIONS = 16;
/** status_port, where it is not 0: its two listeners and their connections. */
const STATUS_PORT = 2 + STATUS_CONNECTIONS;
/** The watchdog's own: standard streams, listeners, SQL connections, file watches and the event loop's. */
const WATCHDOG_BASE = 50;

/**
 * conmgr: 9 + 2 x instances + max_connections, and 18 for a status_port other than 0. With max_connections = 0 the
 * figure covers no application.
 */
export function conmgrDescriptors(instances: number, maxConnections: number, statusPort = 0): DescriptorNeed {
  const figure = CONMGR_BASE + PER_INSTANCE * instances + maxConnections + statusDescriptors(statusPort);
  const formula =
    `${CONMGR_BASE} + ${PER_INSTANCE} x ${instances} instances + ${maxConnections} max_connections` +
    `${statusTerm(statusPort)} = ${figure}`;
  return { figure, formula };
}

/** A backend of an instance with a watchdog: max_files_per_process + 2 x watchdog.max_heartbeat_connections. */
export function instanceDescriptors(
  maxFilesPerProcess: number,
  maxHeartbeatConnections: number,
): DescriptorNeed {
  const figure = maxFilesPerProcess + 2 * maxHeartbeatConnections;
  const formula =
    `${maxFilesPerProcess} max_files_per_process + ` +
    `2 x ${maxHeartbeatConnections} watchdog.max_heartbeat_connections = ${figure}`;
  return { figure, formula };
}

/** How many descriptors a status_port takes: none where it is 0. */
export function statusDescriptors(statusPort: number): number {
  return statusPort === 0 ? 0 : STATUS_PORT;
}

/** The term of a status_port in a formula: ` + 18 for status_port`, '' where it is off. */
export function statusTerm(statusPort: number): string {
  return statusPort === 0 ? '' : ` + ${STATUS_PORT} for status_port`;
}

/** The watchdog itself: 50 + max_heartbeat_connections, and 18 for a watchdog.status_port other than 0. */
export function watchdogDescriptors(maxHeartbeatConnections: number, statusPort = 0): DescriptorNeed {
  const figure = WATCHDOG_BASE + maxHeartbeatConnections + statusDescriptors(statusPort);
  const formula = `${WATCHDOG_BASE} + ${maxHeartbeatConnections} max_heartbeat_connections${statusTerm(statusPort)} = ${figure}`;
  return { figure, formula };
}

/**
 * How many applications a limit on descriptors allows where max_connections sets none. A forwarded connection
 * takes two descriptors: `perConnection` = 2 tells how many of those fit.
 */
export function connectionsAllowed(
  limit: number,
  instances: number,
  perConnection: 1 | 2 = 1,
  statusPort = 0,
): number {
  const others = CONMGR_BASE + PER_INSTANCE * instances + statusDescriptors(statusPort);
  return Math.max(0, Math.floor((limit - others) / perConnection));
}

/** Kept back for what comes and goes: cm_ctl's connections, name look-ups, files that are read, log sockets. */
const PASSING = 8;

/**
 * How many applications a running conmgr takes: what is left of its limit beside the `own` descriptors that are open
 * without links and applications, which are more than the documented base. The listeners of a status_port are among
 * them, its connections are not.
 */
export function connectionsLeft(limit: number, own: number, instances: number, statusPort = 0): number {
  const asked = statusPort === 0 ? 0 : STATUS_CONNECTIONS;
  return Math.max(0, limit - Math.max(CONMGR_BASE, own) - PASSING - asked - PER_INSTANCE * instances);
}

/** How many heartbeat links a limit on descriptors allows the watchdog, at least one. */
export function heartbeatConnectionsAllowed(limit: number, statusPort = 0): number {
  return Math.max(1, limit - WATCHDOG_BASE - statusDescriptors(statusPort));
}
