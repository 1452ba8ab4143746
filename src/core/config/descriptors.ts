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
/** The watchdog's own: standard streams, listeners, SQL connections, file watches and the event loop's. */
const WATCHDOG_BASE = 50;

/** conmgr: 9 + 2 x instances + max_connections. With max_connections = 0 the figure covers no application. */
export function conmgrDescriptors(instances: number, maxConnections: number): DescriptorNeed {
  const figure = CONMGR_BASE + PER_INSTANCE * instances + maxConnections;
  const formula = `${CONMGR_BASE} + ${PER_INSTANCE} x ${instances} instances + ${maxConnections} max_connections = ${figure}`;
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

/** The watchdog itself: 50 + max_heartbeat_connections. */
export function watchdogDescriptors(maxHeartbeatConnections: number): DescriptorNeed {
  const figure = WATCHDOG_BASE + maxHeartbeatConnections;
  const formula = `${WATCHDOG_BASE} + ${maxHeartbeatConnections} max_heartbeat_connections = ${figure}`;
  return { figure, formula };
}

/**
 * How many applications a limit on descriptors allows where max_connections sets none. A forwarded connection
 * takes two descriptors: `perConnection` = 2 tells how many of those fit.
 */
export function connectionsAllowed(limit: number, instances: number, perConnection: 1 | 2 = 1): number {
  return Math.max(0, Math.floor((limit - CONMGR_BASE - PER_INSTANCE * instances) / perConnection));
}

/** Kept back for what comes and goes: cm_ctl's connections, name look-ups, files that are read, log sockets. */
const PASSING = 8;

/**
 * How many applications a running conmgr takes: what is left of its limit beside the `own` descriptors that are open
 * without links and applications, which are more than the documented base.
 */
export function connectionsLeft(limit: number, own: number, instances: number): number {
  return Math.max(0, limit - Math.max(CONMGR_BASE, own) - PASSING - PER_INSTANCE * instances);
}

/** How many heartbeat links a limit on descriptors allows the watchdog, at least one. */
export function heartbeatConnectionsAllowed(limit: number): number {
  return Math.max(1, limit - WATCHDOG_BASE);
}
