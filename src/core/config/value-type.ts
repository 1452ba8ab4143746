/** What a parameter's text may be and what it becomes: numbers, times and amounts of data. */

import type { Finding } from './problem.js';
import { shown } from './problem.js';

/** A value, or what is wrong with its text (the caller adds the parameter's name). */
export type Parsed<T> = { readonly ok: true; readonly value: T } | ({ readonly ok: false } & Finding);

/** A type of value. */
export interface ValueType<T> {
  /** For people: `integer`, `string`, `string list`, `enum`, `boolean`. */
  readonly name: string;
  /** The unit of a bare number. */
  readonly unit?: 's' | 'ms' | 'bytes';
  /** For people: `1 .. 65535`, `off, writers, all`; '' where there is nothing to say. */
  readonly bounds: string;
  /** Reads a text from which quotes have been taken; never throws. */
  parse(text: string): Parsed<T>;
  /** A text that `parse` reads as `value` again, and that stays equal while the value does. */
  format(value: T): string;
}

/** A value without complaint. */
export function good<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

/** A complaint. */
export function bad(message: Finding['message'], params: Finding['params'] = {}): Parsed<never> {
  return { ok: false, message, params };
}

/** Above it a number in a file is a mistake, and arithmetic with it could lose digits. */
export const LARGEST_INTEGER = 2147483647;

/** Whole numbers in decimal digits. */
export function integer(min: number, max: number = LARGEST_INTEGER): ValueType<number> {
  return {
    name: 'integer',
    bounds: max === LARGEST_INTEGER ? `>= ${min}` : `${min} .. ${max}`,
    parse: (text) => {
      const digits = text.trim();
      if (digits === '') return bad('emptyValue');
      if (!/^-?\d+$/.test(digits)) return bad('notInteger', { value: shown(text) });
      const value = Number(digits);
      if (value < min || value > max) return bad('outOfRange', { value: shown(digits), min, max });
      return good(value);
    },
    format: String,
  };
}

/** TCP ports. */
export function port(): ValueType<number> {
  return integer(1, 65535);
}

const TIME_UNITS = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTE_UNITS = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 } as const;

/** A number, perhaps with a unit, as in postgresql.conf: blanks before the unit and fractions are fine. */
const QUANTITY = /^(-?(?:\d+(?:\.\d*)?|\.\d+))[ \t]*([A-Za-z]*)$/;

/** The largest delay a timer of Node takes: 2^31 - 1 ms, nearly 25 days. */
export const LONGEST_TIME_MS = 2147483647;

/**
 * Durations. A bare number counts in `unit` and has to be whole; with a unit of its own any number does, and
 * it is rounded to milliseconds.
 */
export function time(unit: 's' | 'ms', minMs: number): ValueType<number> {
  const bareMin = Math.ceil(minMs / TIME_UNITS[unit]);
  const bareMax = Math.floor(LONGEST_TIME_MS / TIME_UNITS[unit]);
  return {
    name: 'integer',
    unit,
    bounds: `>= ${bareMin}`,
    parse: (text) => {
      if (text.trim() === '') return bad('emptyValue');
      const [, number, suffix] = QUANTITY.exec(text.trim()) ?? [];
      const factor = factorOf(TIME_UNITS, suffix);
      const bare = suffix === '';
      if (number === undefined || (!bare && factor === undefined) || (bare && !/^-?\d+$/.test(number))) {
        return bad('notTime', { value: shown(text), unit: unit === 's' ? 'seconds' : 'milliseconds' });
      }
      const valueMs = Math.round(Number(number) * (factor ?? TIME_UNITS[unit]));
      if (valueMs >= minMs && valueMs <= LONGEST_TIME_MS) return good(valueMs);
      const range = bare
        ? { value: `${number} ${unit}`, min: `${bareMin} ${unit}`, max: `${bareMax} ${unit}` }
        : { value: text.trim(), min: formatTime(minMs), max: formatTime(LONGEST_TIME_MS) };
      return bad('outOfRange', { ...range, value: shown(range.value) });
    },
    format: formatTime,
  };
}

/** Amounts of data in bytes. */
export function bytes(min: number): ValueType<number> {
  return {
    name: 'integer',
    unit: 'bytes',
    bounds: `>= ${min}`,
    parse: (text) => {
      if (text.trim() === '') return bad('emptyValue');
      const [, number, suffix] = QUANTITY.exec(text.trim()) ?? [];
      const factor = suffix === '' ? 1 : factorOf(BYTE_UNITS, suffix);
      if (number === undefined || factor === undefined || (factor === 1 && !/^-?\d+$/.test(number))) {
        return bad('notBytes', { value: shown(text) });
      }
      const value = Math.round(Number(number) * factor);
      if (value >= min && value <= Number.MAX_SAFE_INTEGER) return good(value);
      return bad('outOfRange', { value: shown(text.trim()), min, max: Number.MAX_SAFE_INTEGER });
    },
    format: (value) => formatQuantity(value, BYTE_UNITS, ''),
  };
}

/** `10s`, `200ms`, `1min`: the largest unit without a fraction, as SHOW prints it; `0` has none. */
export function formatTime(valueMs: number): string {
  return formatQuantity(valueMs, TIME_UNITS, 'ms');
}

function formatQuantity(value: number, units: Readonly<Record<string, number>>, smallest: string): string {
  if (value === 0) return '0';
  const fitting = Object.entries(units).filter(([, factor]) => factor > 1 && value % factor === 0);
  const [unit, factor] = fitting.at(-1) ?? [smallest, 1];
  return `${value / factor}${unit}`;
}

function factorOf(units: Readonly<Record<string, number>>, suffix: string | undefined): number | undefined {
  return suffix !== undefined && Object.hasOwn(units, suffix) ? units[suffix] : undefined;
}
