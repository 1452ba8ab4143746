/** What conmgr may ask of the privileged helper, and whether it may (docs/decisions/0031-guard-redirect-and-the-helper.md). */
import { readRequestLine } from '../control/protocol.js';
import { formatTarget, isPort, parseTarget, type Target } from './target.js';
import type { Permission } from './target-list.js';

/** Where the unit of the helper makes its socket. */
export const HELPER_SOCKET = '/run/conmgr-helper/socket';

/** A longer line ends its connection. */
export const MOST_REQUEST_BYTES = 8 * 1024;
/** Instances of one request. */
export const MOST_TARGETS = 64;
/** Local ports that are spared. */
export const MOST_SPARED = 256;
/** Destinations of one listener; the map of the kernel has room for as many. */
export const MOST_DESTINATIONS = 8;

export type HelperRequest =
  | { readonly do: 'probe'; readonly targets: readonly Target[]; readonly listeners: readonly number[] }
  | { readonly do: 'kill'; readonly target: Target; readonly spare: ReadonlySet<number> }
  | { readonly do: 'sweep'; readonly target: Target; readonly on: true; readonly spare: ReadonlySet<number> }
  | { readonly do: 'sweep'; readonly target: Target; readonly on: false }
  | { readonly do: 'count'; readonly targets: readonly Target[]; readonly listeners: readonly number[] }
  | { readonly do: 'ends'; readonly targets: readonly Target[]; readonly listeners: readonly number[] }
  | { readonly do: 'route'; readonly listener: number; readonly targets: readonly Target[] }
  | { readonly do: 'evict'; readonly listener: number; readonly target: Target }
  | { readonly do: 'clear' };

/** A line as a request, or why it is none. `id` is 0 where the line has none that could be answered. */
export interface ReadRequest {
  readonly id: number;
  readonly request: HelperRequest | undefined;
  /** '' with a request. */
  readonly problem: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Thrown and caught in here: what is wrong with a field. */
class WrongField extends Error {}

/** Reads one line. Never throws. */
export function readHelperRequest(line: string): ReadRequest {
  const read = readRequestLine(line);
  if ('problem' in read) return { id: 0, request: undefined, problem: read.problem };
  const id = read.request['id'];
  if (!Number.isSafeInteger(id)) return { id: 0, request: undefined, problem: 'id must be a whole number' };
  try {
    return { id: id as number, request: requestOf(read.request), problem: '' };
  } catch (error) {
    if (!(error instanceof WrongField)) throw error;
    return { id: id as number, request: undefined, problem: error.message };
  }
}

function requestOf(fields: Fields): HelperRequest {
  switch (fields['do']) {
    case 'probe':
    case 'count':
    case 'ends':
      return {
        do: fields['do'],
        targets: manyOf(fields, 'targets', MOST_TARGETS, targetOf),
        listeners: manyOf(fields, 'listeners', MOST_TARGETS, portOf),
      };
    case 'kill':
      return { do: 'kill', target: targetOf(fields['target']), spare: spareOf(fields) };
    case 'sweep': {
      const target = targetOf(fields['target']);
      if (fields['on'] === false) return { do: 'sweep', target, on: false };
      if (fields['on'] === true) return { do: 'sweep', target, on: true, spare: spareOf(fields) };
      throw new WrongField('on must be true or false');
    }
    case 'route':
      return {
        do: 'route',
        listener: portOf(fields['listener']),
        targets: manyOf(fields, 'targets', MOST_DESTINATIONS, targetOf),
      };
    case 'evict':
      return { do: 'evict', listener: portOf(fields['listener']), target: targetOf(fields['target']) };
    case 'clear':
      return { do: 'clear' };
    default:
      throw new WrongField('unknown request');
  }
}

function targetOf(value: unknown): Target {
  const target = Array.isArray(value) && value.length === 2 ? parseTarget(value[0], value[1]) : undefined;
  if (target === undefined) throw new WrongField('a target is [address, port]');
  return target;
}

function portOf(value: unknown): number {
  if (!isPort(value)) throw new WrongField('a port is a number from 1 to 65535');
  return value;
}

function manyOf<T>(fields: Fields, name: string, most: number, read: (value: unknown) => T): T[] {
  const values = fields[name] ?? [];
  if (!Array.isArray(values) || values.length > most) {
    throw new WrongField(`${name} must be a list of at most ${most}`);
  }
  return values.map(read);
}

function spareOf(fields: Fields): ReadonlySet<number> {
  return new Set(manyOf(fields, 'spare', MOST_SPARED, portOf));
}

/** What of the request the list does not allow; empty: it may be done. */
export function refusedOf(request: HelperRequest, permission: Permission): string[] {
  const targets = (all: readonly Target[]): string[] =>
    all.filter((target) => !permission.allowsTarget(target)).map(formatTarget);
  switch (request.do) {
    case 'kill':
    case 'sweep':
      return targets([request.target]);
    case 'count':
    case 'ends':
    case 'probe':
      return [...targets(request.targets), ...listeners(request.listeners, permission)];
    case 'route':
    case 'evict': {
      const goals = request.do === 'route' ? request.targets : [request.target];
      const refused = goals.filter((target) => !permission.allowsRoute(request.listener, target));
      return [...listeners([request.listener], permission), ...refused.map(formatTarget)];
    }
    case 'clear':
      return [];
  }
}

function listeners(ports: readonly number[], permission: Permission): string[] {
  return ports.filter((port) => !permission.allowsListener(port)).map((port) => `listener ${port}`);
}

/** Requests of one connection at once: each of 64 instances may be lost and routed anew in the same moment. */
const BURST = 256;
const PER_SECOND = 64;

/** Allows a burst, and then so many a second; who asks for more waits. */
export class RequestAllowance {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #at: number;

  constructor(now: number, burst = BURST, perSecond = PER_SECOND) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#at = now;
  }

  /** Takes one at this moment (ms of a monotonic clock) and gives 0, or takes none and gives the ms to wait. */
  take(now: number): number {
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) * this.#perSecond) / 1000);
    this.#at = now;
    if (this.#left < 1) return Math.ceil(((1 - this.#left) * 1000) / this.#perSecond);
    this.#left -= 1;
    return 0;
  }
}
