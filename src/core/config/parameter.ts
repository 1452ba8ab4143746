/** The shape of a row in the tables of parameters, and what every reader of such a table needs. */

import type { Consequence, Finding } from './problem.js';
import type { Parsed, ValueType } from './value-type.js';

/**
 * One parameter. `T` is its value, `C` the configuration object it ends up in. The parsers, the checks, the
 * sample file, the listing of effective values and the manual all derive from such rows.
 */
export interface Parameter<T, C> {
  readonly type: ValueType<T>;
  /** As one would write it in the file; undefined: no value unless set. */
  readonly default: string | undefined;
  /** What holds instead where `default` is undefined, for people. */
  readonly otherwise?: string;
  /** When a changed value takes effect. */
  readonly applies: 'reload' | 'restart';
  /** `later`: the name is reserved; only the default is accepted. */
  readonly availability: 'now' | 'later';
  /** `file`: the value names a file with a secret; its mode is checked, its content shown nowhere. */
  readonly secret?: 'file';
  /** Heading in the sample file and the manual. */
  readonly section: string;
  /** Full sentences for the sample file and the manual. */
  readonly doc: string;
  /** Shown in the sample file where there is no default. */
  readonly example?: string;
  /** The watchdog only: what follows from a wrong value. Default: the default value is used. */
  readonly whenWrong?: Consequence;
  /** Where the value stands in the configuration; absent for a function that does not exist yet. */
  readonly of?: (config: C) => T | undefined;
}

/** A table of parameters by name (numbered ones without their number). */
export type ParameterTable<C> = Readonly<Record<string, Parameter<unknown, C>>>;

/** The value of one row; undefined can only come where there is no default. */
export type ValueOf<P> = P extends { type: ValueType<infer T>; default: infer D }
  ? D extends string
    ? T
    : T | undefined
  : never;

/** The values of a whole table. */
export type ValuesOf<T> = { -readonly [K in keyof T]: ValueOf<T[K]> };

/** Reads `text` as a value of `parameter`; where its function is not available only the default is accepted. */
export function readValue<T, C>(parameter: Parameter<T, C>, text: string): Parsed<T | undefined> {
  if (parameter.default === undefined && parameter.availability === 'later' && text.trim() === '') {
    return { ok: true, value: undefined };
  }
  const parsed = parameter.type.parse(text);
  if (parameter.availability === 'now') return parsed;
  const same = parsed.ok && parameter.type.format(parsed.value) === defaultText(parameter);
  return same ? parsed : { ok: false, message: 'notAvailable', params: {} };
}

/** The value that holds when nothing is set. */
export function defaultValue<T, C>(parameter: Parameter<T, C>): T | undefined {
  if (parameter.default === undefined) return undefined;
  const parsed = parameter.type.parse(parameter.default);
  return parsed.ok ? parsed.value : undefined;
}

/** The default in its canonical spelling. */
function defaultText<T, C>(parameter: Parameter<T, C>): string | undefined {
  const value = defaultValue(parameter);
  return value === undefined ? undefined : parameter.type.format(value);
}

/** Names of the rows whose value differs between two configurations, in the table's order. */
export function changedNames<C>(table: ParameterTable<C>, before: C, after: C): string[] {
  return Object.entries(table)
    .filter(([, { type, of }]) => {
      const text = (config: C): string | undefined => {
        const value = of?.(config);
        return value === undefined ? undefined : type.format(value);
      };
      return text(before) !== text(after);
    })
    .map(([name]) => name);
}

/**
 * Reads the texts of `raw` (by name) as values of a table. A wrong one is told to `wrong` and its default put
 * in its place, so that the caller decides what follows from it. Names that are not in the table are skipped.
 */
export function readValues<T extends ParameterTable<never>>(
  table: T,
  raw: ReadonlyMap<string, string>,
  wrong: (name: string, finding: Finding) => void,
): ValuesOf<T> {
  const values: Record<string, unknown> = {};
  for (const [name, parameter] of Object.entries(table)) {
    const text = raw.get(name);
    const parsed = text === undefined ? undefined : readValue(parameter, text);
    if (parsed !== undefined && !parsed.ok) wrong(name, parsed);
    values[name] = parsed?.ok ? parsed.value : defaultValue(parameter);
  }
  return values as ValuesOf<T>;
}

/** Changed parameters by what it takes to use the new value. */
export interface ChangedParameters {
  readonly reloadable: readonly string[];
  readonly needsRestart: readonly string[];
}

/** The names of changedNames, told apart. */
export function changedParameters<C>(table: ParameterTable<C>, before: C, after: C): ChangedParameters {
  const changed = changedNames(table, before, after);
  return {
    reloadable: changed.filter((name) => table[name]?.applies === 'reload'),
    needsRestart: changed.filter((name) => table[name]?.applies === 'restart'),
  };
}
