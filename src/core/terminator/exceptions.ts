/** What the terminator does not end, or may not, as an administrator wants to know it before a host is lost. */
import type { WatchdogConfig } from '../config/types.js';
import type { Rights } from './statements.js';

/**
 * paused, off: nothing at all · unconnected: nothing before there is an SQL connection · mayNotSee, mayNotSignal: the
 * role lacks a right · superusers: it is none itself · unreported: terminate_scope = monitored · stops: terminate_on = lost · replication: walsenders and base
 * backups · syncRep: while they wait for a synchronous standby.
 */
export type ExceptionKind =
  | 'paused'
  | 'off'
  | 'unconnected'
  | 'mayNotSee'
  | 'mayNotSignal'
  | 'superusers'
  | 'unreported'
  | 'stops'
  | 'replication'
  | 'syncRep';

export interface TerminatorException {
  readonly kind: ExceptionKind;
  /** What is left alone and why, without full stop. */
  readonly text: string;
  /** It waits for an administrator; the others are as configured, or as they should be. */
  readonly wrong: boolean;
}

export interface ExceptionFacts {
  readonly config: Pick<WatchdogConfig, 'terminateOn' | 'terminateScope' | 'excludeReplication'>;
  readonly paused: boolean;
  /** There is an SQL connection for ending sessions. */
  readonly connected: boolean;
  /** Of the role with which the watchdog connected last; undefined before the first time. */
  readonly rights: Rights | undefined;
  /** Sessions of lost hosts that wait for synchronous replication now. */
  readonly waiting: number;
}

/** In the order of their weight: what leaves everything alone first. */
export function terminatorExceptions(facts: ExceptionFacts): readonly TerminatorException[] {
  const { config, paused, connected, rights, waiting } = facts;
  const role = rights === undefined ? '' : `role "${rights.role}"`;
  const exceptions: TerminatorException[] = [];
  const add = (when: boolean, kind: ExceptionKind, text: string, wrong = false): void => {
    if (when) exceptions.push({ kind, text, wrong });
  };
  add(paused, 'paused', 'all sessions, while the terminator is paused', true);
  add(config.terminateOn === 'never', 'off', 'all sessions: watchdog.terminate_on = never only logs');
  add(!connected, 'unconnected', 'all sessions, while there is no connection to the instance', true);
  if (rights !== undefined) {
    add(!rights.may_see, 'mayNotSee', `all sessions: ${role} is no member of pg_monitor`, true);
    add(
      !rights.may_signal,
      'mayNotSignal',
      `sessions of other roles: ${role} is no member of pg_signal_backend`,
      true,
    );
    add(!rights.superuser, 'superusers', `sessions of superusers: ${role} is none`);
  }
  add(
    config.terminateScope === 'monitored',
    'unreported',
    'sessions that no conmgr has reported as its own: watchdog.terminate_scope = monitored',
  );
  add(
    config.terminateOn === 'lost',
    'stops',
    'sessions of a conmgr that was stopped in order: watchdog.terminate_on = lost',
  );
  add(config.excludeReplication, 'replication', 'replication connections: watchdog.exclude_replication = on');
  const now = waiting === 0 ? '' : ` (${waiting} now)`;
  add(true, 'syncRep', `sessions that wait for synchronous replication, while they do${now}`);
  return exceptions;
}
