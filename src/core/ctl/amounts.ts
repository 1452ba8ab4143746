/** Amounts and moments as people read them on a terminal. */
import { civilTime } from '../messages/format.js';
import type { WallMs } from '../time.js';

/** A span of time in its two largest units: `0.4 s`, `42 s`, `3 min 5 s`, `5 h 12 min`, `3 d 4 h`. */
export function formatSpan(ms: number): string {
  const span = Math.max(0, ms);
  if (span < 9950) return `${(span / 1000).toFixed(1)} s`;
  const seconds = Math.round(span / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return twoUnits(minutes, 'min', seconds % 60, 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return twoUnits(hours, 'h', minutes % 60, 'min');
  return twoUnits(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** A configured time, exactly: `200 ms`, `10 s`. */
export function formatPeriod(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`;
}

function twoUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** A round trip: `0.41 ms`, `12.3 ms`, `250 ms`. */
export function formatRoundTrip(ms: number): string {
  if (ms < 9.995) return `${ms.toFixed(2)} ms`;
  return ms < 99.95 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** A number of bytes with PostgreSQL's unit names, 1 kB = 1024 B: `0 B`, `16 kB`, `1.2 GB`. */
export function formatBytes(bytes: bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = unit === 0 || value >= 9.95 ? String(Math.round(value)) : value.toFixed(1);
  return `${text} ${BYTE_UNITS[unit]}`;
}

/** The time zone of whoever reads: milliseconds east of UTC at a moment. */
export type ZoneOffset = (at: WallMs) => number;

const two = (value: number): string => String(value).padStart(2, '0');

/** A moment: `09:30:01` on the day of `now`, else `2026-11-20 09:30`. */
export function formatMoment(at: WallMs, now: WallMs, zone: ZoneOffset): string {
  const then = civilTime(at, zone(at));
  const today = civilTime(now, zone(now));
  const clock = `${two(then.hour)}:${two(then.minute)}`;
  const sameDay = then.year === today.year && then.month === today.month && then.day === today.day;
  if (sameDay) return `${clock}:${two(then.second)}`;
  return `${String(then.year).padStart(4, '0')}-${two(then.month)}-${two(then.day)} ${clock}`;
}

/** server_version_num as people write it: 170010 is 17.10 (PostgreSQL documentation, PQserverVersion). */
export function formatServerVersion(version: number): string {
  if (version >= 100_000) return `${Math.floor(version / 10_000)}.${version % 10_000}`;
  const major = `${Math.floor(version / 10_000)}.${Math.floor(version / 100) % 100}`;
  return `${major}.${version % 100}`;
}

/** `1 application`, `3 applications`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
