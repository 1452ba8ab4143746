/**
 * What the end of a heartbeat link means for the SQL sessions of its address, and which links may cause that at all.
 */
import type { TerminateOn } from '../config/types.js';
import type { Departure } from '../session/session.js';

/** now · afterGrace: unless the same conmgr is back within watchdog.restart_grace · spare: never. */
export type Verdict = 'now' | 'afterGrace' | 'spare';

interface DepartureRow {
  /** With watchdog.terminate_on = any. */
  readonly any: Verdict;
  /** With watchdog.terminate_on = lost. */
  readonly lost: Verdict;
  /** In a message: "heartbeat link of … {words}". */
  readonly words: string;
  readonly why: string;
}

export const DEPARTURE_VERDICTS: Readonly<Record<Departure, DepartureRow>> = {
  timeout: {
    any: 'now',
    lost: 'now',
    words: 'timed out',
    why: 'The host or the network is gone; nobody would end its sessions and locks for a long time.',
  },
  closed: {
    any: 'afterGrace',
    lost: 'afterGrace',
    words: 'was closed without a goodbye',
    why: 'The process crashed, and systemd starts it again.',
  },
  restart: {
    any: 'afterGrace',
    lost: 'afterGrace',
    words: 'was closed for a restart of conmgr',
    why: 'A planned restart keeps the sessions; only one that does not come back is a loss.',
  },
  stop: {
    any: 'now',
    lost: 'spare',
    words: 'was closed because conmgr stopped',
    why: 'As documented, a normal stop ends the sessions of its host too, unless only losses shall count.',
  },
  hostShutdown: {
    any: 'now',
    lost: 'spare',
    words: 'was closed because its host shuts down',
    why: 'The applications of that host are stopping anyway.',
  },
  protocol: {
    any: 'spare',
    lost: 'spare',
    words: 'was closed for a violation of the protocol',
    why: 'A peer that misbehaves loses its own connection and no more.',
  },
  released: {
    any: 'spare',
    lost: 'spare',
    words: 'was closed because conmgr no longer monitors this instance',
    why: 'The conmgr runs on and only its configuration has changed; its sessions are told, not ended.',
  },
  replaced: {
    any: 'spare',
    lost: 'spare',
    words: 'was replaced by a new one',
    why: 'The same conmgr is connected again.',
  },
};

/** What follows from a departure, and whether it is carried out or only logged (`terminate_on = never`). */
export function verdictOf(
  departure: Departure,
  terminateOn: TerminateOn,
): { readonly verdict: Verdict; readonly logOnly: boolean } {
  const row = DEPARTURE_VERDICTS[departure];
  const logOnly = terminateOn === 'never';
  return { verdict: terminateOn === 'lost' ? row.lost : row.any, logOnly };
}

/** BEATs that a link must have had before its end may end sessions. */
export const BEATS_BEFORE_KILL = 3;

/** What is known of a link that is gone. */
export interface Standing {
  /** WELCOME was sent. */
  readonly welcomed: boolean;
  /** BEATs received. */
  readonly beats: number;
  /** The address is in watchdog.allowed_clients now. */
  readonly allowed: boolean;
  /** Another conmgr with the same identity tried to connect from elsewhere. */
  readonly disputed: boolean;
  /** Only reported sessions may be ended (watchdog.terminate_scope = monitored), and it has reported none, not even that. */
  readonly untold: boolean;
  /** It proved that it knows the secret, or has a certificate; or nothing of it is wanted. */
  readonly authenticated: boolean;
}

/**
 * Why the end of a link may not end sessions; undefined when it may. Without these conditions whoever can open a
 * connection from a host and vanish would end that host's sessions.
 */
export function reasonAgainst({
  welcomed,
  beats,
  allowed,
  disputed,
  untold,
  authenticated,
}: Standing): string | undefined {
  if (!welcomed) return 'it was never accepted';
  if (beats < BEATS_BEFORE_KILL) return `it had sent only ${beats} heartbeats`;
  if (!allowed) return 'its address is not in watchdog.allowed_clients';
  if (disputed) return 'another conmgr with the same identity tried to connect from a different address';
  if (untold) return 'it has not told which sessions it watches, and watchdog.terminate_scope is "monitored"';
  if (!authenticated)
    return 'it proved neither a secret nor a certificate (watchdog.secret_file, watchdog.ssl)';
  return undefined;
}
