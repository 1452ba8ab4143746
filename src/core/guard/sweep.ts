/**
 * While an instance is lost, new attempts to reach it are ended as well: the sweep.
 *
 * A driver that was told of the loss connects again within a millisecond; without an answer it would hang until its
 * own time-out (docs/decisions/0031-guard-redirect-and-the-helper.md).
 */
import type { TcpSocket } from './inet-diag.js';
import { isConnecting } from './match.js';
import { formatTarget, type Target } from './target.js';

/** Pause between two looks. */
export const SWEEP_INTERVAL_MS = 20;
/** A look that took longer makes the pause this many times as long, so that it takes a tenth of a processor at most. */
const PAUSE_FACTOR = 10;
/** Of all targets of all clients together. */
export const MOST_SWEPT = 256;

/** One owner's word about one target. */
interface Claim {
  readonly spare: ReadonlySet<number>;
  /** Attempts that were ended. */
  ended: number;
}

/** Targets under sweep, each for one or more owners (connections of conmgrs). */
export class SweepList<Owner> {
  /** By text of the target. */
  readonly #claims = new Map<string, Map<Owner, Claim>>();

  get size(): number {
    return this.#claims.size;
  }

  /** Puts the target under sweep for this owner, or renews what is spared. false: there are too many. */
  add(owner: Owner, target: Target, spare: ReadonlySet<number>): boolean {
    const key = formatTarget(target);
    const claims = this.#claims.get(key) ?? new Map<Owner, Claim>();
    if (claims.size === 0 && this.#claims.size >= MOST_SWEPT) return false;
    claims.set(owner, { spare, ended: claims.get(owner)?.ended ?? 0 });
    this.#claims.set(key, claims);
    return true;
  }

  /** Takes the target back for this owner; how many attempts were ended meanwhile. */
  remove(owner: Owner, target: Target): number {
    return this.#remove(owner, formatTarget(target));
  }

  removeAll(owner: Owner): void {
    for (const key of [...this.#claims.keys()]) this.#remove(owner, key);
  }

  /** Those of the sockets that are to be ended now; they count for every owner of their target. */
  choose(sockets: readonly TcpSocket[]): TcpSocket[] {
    return sockets.filter((socket) => {
      if (!isConnecting(socket)) return false;
      const key = formatTarget({ bytes: socket.remoteAddress, port: socket.remotePort });
      const claims = [...(this.#claims.get(key)?.values() ?? [])];
      if (claims.length === 0 || claims.some(({ spare }) => spare.has(socket.localPort))) return false;
      for (const claim of claims) claim.ended += 1;
      return true;
    });
  }

  #remove(owner: Owner, key: string): number {
    const claims = this.#claims.get(key);
    const claim = claims?.get(owner);
    claims?.delete(owner);
    if (claims?.size === 0) this.#claims.delete(key);
    return claim?.ended ?? 0;
  }
}

/** Pause before the next look, after one that took `tookMs`. */
export function sweepPauseMs(tookMs: number): number {
  return Math.max(SWEEP_INTERVAL_MS, tookMs * PAUSE_FACTOR);
}
