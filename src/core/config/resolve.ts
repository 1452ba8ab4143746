/**
 * From the text of conmgr.conf to a checked configuration, or to all of its errors at once; and what differs
 * between two configurations.
 */

import { INSTANCE_PARAMETERS, LISTENER_PARAMETERS } from './instance-spec.js';
import { type NumberedEntries, resolveInstances } from './instances.js';
import { resolveListeners, samePorts } from './listeners.js';
import { findParameter } from './names.js';
import { type ChangedParameters, changedNames, changedParameters, readValues } from './parameter.js';
import { type ConfigEntry, parseConfig } from './parse.js';
import { type ConfigProblem, type LineFinding, problemInFile } from './problem.js';
import { CONMGR_PARAMETERS, CONMGR_TABLES, type ConmgrTables, type ConmgrValues } from './spec.js';
import { type OfNames, sslRelations } from './ssl-relations.js';
import type { ConmgrConfig, InstanceConfig, ListenerConfig } from './types.js';
import { formatTime } from './value-type.js';

export { diffWatchdogConfig, resolveWatchdogConfig } from './resolve-watchdog.js';

/** What became of a conmgr.conf. */
export interface ResolvedConmgrConfig {
  /** undefined when there is any problem: a file counts as a whole or not at all. */
  readonly config: ConmgrConfig | undefined;
  /** Errors, by line. */
  readonly problems: readonly ConfigProblem[];
  /** What is legal but worth saying (NOTICE, WARNING), by line. */
  readonly remarks: readonly ConfigProblem[];
  /** The line each parameter was set in, by name with number. */
  readonly lines: ReadonlyMap<string, number>;
}

/** More than that is no configuration file; bounds the time for looking up near names. */
const MAX_PROBLEMS = 1000;

/** Reads, checks and completes a conmgr.conf. Never throws. `tables` is for tests. */
export function resolveConmgrConfig(
  text: string,
  fileName = 'conmgr.conf',
  tables: ConmgrTables = CONMGR_TABLES,
): ResolvedConmgrConfig {
  const parsed = parseConfig(text);
  const findings: LineFinding[] = [...parsed.problems];
  const lines = new Map<string, number>();
  for (const { name, line } of parsed.entries) lines.set(name, line);
  const winners = parsed.entries.filter(({ name, line }) => lines.get(name) === line);
  findings.push(...repeated(parsed.entries, lines));

  const settings = sortOut(winners, tables, findings);
  const wrong = new Set<string>();
  const texts = new Map([...settings.plain].map(([name, entry]) => [name, entry.value]));
  const values = readValues(tables.plain, texts, (name, { message, params }) => {
    wrong.add(name);
    findings.push({ message, line: lines.get(name) ?? 1, params: { name, ...params } });
  });
  const { instances, findings: instanceFindings } = resolveInstances(settings.instances, tables.instance);
  const { listeners, findings: listenerFindings } = resolveListeners(settings.listeners, tables.listener);
  findings.push(...instanceFindings, ...listenerFindings, ...relations(values, wrong, lines));
  findings.push(...samePorts(listeners, settings.listeners, values));
  // Of a file that was given up half-way nobody knows what it lacks.
  const readAll = !findings.some(({ message }) => message === 'tooManyErrors' || message === 'fileTooLarge');
  if (settings.instances.size === 0 && readAll) {
    findings.push({ message: 'noInstance', line: parsed.lastLine, params: {} });
  }

  const said = findings.sort((a, b) => a.line - b.line).map((finding) => problemInFile(fileName, finding));
  const problems = said.filter(({ level }) => level === 'ERROR');
  const remarks = said.filter(({ level }) => level !== 'ERROR').slice(0, MAX_PROBLEMS);
  const config = problems.length === 0 ? buildConfig(values, instances, listeners) : undefined;
  return { config, problems, remarks, lines };
}

/** Settings that a later one of the same name replaces. */
function repeated(entries: readonly ConfigEntry[], lines: ReadonlyMap<string, number>): LineFinding[] {
  return entries.flatMap(({ name, line }): LineFinding[] => {
    const winner = lines.get(name);
    return winner === line ? [] : [{ message: 'repeatedParameter', line, params: { name, winner } }];
  });
}

interface Settings {
  readonly plain: ReadonlyMap<string, ConfigEntry>;
  readonly instances: ReadonlyMap<number, NumberedEntries>;
  readonly listeners: ReadonlyMap<number, NumberedEntries>;
}

/** Sorts settings by what they belong to; unknown names become findings. */
function sortOut(entries: readonly ConfigEntry[], tables: ConmgrTables, findings: LineFinding[]): Settings {
  const plain = new Map<string, ConfigEntry>();
  const instances = new Map<number, Map<string, ConfigEntry>>();
  const listeners = new Map<number, Map<string, ConfigEntry>>();
  let unknown = 0;
  for (const entry of entries) {
    const { name, line } = entry;
    const found = findParameter(name, tables);
    if ('message' in found) {
      findings.push({ ...found, line });
      unknown++;
      if (unknown < MAX_PROBLEMS) continue;
      findings.push({ message: 'tooManyErrors', line, params: {} });
      break;
    }
    switch (found.kind) {
      case 'plain':
        plain.set(name, entry);
        break;
      case 'ignored':
        findings.push({ message: 'ignoredParameter', line, params: { name } });
        break;
      case 'instance':
      case 'listener': {
        const group = found.kind === 'instance' ? instances : listeners;
        const others = group.get(found.number) ?? new Map<string, ConfigEntry>();
        group.set(found.number, others.set(found.base, entry));
        break;
      }
    }
  }
  return { plain, instances, listeners };
}

/** Rules between values; a value that is wrong itself takes part in none. */
function relations(
  values: ConmgrValues,
  wrong: ReadonlySet<string>,
  lines: ReadonlyMap<string, number>,
): LineFinding[] {
  const findings: LineFinding[] = [];
  const right: OfNames<boolean> = (...names) => !names.some((name) => wrong.has(name));
  const lastLine: OfNames<number> = (...names) => Math.max(1, ...names.map((name) => lines.get(name) ?? 1));

  const timeoutMs = values.heartbeat_timeout;
  const intervalMs = values.heartbeat_interval;
  if (right('heartbeat_timeout', 'heartbeat_interval') && timeoutMs <= intervalMs) {
    findings.push({
      message: 'timeoutNotAboveInterval',
      line: lastLine('heartbeat_timeout', 'heartbeat_interval'),
      params: { timeout: formatTime(timeoutMs), interval: formatTime(intervalMs) },
    });
  }
  if (right('port', 'status_port') && values.port === values.status_port) {
    findings.push({
      message: 'samePort',
      line: lastLine('port', 'status_port'),
      params: { first: 'port', second: 'status_port', port: values.port },
    });
  }
  findings.push(...sslRelations(values, right, lastLine));
  return findings;
}

function buildConfig(
  values: ConmgrValues,
  instances: readonly InstanceConfig[],
  listeners: readonly ListenerConfig[],
): ConmgrConfig {
  return {
    port: values.port,
    listenAddresses: values.listen_addresses,
    instances,
    heartbeatIntervalMs: values.heartbeat_interval,
    heartbeatTimeoutMs: values.heartbeat_timeout,
    heartbeatConnectIntervalMs: values.heartbeat_connect_interval,
    heartbeatConnectTimeoutMs: values.heartbeat_connect_timeout,
    heartbeatSecretFile: values.heartbeat_secret_file,
    heartbeatSslmode: values.heartbeat_sslmode,
    heartbeatSslrootcert: values.heartbeat_sslrootcert,
    heartbeatSslcert: values.heartbeat_sslcert,
    heartbeatSslkey: values.heartbeat_sslkey,
    log: {
      destinations: values.log_destination,
      syslogFacility: values.syslog_facility,
      syslogIdent: values.syslog_ident,
      minMessages: values.log_min_messages,
    },
    maxConnections: values.max_connections,
    gateway: values.gateway,
    gatewayTargetSessionAttrs: values.gateway_target_session_attrs,
    listeners,
    guard: values.guard,
    evictOnRoleChange: values.evict_on_role_change,
    onConflict: values.on_conflict,
    resolveWaitMs: values.resolve_wait,
    loadBalance: values.load_balance,
    maxLagBytes: values.max_lag,
    statusPort: values.status_port,
  };
}

/** What a reload changes. Instances are named by their numbers, everything else by parameter. */
export interface ConmgrConfigDiff extends ChangedParameters {
  readonly instancesAdded: readonly number[];
  readonly instancesRemoved: readonly number[];
  /** Instances of which host, hostaddr or a port differ. */
  readonly instancesChanged: readonly number[];
}

/** Compares the running configuration with the one read anew. */
export function diffConmgrConfig(old: ConmgrConfig, next: ConmgrConfig): ConmgrConfigDiff {
  const listeners = listenerNames(old, next);
  const plain = changedParameters(CONMGR_PARAMETERS, old, next);
  const before = new Map(old.instances.map((instance) => [instance.number, instance]));
  const after = new Map(next.instances.map((instance) => [instance.number, instance]));
  const kept = next.instances.filter(({ number }) => before.has(number));
  return {
    ...plain,
    needsRestart: [...plain.needsRestart, ...listeners],
    instancesAdded: [...after.keys()].filter((number) => !before.has(number)),
    instancesRemoved: [...before.keys()].filter((number) => !after.has(number)),
    instancesChanged: kept
      .filter((instance) => {
        const was = before.get(instance.number) ?? instance;
        return changedNames(INSTANCE_PARAMETERS, was, instance).length > 0;
      })
      .map(({ number }) => number),
  };
}

/** Names of the settings of listeners that differ. */
function listenerNames(old: ConmgrConfig, next: ConmgrConfig): readonly string[] {
  const numbers = new Set([...old.listeners, ...next.listeners].map(({ number }) => number));
  return [...numbers]
    .sort((a, b) => a - b)
    .flatMap((number) => {
      const [was, is] = [old, next].map(({ listeners }) => listeners.find((one) => one.number === number));
      if (was === undefined || is === undefined) return [`listener_port${number}`];
      return changedNames(LISTENER_PARAMETERS, was, is).map((name) => name + number);
    });
}
