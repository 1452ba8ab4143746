/** What people read about the configuration: the sample file, the values in effect, the list for manuals. */

import { INSTANCE_PARAMETERS, LISTENER_PARAMETERS, SECTIONS } from './instance-spec.js';
import type { Parameter, ParameterTable } from './parameter.js';
import { foldCase } from './parse.js';
import type { ResolvedWatchdogConfig } from './resolve-watchdog.js';
import { CONMGR_PARAMETERS } from './spec.js';
import type { ConmgrConfig } from './types.js';
import { WATCHDOG_PARAMETERS } from './watchdog-spec.js';

/** One parameter as a manual or --help shows it. */
export interface ParameterDoc {
  /** A numbered one ends in `N`. */
  readonly name: string;
  readonly type: string;
  /** Unit of a bare number: `s`, `ms`, `bytes`. */
  readonly unit: string | undefined;
  /** As one would write it, or what holds instead. */
  readonly default: string;
  /** `1 .. 65535`, `off, writers, all`, or ''. */
  readonly bounds: string;
  readonly applies: 'reload' | 'restart';
  readonly availability: 'now' | 'later';
  readonly section: string;
  readonly doc: string;
}

/** The parameters of conmgr.conf by section. */
export function conmgrParameterDocs(): readonly ParameterDoc[] {
  const all = [
    ...docsOf(INSTANCE_PARAMETERS, 'N'),
    ...docsOf(CONMGR_PARAMETERS),
    ...docsOf(LISTENER_PARAMETERS, 'N'),
  ];
  return Object.values(SECTIONS).flatMap((section) => all.filter((doc) => doc.section === section));
}

/** The parameters of the watchdog in postgresql.conf. */
export function watchdogParameterDocs(): readonly ParameterDoc[] {
  return docsOf(WATCHDOG_PARAMETERS);
}

function docsOf(table: ParameterTable<never>, suffix = ''): ParameterDoc[] {
  return Object.entries(table).map(([name, { type, otherwise = 'none', ...parameter }]) => ({
    name: name + suffix,
    type: type.name,
    unit: type.unit,
    default: parameter.default ?? otherwise,
    bounds: type.bounds,
    applies: parameter.applies,
    availability: parameter.availability,
    section: parameter.section,
    doc: parameter.doc,
  }));
}

const SAMPLE_HEAD = [
  'Configuration of conmgr.',
  'One setting a line: name = value. A value with blanks, commas or # stands in single quotes. What follows # ' +
    'is a comment; the commented settings below show the defaults. Times may have a unit (ms, s, min, h, d).',
  '"cm_ctl check" shows all errors of this file without starting anything; "cm_ctl reload" makes a running ' +
    'conmgr read it again. See conmgr.conf(5).',
];

const SAMPLE_WIDTH = 100;
const RULER = `#${'-'.repeat(SAMPLE_WIDTH - 1)}`;

/** The conmgr.conf that a new directory gets. It lacks an instance and is valid but for that. */
export function sampleConfig(): string {
  const lines = SAMPLE_HEAD.flatMap((paragraph) => ['#', ...comment(paragraph)]).slice(1);
  const rows: [string, Parameter<unknown, never>][] = [
    ...Object.entries<Parameter<unknown, never>>(INSTANCE_PARAMETERS).map(
      ([name, row]): [string, Parameter<unknown, never>] => [`${name}0`, row],
    ),
    ...Object.entries<Parameter<unknown, never>>(CONMGR_PARAMETERS),
    ...Object.entries<Parameter<unknown, never>>(LISTENER_PARAMETERS).map(
      ([name, row]): [string, Parameter<unknown, never>] => [`${name}0`, row],
    ),
  ];
  for (const section of Object.values(SECTIONS)) {
    lines.push('', '', RULER, `# ${section}`, RULER);
    for (const [name, row] of rows) {
      if (row.section !== section || row.availability === 'later') continue;
      const setting = `#${name} = ${quoteValue(row.default ?? row.example ?? '')}`;
      lines.push('', ...comment(row.doc), `${setting.padEnd(48)}# ${limits(row)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function limits({ type, applies }: Parameter<unknown, never>): string {
  const unit = type.unit === undefined ? '' : `${type.unit}, `;
  return unit + type.bounds + (applies === 'restart' ? '; a change needs a restart' : '');
}

/** Breaks a sentence into comment lines. */
function comment(text: string): string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > SAMPLE_WIDTH) {
      lines.push(line);
      line = '#';
    }
    line = `${line} ${word}`;
  }
  return [...lines, line.trimEnd()];
}

/**
 * A value as it is written in conmgr.conf and postgresql.conf: bare where both take it so, else in single
 * quotes. Any text without NUL reads back as itself.
 */
export function quoteValue(value: string): string {
  if (/^(?:[A-Za-z_][A-Za-z0-9_-]*|[0-9]+[A-Za-z]*)$/.test(value)) return value;
  const escaped = value.replace(/['\\]/g, '$&$&').replace(/[\x01-\x1f\x7f]/g, (control) => {
    return `\\${control.charCodeAt(0).toString(8).padStart(3, '0')}`;
  });
  return `'${escaped}'`;
}

/** One parameter and its value in effect. */
export interface EffectiveValue {
  readonly name: string;
  /** Canonical spelling; undefined: not set and without default. */
  readonly value: string | undefined;
  /** Where it comes from, for people: `default`, `line 3`, `postgresql.conf`. */
  readonly source: string;
  readonly applies: 'reload' | 'restart';
}

/** Every parameter that this version has, with its value, instances first. `lines` as resolveConmgrConfig gives. */
export function effectiveValues(config: ConmgrConfig, lines: ReadonlyMap<string, number>): EffectiveValue[] {
  const source = (name: string): string => (lines.has(name) ? `line ${lines.get(name)}` : 'default');
  const instances = config.instances.flatMap((instance) =>
    valuesOf(INSTANCE_PARAMETERS, instance, (base) => base + instance.number, source),
  );
  const listeners = config.listeners.flatMap((listener) =>
    valuesOf(LISTENER_PARAMETERS, listener, (base) => base + listener.number, source),
  );
  return [...instances, ...valuesOf(CONMGR_PARAMETERS, config, (name) => name, source), ...listeners];
}

/** The same for the watchdog. `raw` as given to resolveWatchdogConfig; what follows the instance has no value. */
export function effectiveWatchdogValues(
  { config, problems }: ResolvedWatchdogConfig,
  raw: ReadonlyMap<string, string>,
): EffectiveValue[] {
  const set = new Set([...raw].filter(([, text]) => text !== '').map(([name]) => foldCase(name)));
  const wrong = new Set(problems.map(({ params }) => params['name']));
  const source = (name: string): string => {
    if (wrong.has(name)) return 'wrong value set';
    return set.has(name) ? 'postgresql.conf' : 'default';
  };
  return valuesOf(WATCHDOG_PARAMETERS, config, (name) => name, source);
}

function valuesOf<C>(
  table: ParameterTable<C>,
  config: C,
  fullName: (name: string) => string,
  sourceOf: (name: string) => string,
): EffectiveValue[] {
  return Object.entries(table)
    .filter(([, { availability }]) => availability === 'now')
    .map(([base, { type, of, applies }]) => {
      const name = fullName(base);
      const value = of?.(config);
      return {
        name,
        value: value === undefined ? undefined : type.format(value),
        source: sourceOf(name),
        applies,
      };
    });
}

/** `name = value  # default` or `# line 3`, aligned; what is not set and has no default is left out. */
export function renderEffective(values: readonly EffectiveValue[]): string {
  const settings = values
    .filter(({ value }) => value !== undefined)
    .map(({ name, value = '', source, applies }) => ({
      setting: `${name} = ${quoteValue(value)}`,
      remark: applies === 'restart' ? `${source}, needs restart` : source,
    }));
  const width = Math.max(0, ...settings.map(({ setting }) => setting.length));
  return settings.map(({ setting, remark }) => `${setting.padEnd(width)}  # ${remark}\n`).join('');
}
