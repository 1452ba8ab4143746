/**
 * Why a conmgr does not hand over to a successor that asks, and what that one does then: docs/decisions/0035-hand-over.md.
 */
import { CANNOT_CONNECT_NOW } from '../core/conmgr/refusals.js';
import { CONNECTION_FAILURE } from '../io/hand-over-socket.js';

/** SQLSTATEs of the refusals (PostgreSQL documentation, appendix "PostgreSQL Error Codes"). */
export const REFUSAL = {
  /** object_not_in_prerequisite_state: it can pass no descriptors, now or later. */
  impossible: '55000',
  /** object_in_use: another successor has asked already. */
  takenAlready: '55006',
  /** admin_shutdown: it ends, and with it its sessions. */
  ending: '57P01',
  /** It starts, waits in a smart stop for its sessions, or lacks something. */
  notNow: CANNOT_CONNECT_NOW,
} as const;

/**
 * restart: the predecessor is told to restart without hand-over · await: nothing is ordered, this process starts once it
 * is gone · fail: this process ends, and the predecessor stays as it is.
 */
export type AfterRefusal = 'restart' | 'await' | 'fail';

const AFTER: ReadonlyMap<string, AfterRefusal> = new Map([
  [REFUSAL.impossible, 'restart'],
  // protocol_violation: an older one, to which handOver is an unknown command.
  ['08P01', 'restart'],
  // feature_not_supported: one that writes another version of the document only.
  ['0A000', 'restart'],
  [REFUSAL.ending, 'await'],
  // It may have ended just now, and shows by its lock if it has not.
  [CONNECTION_FAILURE, 'await'],
]);

/** What a successor does that was refused with this SQLSTATE; '' = it heard nothing. No other costs a session. */
export function afterRefusal(code: string): AfterRefusal {
  return AFTER.get(code) ?? 'fail';
}
