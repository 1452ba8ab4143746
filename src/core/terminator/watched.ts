/** The SQL sessions that a conmgr has reported as its own, as the watchdog keeps them for one link. */
import { parseIp } from '../config/address.js';
import type { HeartbeatMessageOf } from '../protocol/messages.js';
import { decodeSessions, type WatchedEnd } from '../protocol/session-list.js';
import type { SqlSession } from './pass.js';

/** Sessions kept for one link; more are not taken. */
export const MOST_WATCHED = 65_536;

/** In the state file: `[address, [port, process ID, port, process ID, …]]` for each local address. */
export type WatchedRecord = readonly (readonly [address: string, numbers: readonly number[]])[];

export class WatchedSessions {
  /** Process IDs by port, by local address. */
  readonly #ends = new Map<string, Map<number, number>>();
  #size = 0;
  #told = false;
  #full = false;

  /** `before`: what the link before had reported; it holds until the first list of this one. */
  constructor(before?: WatchedSessions) {
    if (before === undefined) return;
    for (const [address, ports] of before.#ends) this.#ends.set(address, new Map(ports));
    this.#size = before.#size;
    this.#told = before.#told;
  }

  get size(): number {
    return this.#size;
  }

  /** The conmgr has reported, be it that it watches none. */
  get told(): boolean {
    return this.#told;
  }

  /** Takes in one message. What there is to be said: `begun`: a first list has come; `full`: no more are taken. */
  apply(message: HeartbeatMessageOf<'sessions'>): 'begun' | 'full' | undefined {
    const said = decodeSessions(message);
    if (said === undefined) return undefined;
    const begun = said.part === 'first' && !this.#told;
    if (said.part === 'first') {
      this.#ends.clear();
      this.#size = 0;
      this.#told = true;
      this.#full = false;
    }
    for (const end of said.ends) {
      if (said.part === 'removed') this.#remove(end);
      else this.#add(end);
    }
    if (begun) return 'begun';
    if (this.#size < MOST_WATCHED || this.#full) return undefined;
    this.#full = true;
    return 'full';
  }

  /**
   * Tells which sessions of the instance are among them. `linkAddress`: where the link came from, as the server sees
   * it. Where conmgr sees the same address, address and port decide; where it sees another one, addresses are
   * translated on the way, and maybe ports: there only the process ID does.
   */
  recogniser(linkAddress: string): (session: Pick<SqlSession, 'pid' | 'clientPort'>) => boolean {
    const address = bare(linkAddress);
    const ports = new Map(this.#ends.get(address));
    const pids = new Set<number>();
    for (const [local, others] of this.#ends) {
      if (local !== address) for (const pid of others.values()) pids.add(pid);
    }
    pids.delete(0);
    return ({ pid, clientPort }) => {
      const known = ports.get(clientPort);
      return known === 0 || known === pid || pids.has(pid);
    };
  }

  /** Sessions that cannot be recognised: their address is translated, and their process ID is not known. */
  unrecognisable(linkAddress: string): number {
    const address = bare(linkAddress);
    let count = 0;
    for (const [local, ports] of this.#ends) {
      if (local !== address) for (const pid of ports.values()) count += pid === 0 ? 1 : 0;
    }
    return count;
  }

  /** For the state file; undefined before the first list. */
  toRecord(): WatchedRecord | undefined {
    if (!this.#told) return undefined;
    return [...this.#ends].map(([address, ports]) => [address, [...ports].flat()] as const);
  }

  /** From the state file; undefined for anything that is no record. */
  static fromRecord(value: unknown): WatchedSessions | undefined {
    if (!Array.isArray(value)) return undefined;
    const watched = new WatchedSessions();
    watched.#told = true;
    for (const row of value) {
      const [address, numbers] = Array.isArray(row) ? (row as unknown[]) : [];
      if (typeof address !== 'string' || parseIp(address) === undefined || !Array.isArray(numbers))
        return undefined;
      for (let at = 0; at + 1 < numbers.length; at += 2) {
        const [port, pid] = [Number(numbers[at]), Number(numbers[at + 1])];
        if (Number.isInteger(port) && Number.isInteger(pid)) watched.#add({ address, port, pid });
      }
    }
    return watched;
  }

  #add({ address, port, pid }: WatchedEnd): void {
    const ports = this.#ends.get(address) ?? new Map<number, number>();
    if (!ports.has(port)) {
      if (this.#size >= MOST_WATCHED) return;
      this.#size += 1;
    }
    ports.set(port, pid);
    this.#ends.set(address, ports);
  }

  #remove({ address, port }: WatchedEnd): void {
    const ports = this.#ends.get(address);
    if (ports?.delete(port) !== true) return;
    this.#size -= 1;
    if (ports.size === 0) this.#ends.delete(address);
  }
}

function bare(address: string): string {
  return address.replace(/%.*$/, '');
}
