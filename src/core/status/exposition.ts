/**
 * Metrics as Prometheus reads them: the text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Names follow
 * https://prometheus.io/docs/practices/naming/: base units, `_total` for counters, the program as prefix.
 */

/** Content-Type of the format. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** One value, with the values of the labels in the order of the row's `labels`. */
export type Sample = readonly [labels: readonly string[], value: number];

/** One row of a metrics table. */
export interface MetricRow<Source> {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  /** One sentence with its full stop. */
  readonly help: string;
  readonly labels: readonly string[];
  /** Its values at one moment; none where nothing is known. */
  readonly of: (source: Source) => readonly Sample[];
}

export type MetricTable<Source> = readonly MetricRow<Source>[];

/** The one value of a metric without labels; null = not known. */
export function only(value: number | boolean | null): readonly Sample[] {
  return value === null ? [] : [[[], Number(value)]];
}

/** One value for each of the states that a thing may have: 1 for the one that it has. */
export function oneHot(labels: readonly string[], states: readonly string[], state: string): Sample[] {
  return states.map((one) => [[...labels, one], Number(one === state)]);
}

/** The whole text; a metric without any value is left out. */
export function renderMetrics<Source>(table: MetricTable<Source>, source: Source): string {
  let text = '';
  for (const { name, type, help, labels, of } of table) {
    const samples = of(source);
    if (samples.length === 0) continue;
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
    for (const [values, value] of samples) text += `${name}${labelSet(labels, values)} ${number(value)}\n`;
  }
  return text;
}

function labelSet(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  return `{${names.map((name, at) => `${name}="${escapeLabel(values[at] ?? '')}"`).join(',')}}`;
}

/** What the format escapes in the value of a label: backslash, double quote, line feed. */
function escapeLabel(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
