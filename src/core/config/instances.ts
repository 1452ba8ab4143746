/** The numbered settings of conmgr.conf as instances, and the rules between them. */

import { normaliseIp } from './address.js';
import { INSTANCE_PARAMETERS } from './instance-spec.js';
import { readValues } from './parameter.js';
import { type ConfigEntry, foldCase } from './parse.js';
import type { LineFinding } from './problem.js';
import type { InstanceConfig } from './types.js';

/** The settings of one instance or listener by their name without number. */
export type NumberedEntries = ReadonlyMap<string, ConfigEntry>;

/**
 * Makes instances, sorted by number, of the settings by number. Instances with an error are left out of the
 * result and of the comparison with others, their errors are among the findings.
 */
export function resolveInstances(
  settings: ReadonlyMap<number, NumberedEntries>,
  table: typeof INSTANCE_PARAMETERS = INSTANCE_PARAMETERS,
): { instances: InstanceConfig[]; findings: LineFinding[] } {
  const findings: LineFinding[] = [];
  const instances: InstanceConfig[] = [];
  for (const [number, entries] of [...settings].sort(([a], [b]) => a - b)) {
    const before = findings.length;
    const texts = new Map([...entries].map(([base, entry]) => [base, entry.value]));
    const values = readValues(table, texts, (base, { message, params }) => {
      findings.push({ message, line: lineOf(entries, base), params: { name: base + number, ...params } });
    });
    if (!(entries.has('backend_host') || entries.has('backend_hostaddr'))) {
      const [first] = [...entries.values()].sort((a, b) => a.line - b.line);
      const params = { number, name: first?.name };
      findings.push({ message: 'instanceWithoutHost', line: first?.line ?? 1, params });
    }
    if (findings.length > before) continue;
    instances.push({
      number,
      host: values.backend_host,
      hostaddr: values.backend_hostaddr,
      backendPort: values.backend_port,
      watchdogPort: values.watchdog_port,
      guard: values.backend_guard,
    });
  }
  findings.push(...compareInstances(instances, settings));
  return { instances, findings };
}

function compareInstances(
  instances: readonly InstanceConfig[],
  settings: ReadonlyMap<number, NumberedEntries>,
): LineFinding[] {
  const findings: LineFinding[] = [];
  const backends = new Map<string, number>();
  const watchdogs = new Map<string, number>();
  for (const instance of instances) {
    const { number, backendPort, watchdogPort } = instance;
    const entries = settings.get(number) ?? new Map();
    const host = instanceAddress(instance);
    const hostLine = lineOf(entries, 'backend_hostaddr', 'backend_host');
    const backend = `${host} ${backendPort}`;
    const watchdog = `${host} ${watchdogPort}`;
    const twin = backends.get(backend);
    const sharer = watchdogs.get(watchdog);
    if (twin !== undefined) {
      const params = { first: twin, second: number, host, port: backendPort };
      findings.push({ message: 'sameInstance', line: hostLine, params });
    } else if (sharer !== undefined) {
      const params = { first: sharer, second: number, host, port: watchdogPort };
      const line = lineOf(entries, 'watchdog_port', 'backend_hostaddr', 'backend_host');
      findings.push({ message: 'sameWatchdog', line, params });
    }
    if (backendPort === watchdogPort) {
      const line = lineOf(entries, 'watchdog_port', 'backend_port');
      findings.push({ message: 'watchdogOnBackendPort', line, params: { number, port: backendPort } });
    }
    if (twin === undefined) backends.set(backend, number);
    if (sharer === undefined) watchdogs.set(watchdog, number);
  }
  return findings;
}

/** What tells instances apart besides the port: the address, else the name without regard to case. */
export function instanceAddress({ host, hostaddr }: InstanceConfig): string {
  return foldCase(normaliseIp(hostaddr ?? host ?? ''));
}

/** Line of the first of `bases` that is set. */
export function lineOf(entries: NumberedEntries, ...bases: readonly string[]): number {
  for (const base of bases) {
    const line = entries.get(base)?.line;
    if (line !== undefined) return line;
  }
  return 1;
}
