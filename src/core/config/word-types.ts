/** What a parameter's text may be and what it becomes: enums, booleans, plain text, lists. */

import { foldCase } from './parse.js';
import { shown } from './problem.js';
import { bad, good, type ValueType } from './value-type.js';

/** What an enum knows besides its values. Keys are lower case. */
export interface EnumExtras<V extends string> {
  /** Other words for a value, e.g. those of another driver or of SQL. */
  readonly synonyms?: Readonly<Record<string, V>>;
  /** Words that people will try, with the reason why they do not work. */
  readonly refused?: Readonly<Record<string, string>>;
  /** Values of which the function is not in this version. */
  readonly later?: readonly V[];
}

/** One of a list of words, in any letter case. */
export function oneOf<const V extends string>(
  values: readonly V[],
  { synonyms = {}, refused = {}, later = [] }: EnumExtras<V> = {},
): ValueType<V> {
  const available = values.filter((value) => !later.includes(value)).join(', ');
  const meanings = new Map<string, V>(Object.entries(synonyms));
  for (const value of values) meanings.set(foldCase(value), value);
  const refusals = new Map(Object.entries(refused));
  return {
    name: 'enum',
    bounds: available,
    parse: (text) => {
      const word = foldCase(text.trim());
      if (word === '') return bad('emptyValue');
      const value = meanings.get(word);
      if (value !== undefined) {
        return later.includes(value) ? bad('valueNotAvailable', { value }) : good(value);
      }
      const why = refusals.get(word);
      if (why !== undefined) return bad('refusedValue', { why, available });
      return bad('notInEnum', { value: shown(text), available });
    },
    format: (value) => value,
  };
}

/** on or off, and the other spellings that PostgreSQL takes for them. */
export function boolean(): ValueType<boolean> {
  const words = oneOf(['on', 'off'], {
    synonyms: { true: 'on', yes: 'on', '1': 'on', false: 'off', no: 'off', '0': 'off' },
  });
  return {
    name: 'boolean',
    bounds: words.bounds,
    parse: (text) => {
      const word = words.parse(text);
      return word.ok ? good(word.value === 'on') : word;
    },
    format: (value) => (value ? 'on' : 'off'),
  };
}

/** Visible text of at most `max` characters, taken as it is; not empty. */
export function text(max: number): ValueType<string> {
  return {
    name: 'string',
    bounds: 'not empty',
    parse: (value) => {
      if (value === '') return bad('emptyValue');
      if (value.length > max) return bad('valueTooLong', { max });
      if (/\p{Cc}/u.test(value)) return bad('unprintableValue', { value: shown(value) });
      return good(value);
    },
    format: (value) => value,
  };
}

/** Several values with commas between them, each counted once; at least one. */
export function listOf<T>(item: ValueType<T>): ValueType<readonly T[]> {
  return {
    name: 'string list',
    bounds: item.bounds,
    parse: (value) => {
      if (value.trim() === '') return bad('emptyValue');
      const items = new Map<string, T>();
      for (const part of value.split(',')) {
        if (part.trim() === '') return bad('emptyItem', { value: shown(value) });
        const parsed = item.parse(part.trim());
        if (!parsed.ok) return parsed;
        items.set(item.format(parsed.value), parsed.value);
      }
      return good([...items.values()]);
    },
    format: (values) => values.map((value) => item.format(value)).join(', '),
  };
}
