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

/** pg gives no code to a session that the server closed; `bound` is the instance, if conmgr named it. */
export function explainEnd(error: Error, bound: CmInstance | undefined): Error {
  if (error instanceof CmError) return error;
  const known = error as Error & { code?: string; conmgr?: LostInstance };
  if (known.code === undefined && error.message.startsWith('Connection terminated')) {
    known.code = CONNECTION_FAILURE;
  }
  if (bound !== undefined) known.conmgr ??= { ...bound, reason: 'connection closed' };
  return error;
}
