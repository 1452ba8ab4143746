/**
 * The errors of the client library. Like pg's own they carry an SQLSTATE in `code`; `cmCode` is the stable
 * number of the message in docs/client.md and conmgr-messages(7).
 */

import { OptionProblem } from '../core/client/host-list.js';
import { CLIENT_MESSAGES, type ClientMessageName } from '../core/messages/client.js';
import { type MessageParams, type MessageSpec, renderMessage } from '../core/messages/message.js';

/** What is known of the instance whose session ended. */
export interface LostInstance {
  /** Number of the instance in conmgr's configuration. */
  readonly instance: number;
  readonly host: string;
  readonly port: number;
  /** conmgr's reason ("heartbeat timeout", "instance down", …), "conmgr gone", or "connection closed" by the server. */
  readonly reason: string;
}

/** What an error may carry besides its text. */
export interface CmErrorExtras {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  readonly errors?: readonly Error[] | undefined;
  readonly conmgr?: LostInstance | undefined;
  readonly cmCode?: string | undefined;
}

/** An error made by the client library. */
export class CmError extends Error {
  /** SQLSTATE. */
  readonly code: string;
  readonly cmCode: string | undefined;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** One error per attempt, in their order, when several hosts or instances were tried. */
  readonly errors: readonly Error[];
  /** Set when a session that conmgr watched has ended. */
  readonly conmgr: LostInstance | undefined;

  constructor(code: string, message: string, extras: CmErrorExtras = {}) {
    super(message, extras.cause === undefined ? {} : { cause: extras.cause });
    this.name = 'CmError';
    this.code = code;
    this.cmCode = extras.cmCode;
    this.detail = extras.detail;
    this.hint = extras.hint;
    this.errors = extras.errors ?? [];
    this.conmgr = extras.conmgr;
  }
}

function fromSpec(code: string, spec: MessageSpec, params: MessageParams, extras: CmErrorExtras): CmError {
  const { text, detail, hint } = renderMessage(spec, params);
  return new CmError(code, text, { detail, hint, cmCode: spec.code, ...extras });
}

/** An error from a row of the message table. */
export function cmError(
  code: string,
  name: ClientMessageName,
  params: MessageParams = {},
  extras: CmErrorExtras = {},
): CmError {
  return fromSpec(code, CLIENT_MESSAGES[name], params, extras);
}

/** Runs `read` and turns what it finds wrong in an option into an error with SQLSTATE 22023. */
export function withOptionErrors<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof OptionProblem) throw fromSpec('22023', error.spec, error.params, {});
    throw error;
  }
}

/** Whatever was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The `code` of an error, '' when it has none. */
export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

/** The text of an error; Node's AggregateError of several addresses has none of its own. */
export function describeError(error: Error): string {
  if (error.message !== '') return error.message;
  if (error instanceof AggregateError) return error.errors.map((one) => asError(one).message).join(', ');
  return codeOf(error) || error.name;
}
