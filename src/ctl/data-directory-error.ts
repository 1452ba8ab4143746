/** What is said of a data directory that cannot be used. */
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import type { DirectoryProblem } from '../io/data-directory.js';

const REASONS: Readonly<Record<DirectoryProblem, string>> = {
  missing: 'it does not exist',
  'not a data directory': 'it is not a data directory',
  unreadable: 'permission denied',
};

export function dataDirectoryError(
  directory: string,
  problem: DirectoryProblem,
  cause?: unknown,
): MessageError {
  return new MessageError(
    CTL_MESSAGES.dataDirectoryWrong,
    { directory, reason: REASONS[problem] },
    { cause },
  );
}
