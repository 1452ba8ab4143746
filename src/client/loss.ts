/** How a session that ends tells the application why. */
import type { LossReason } from '../core/client/attachment.js';
import { CmError, cmError, type LostInstance } from './errors.js';

/** The instance a session goes to. */
export interface CmInstance {
  /** Number of the instance in conmgr's configuration. */
  readonly instance: number;
  readonly host: string;
  readonly port: number;
}

/** SQLSTATE connection_failure. */
const CONNECTION_FAILURE = '08006';

/** The error of a session that conmgr's word, or its absence, ends. */
export function lossOf(bound: CmInstance, reason: LossReason, text: string): CmError {
  const conmgrLost = reason === 'conmgr gone' || reason === 'conmgr stopped';
  return cmError(
    CONNECTION_FAILURE,
    conmgrLost ? 'conmgrLost' : 'lost',
    { ...bound, reason },
    { conmgr: { ...bound, reason }, ...(text === '' ? {} : { detail: text }) },
  );
}

/**
 * The error of a session that ended without a word of conmgr or of the server. pg gives a closed connection no code
 * at all and a broken one the operating system's; both get 08006, so that applications have one code to look for.
 * `bound` is the instance, if conmgr named it.
 */
export function explainEnd(error: Error, bound: CmInstance | undefined): Error {
  if (error instanceof CmError) return error;
  const conmgr: LostInstance | undefined = bound && { ...bound, reason: 'connection closed' };
  if ('syscall' in error) {
    return cmError(CONNECTION_FAILURE, 'broken', { why: error.message }, { cause: error, conmgr });
  }
  const known = error as Error & { code?: string; conmgr?: LostInstance };
  if (known.code === undefined && error.message.startsWith('Connection terminated')) {
    known.code = CONNECTION_FAILURE;
  }
  if (conmgr !== undefined) known.conmgr ??= conmgr;
  return error;
}
