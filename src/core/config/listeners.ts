/** The numbered settings of conmgr.conf as further ports, and the rules between them. */

import { LISTENER_PARAMETERS } from './instance-spec.js';
import { lineOf, type NumberedEntries } from './instances.js';
import { readValues } from './parameter.js';
import type { LineFinding } from './problem.js';
import type { ListenerConfig } from './types.js';

/** Makes listeners, sorted by number, of the settings by number; those with an error are left out of the result. */
export function resolveListeners(
  settings: ReadonlyMap<number, NumberedEntries>,
  table: typeof LISTENER_PARAMETERS = LISTENER_PARAMETERS,
): { listeners: ListenerConfig[]; findings: LineFinding[] } {
  const findings: LineFinding[] = [];
  const listeners: ListenerConfig[] = [];
  for (const [number, entries] of [...settings].sort(([a], [b]) => a - b)) {
    const before = findings.length;
    const texts = new Map([...entries].map(([base, entry]) => [base, entry.value]));
    const values = readValues(table, texts, (base, { message, params }) => {
      findings.push({ message, line: lineOf(entries, base), params: { name: base + number, ...params } });
    });
    if (!entries.has('listener_port')) {
      const [first] = [...entries.values()].sort((a, b) => a.line - b.line);
      const params = { number, name: first?.name };
      findings.push({ message: 'listenerWithoutPort', line: first?.line ?? 1, params });
    }
    if (findings.length > before || values.listener_port === undefined) continue;
    listeners.push({
      number,
      port: values.listener_port,
      target: values.listener_target_session_attrs,
      mode: values.listener_mode,
    });
  }
  return { listeners, findings };
}

/** Ports of listeners that another listener or the process itself has already. */
export function samePorts(
  listeners: readonly ListenerConfig[],
  settings: ReadonlyMap<number, NumberedEntries>,
  values: { readonly port: number; readonly status_port: number },
): LineFinding[] {
  const owners = new Map([
    [values.port, 'port'],
    [values.status_port, 'status_port'],
  ]);
  return listeners.flatMap(({ number, port }): LineFinding[] => {
    const second = `listener_port${number}`;
    const first = owners.get(port);
    if (first === undefined) {
      owners.set(port, second);
      return [];
    }
    const line = lineOf(settings.get(number) ?? new Map(), 'listener_port');
    return [{ message: 'samePort', line, params: { first, second, port } }];
  });
}
