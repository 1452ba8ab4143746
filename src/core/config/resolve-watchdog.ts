/**
 * From the raw texts of watchdog.* to a complete configuration.
 *
 * The server side must not go dark for a typo: a wrong value is reported and its default used. But never
 * towards less safety: a wrong security value keeps the heartbeat port closed, and a wrong value of the
 * terminator's makes it only log.
 */

import { nearestName } from './nearest.js';
import { type ChangedParameters, changedParameters, readValues } from './parameter.js';
import { foldCase } from './parse.js';
import { type ConfigProblem, type Consequence, formatProblem, problemOfWatchdog, shown } from './problem.js';
import type { WatchdogConfig } from './types.js';
import { formatTime } from './value-type.js';
import { WATCHDOG_PARAMETERS, type WatchdogValues } from './watchdog-spec.js';

/** What became of the texts. */
export interface ResolvedWatchdogConfig {
  readonly config: WatchdogConfig;
  /** Errors, each with what follows from it as DETAIL. */
  readonly problems: readonly ConfigProblem[];
  /** What is legal but worth saying. */
  readonly remarks: readonly ConfigProblem[];
}

type WatchdogName = keyof WatchdogValues;

/** More unknown names than that are not reported. */
const MAX_UNKNOWN = 100;

/**
 * Reads and completes the parameters. `raw` maps names such as `watchdog.port` (any letter case) to the text
 * PostgreSQL hands out; '' counts as not set. Never throws. `table` is for tests.
 */
export function resolveWatchdogConfig(
  raw: ReadonlyMap<string, string>,
  table: typeof WATCHDOG_PARAMETERS = WATCHDOG_PARAMETERS,
): ResolvedWatchdogConfig {
  const set = new Map(
    [...raw].map(([name, text]) => [foldCase(name), text] as const).filter(([, text]) => text !== ''),
  );
  const problems: ConfigProblem[] = [];
  const consequences = new Map<Consequence, ConfigProblem[]>();
  const add = (problem: ConfigProblem, consequence: Consequence): void => {
    problems.push(problem);
    consequences.set(consequence, [...(consequences.get(consequence) ?? []), problem]);
  };
  const values = readValues(table, set, (name, { message, params }) => {
    const { default: text, otherwise, whenWrong = 'default' } = rowOf(table, name);
    const finding = { message, params: { name, ...params } };
    add(problemOfWatchdog(finding, whenWrong, text ?? otherwise ?? 'none'), whenWrong);
  });
  for (const name of unknownNames(set, table)) {
    const nearest = nearestName(name, Object.keys(table));
    const message = nearest === undefined ? 'unknownParameter' : 'misspeltParameter';
    const finding = { message, params: { name: shown(name), nearest } } as const;
    // Whoever misspelt a security parameter believes to be protected by it.
    const whenWrong = nearest === undefined ? undefined : rowOf(table, nearest).whenWrong;
    add(problemOfWatchdog(finding, whenWrong), whenWrong ?? 'default');
  }
  if (values['watchdog.ssl'] && values['watchdog.secret_file'] !== undefined) {
    const params = { first: 'watchdog.ssl', second: 'watchdog.secret_file' };
    add(problemOfWatchdog({ message: 'twoProtections', params }, 'closed'), 'closed');
  }
  const closed = consequences.get('closed')?.map(formatProblem).join('; ');
  return {
    config: buildConfig(values, closed, consequences.has('log-only')),
    problems,
    remarks: relations(values),
  };
}

/** Rules between values. A wrong value takes part with its default, which is what is used. */
function relations(values: WatchdogValues): ConfigProblem[] {
  const timeoutMs = values['watchdog.probe_timeout'];
  const intervalMs = values['watchdog.probe_interval'];
  if (timeoutMs > intervalMs) return [];
  const params = { timeout: formatTime(timeoutMs), interval: formatTime(intervalMs) };
  return [problemOfWatchdog({ message: 'probeTimeoutNotAboveInterval', params })];
}

function rowOf(
  table: typeof WATCHDOG_PARAMETERS,
  name: string,
): { default: string | undefined; otherwise?: string; whenWrong?: Consequence } {
  return table[name as WatchdogName];
}

function unknownNames(set: ReadonlyMap<string, string>, table: typeof WATCHDOG_PARAMETERS): string[] {
  return [...set.keys()].filter((name) => !Object.hasOwn(table, name)).slice(0, MAX_UNKNOWN);
}

function buildConfig(values: WatchdogValues, closed: string | undefined, logOnly: boolean): WatchdogConfig {
  return {
    port: values['watchdog.port'],
    listenAddresses: values['watchdog.listen_addresses'],
    checkAttrIntervalMs: values['watchdog.check_attr_interval'],
    maxHeartbeatConnections: values['watchdog.max_heartbeat_connections'],
    // Behind a closed port nobody comes; an empty list keeps it so for whoever forgets to look at `closed`.
    allowedClients: closed === undefined ? values['watchdog.allowed_clients'] : [],
    terminateOn: logOnly ? 'never' : values['watchdog.terminate_on'],
    terminateScope: values['watchdog.terminate_scope'],
    restartGraceMs: values['watchdog.restart_grace'],
    statusPort: values['watchdog.status_port'],
    secretFile: values['watchdog.secret_file'],
    ssl: values['watchdog.ssl'],
    excludeReplication: values['watchdog.exclude_replication'],
    probeIntervalMs: values['watchdog.probe_interval'],
    probeTimeoutMs: values['watchdog.probe_timeout'],
    log: {
      destinations: values['watchdog.log_destination'],
      syslogFacility: values['watchdog.syslog_facility'],
      syslogIdent: values['watchdog.syslog_ident'],
      minMessages: values['watchdog.log_min_messages'],
    },
    closed,
  };
}

/** Compares the running configuration with the one read anew. A change of `closed` takes effect at once. */
export function diffWatchdogConfig(old: WatchdogConfig, next: WatchdogConfig): ChangedParameters {
  return changedParameters(WATCHDOG_PARAMETERS, old, next);
}
