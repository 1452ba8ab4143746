/** Which parameter of conmgr.conf a name means, and the error for a name that means none. */

import { nearestName } from './nearest.js';
import { type Finding, shown } from './problem.js';
import { type ConmgrTables, IGNORED_PARAMETERS } from './spec.js';

/** A name that was understood. */
export type NamedParameter =
  | { readonly kind: 'plain' }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'instance'; readonly base: string; readonly number: number }
  | { readonly kind: 'listener'; readonly base: keyof ConmgrTables['listener']; readonly number: number };

/** Larger numbers would not be counted but mistyped. */
export const LARGEST_INSTANCE_NUMBER = 65535;

/** Looks up a name in lower case. */
export function findParameter(name: string, tables: ConmgrTables): NamedParameter | Finding {
  if (Object.hasOwn(tables.plain, name)) return { kind: 'plain' };
  if (IGNORED_PARAMETERS.includes(name)) return { kind: 'ignored' };
  if (name.startsWith('watchdog.')) return { message: 'watchdogParameter', params: { name: shown(name) } };

  let digitsAt = name.length;
  while (digitsAt > 0 && /[0-9]/.test(name.charAt(digitsAt - 1))) digitsAt--;
  const base = name.slice(0, digitsAt);
  const digits = name.slice(digitsAt);
  const ofInstance = Object.hasOwn(tables.instance, base);
  if (!(ofInstance || isListenerName(base, tables))) return unknown(name, base, digits, tables);
  if (digits === '') return { message: 'missingNumber', params: { name } };
  if (/^0[0-9]/.test(digits)) {
    const better = base + digits.replace(/^0+(?=[0-9])/, '');
    return { message: 'leadingZeros', params: { name: shown(name), better: shown(better) } };
  }
  const number = Number(digits);
  if (number > LARGEST_INSTANCE_NUMBER) {
    return { message: 'numberTooLarge', params: { name: shown(name), max: LARGEST_INSTANCE_NUMBER } };
  }
  return isListenerName(base, tables)
    ? { kind: 'listener', base, number }
    : { kind: 'instance', base, number };
}

function isListenerName(base: string, tables: ConmgrTables): base is keyof ConmgrTables['listener'] {
  return Object.hasOwn(tables.listener, base);
}

/** Offers the nearest name, for a numbered one with the number that was written. */
function unknown(name: string, base: string, digits: string, tables: ConmgrTables): Finding {
  const number = digits === '' ? '0' : digits.slice(0, 5);
  const numbered = [...Object.keys(tables.instance), ...Object.keys(tables.listener)];
  const candidates = [...Object.keys(tables.plain), ...numbered.map((known) => known + number)];
  const nearest = nearestName(name, candidates) ?? nearestName(base, Object.keys(tables.plain));
  const params = { name: shown(name), nearest };
  return { message: nearest === undefined ? 'unknownParameter' : 'misspeltParameter', params };
}
