/** What a user is told when systemctl did not do what it was asked for. */
import { type Refusal, reasonIn, refusalIn } from '../core/ctl/systemctl-refusal.js';
import { unitWords, unmaskCommand } from '../core/ctl/unit-words.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import type { MessageSpec } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import { type ManagerScope, SystemctlError } from '../io/systemctl.js';

/** A line each; of the user's manager other things are usual. */
const ROWS: Readonly<Record<Refusal, MessageSpec>> = {
  denied: CTL_MESSAGES.unitDenied,
  unreachable: CTL_MESSAGES.managerUnreachable,
  missing: CTL_MESSAGES.unitMissing,
  masked: CTL_MESSAGES.unitMasked,
  cancelled: CTL_MESSAGES.unitCancelled,
  dependency: CTL_MESSAGES.unitDependency,
  'too often': CTL_MESSAGES.unitTooOften,
  failed: CTL_MESSAGES.unitFailed,
  other: CTL_MESSAGES.unitFailed,
};

/** What was to be done with which unit. */
export interface RefusedAct {
  readonly verb: string;
  readonly unit: string;
  readonly scope: ManagerScope;
  /** FragmentPath of the unit, for one that is masked; '' where it is not known. */
  readonly file?: string;
}

export function unitRefused(
  { verb, unit, scope, file = '' }: RefusedAct,
  error: SystemctlError,
): MessageError {
  const whose = scope === 'user' ? 'of this user' : 'of the system';
  const command = unmaskCommand(scope, unit, file);
  const params = { verb, unit, whose, words: unitWords(scope, unit), command, reason: reasonIn(error.text) };
  // It may be another unit, which this one needs, that is missing or masked.
  const row = meansOther(error.text, unit) ? CTL_MESSAGES.unitFailed : ROWS[refusalIn(error.text)];
  return new MessageError(row, params, { cause: error });
}

function meansOther(text: string, unit: string): boolean {
  const { 1: named } = /: Unit (\S+) (?:not found|is masked|not loaded)/.exec(text) ?? [];
  return named !== undefined && named !== unit;
}

/** The job was done, but the service failed: only then its process has something to say. */
export function isProcessFailure(error: unknown): boolean {
  const cause = error instanceof MessageError ? error.cause : undefined;
  return cause instanceof SystemctlError && refusalIn(cause.text) === 'failed';
}
