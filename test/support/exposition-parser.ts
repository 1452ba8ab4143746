/**
 * Reads Prometheus' text format as its document describes it, without anything of the product: so that what is written
 * is judged by another reading of the rules (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */

export interface Metric {
  readonly type: string;
  readonly help: string;
  readonly samples: { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/;

/** The metrics by name. Throws Error with the line that breaks a rule. */
export function parseExposition(text: string): ReadonlyMap<string, Metric> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end in a line feed');
  const metrics = new Map<string, Metric>();
  const helps = new Map<string, string>();
  let current = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment;
      if (kind === 'HELP') helps.set(name, rest);
      else {
        if (metrics.has(name)) throw new Error(`a second TYPE: ${line}`);
        if (!['gauge', 'counter'].includes(rest)) throw new Error(`no such type: ${line}`);
        metrics.set(name, { type: rest, help: helps.get(name) ?? '', samples: [] });
        current = name;
      }
      continue;
    }
    const name = NAME.exec(line)?.[0] ?? '';
    if (name === '' || name !== current) throw new Error(`not in the group of its TYPE: ${line}`);
    const { labels, rest } = parseLabels(line.slice(name.length));
    const value = /^ (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]Inf|NaN)$/.exec(rest)?.[1];
    if (value === undefined) throw new Error(`no value: ${line}`);
    const known = metrics.get(name)!.samples;
    if (known.some((one) => JSON.stringify(one.labels) === JSON.stringify(labels))) {
      throw new Error(`the same labels twice: ${line}`);
    }
    known.push({ labels, value: Number(value.replace('Inf', 'Infinity')) });
  }
  return metrics;
}

function parseLabels(text: string): { labels: Record<string, string>; rest: string } {
  const labels: Record<string, string> = {};
  if (!text.startsWith('{')) return { labels, rest: text };
  let rest = text.slice(1);
  while (!rest.startsWith('}')) {
    const found = LABEL.exec(rest);
    if (found === null) throw new Error(`not a label: ${rest}`);
    const [all, name = '', value = ''] = found;
    if (Object.hasOwn(labels, name)) throw new Error(`label twice: ${name}`);
    labels[name] = value.replace(/\\(["\\n])/g, (_, one: string) => (one === 'n' ? '\n' : one));
    rest = rest.slice(all.length);
    if (rest.startsWith(',')) rest = rest.slice(1);
    else if (!rest.startsWith('}')) throw new Error(`neither comma nor end: ${rest}`);
  }
  return { labels, rest: rest.slice(1) };
}

/** The value of a metric with these labels, undefined if it has none. */
export function sampleOf(
  metrics: ReadonlyMap<string, Metric>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  return metrics
    .get(name)
    ?.samples.find((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value))?.value;
}
