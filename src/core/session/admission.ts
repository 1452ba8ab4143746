/**
 * Whether a conmgr that says HELLO gets a link.
 *
 * Identity: a conmgr's id is kept over its restarts, its boot id is new with each. The same id from the same address
 * is the same conmgr come back; from another address it is a copy of its directory or machine, and as long as both
 * are there neither may cause SQL sessions to be ended.
 */
import { commonVersion } from '../protocol/codec.js';
import {
  HEARTBEAT_VERSION,
  type HeartbeatMessageOf,
  type RejectCode,
  TIMING_BOUNDS,
} from '../protocol/messages.js';
import { timingInBounds } from './session.js';

/** A caller that finds no place comes back after this long, so that it does not try in a tight loop. */
export const LIMIT_RETRY_MS = 5000;
/** A caller whose refusal will not go away by itself. */
export const REFUSAL_RETRY_MS = 10_000;

/** A link that is up with the caller's id. */
export interface Namesake<Key> {
  readonly key: Key;
  readonly address: string;
}

/** What the decision depends on. */
export interface AdmissionRules {
  readonly stopping: boolean;
  /** Links that are up. */
  readonly links: number;
  readonly maxLinks: number;
  /** Cluster of the instance; 0 = not known yet. */
  readonly systemIdentifier: bigint;
}

export type Admission<Key> =
  /** Links in `replaces` are of the same conmgr and end without consequence. */
  | { readonly admit: true; readonly version: number; readonly replaces: readonly Key[] }
  | {
      readonly admit: false;
      readonly code: RejectCode;
      readonly retryAfterMs: number;
      readonly text: string;
      /** Links that may no longer cause a kill. */
      readonly disputes: readonly Key[];
    };

/**
 * Decides about a HELLO from `address` (normalised). `namesakes`: the links that are up with the same id.
 */
export function judgeHello<Key>(
  hello: HeartbeatMessageOf<'hello'>,
  address: string,
  namesakes: readonly Namesake<Key>[],
  rules: AdmissionRules,
): Admission<Key> {
  const refuse = (
    code: RejectCode,
    text: string,
    retryAfterMs = REFUSAL_RETRY_MS,
    disputes: readonly Key[] = [],
  ): Admission<Key> => ({ admit: false, code, retryAfterMs, text, disputes });

  if (rules.stopping) return refuse('stopping', 'the watchdog is stopping', 0);
  const version = commonVersion(HEARTBEAT_VERSION, { min: hello.versionMin, max: hello.versionMax });
  if (version === undefined) {
    const { min, max } = HEARTBEAT_VERSION;
    return refuse(
      'version',
      `this watchdog speaks protocol versions ${min} to ${max}, not ${hello.versionMin} to ${hello.versionMax}`,
    );
  }
  if (!timingInBounds(hello.intervalMs, hello.timeoutMs)) {
    return refuse(
      'bounds',
      `heartbeat_interval and heartbeat_timeout must be at least ${TIMING_BOUNDS.minMs} ms`,
    );
  }
  if (
    hello.systemIdentifier !== 0n &&
    rules.systemIdentifier !== 0n &&
    hello.systemIdentifier !== rules.systemIdentifier
  ) {
    return refuse(
      'wrongCluster',
      `this instance belongs to the cluster with system identifier ${rules.systemIdentifier}`,
    );
  }
  const elsewhere = namesakes.filter((link) => link.address !== address);
  if (elsewhere.length > 0) {
    return refuse(
      'duplicate',
      `a conmgr with the same identity is connected from ${elsewhere[0]?.address}`,
      REFUSAL_RETRY_MS,
      elsewhere.map((link) => link.key),
    );
  }
  if (namesakes.length === 0 && rules.links >= rules.maxLinks) {
    return refuse('limit', `limit of ${rules.maxLinks} heartbeat connections is reached`, LIMIT_RETRY_MS);
  }
  return { admit: true, version, replaces: namesakes.map((link) => link.key) };
}
