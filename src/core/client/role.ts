/**
 * Role verification after connecting, by the rules of libpq (PQconnectPoll in
 * src/interfaces/libpq/fe-connect.c): a server of version 14 or later reports both parameters that decide;
 * an older one, or a pooler that hides them, is asked with a query.
 */
import { fitsTarget, type TargetSessionAttrs } from '../cluster/target-session.js';
import { attributeBits } from '../protocol/attributes.js';

/** What a session finds out about its server. */
export interface ServerRole {
  readonly inRecovery: boolean;
  /** Writes are refused, by recovery or by default_transaction_read_only. */
  readonly readOnly: boolean;
}

/** One row: is it a standby, does a new transaction refuse to write. Both are 't' or 'on' when so. */
export const ROLE_QUERY =
  "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";

/** The role as the server's ParameterStatus messages tell it; undefined when one of the two is missing. */
export function roleFromParameters(parameters: ReadonlyMap<string, string>): ServerRole | undefined {
  const standby = parameters.get('in_hot_standby');
  const readOnly = parameters.get('default_transaction_read_only');
  if (standby === undefined || readOnly === undefined) return undefined;
  return { inRecovery: standby === 'on', readOnly: standby === 'on' || readOnly === 'on' };
}

/** The role from the row of ROLE_QUERY in text format; undefined when it is not such a row. */
export function roleFromRow(fields: readonly unknown[]): ServerRole | undefined {
  const [recovery, readOnly] = fields;
  if (recovery !== 't' && recovery !== 'f') return undefined;
  if (readOnly !== 'on' && readOnly !== 'off') return undefined;
  return { inRecovery: recovery === 't', readOnly: recovery === 't' || readOnly === 'on' };
}

/** Whether a server of this role is what was asked for. */
export function roleFits(role: ServerRole, target: TargetSessionAttrs): boolean {
  const bits =
    attributeBits(role.inRecovery ? 'standby' : 'primary') |
    (role.readOnly ? attributeBits('readOnlyByDefault') : 0);
  return fitsTarget(bits, target);
}

/** The role in words, for an error. */
export function describeRole(role: ServerRole): string {
  if (role.inRecovery) return 'a standby';
  return role.readOnly ? 'a primary with default_transaction_read_only' : 'a primary';
}
