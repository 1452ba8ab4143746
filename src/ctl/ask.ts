/** Requests to a running conmgr, and what cm_ctl says when no answer comes. */
import { join } from 'node:path';
import {
  CONTROL_SOCKET,
  type ControlAnswer,
  type ControlError,
  type ControlRequest,
  type StatusReport,
} from '../core/control/protocol.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { conmgrOf } from '../io/conmgr-process.js';
import { askControl, ControlUnavailable } from '../io/control-socket.js';

type Accepted = Extract<ControlAnswer, { ok: true }>;

/** Asks once. Rejects with MessageError: nobody answers (the cause is ControlUnavailable), or conmgr refuses. */
export async function ask(directory: string, request: ControlRequest, timeoutMs?: number): Promise<Accepted> {
  let answer: ControlAnswer;
  try {
    answer = await askControl(directory, request, timeoutMs === undefined ? {} : { timeoutMs });
  } catch (error) {
    if (error instanceof ControlUnavailable) throw await unavailable(directory, error);
    throw error;
  }
  if (answer.ok) return answer;
  throw refused(answer.error);
}

/** What a process said instead of doing what it was asked for. */
export function refused({ message, detail, hint }: ControlError): MessageError {
  const spec = { ...CTL_MESSAGES.refused, detail: '{lines}', hint: '{hint}' };
  // The name in front is for applications, who cannot know whose words they read.
  const text = message.replace(/^conmgr: /, '');
  return new MessageError(spec, { text, lines: detail ?? '', hint: hint ?? '' });
}

async function unavailable(directory: string, cause: ControlUnavailable): Promise<MessageError> {
  const because = { cause };
  switch (cause.reason) {
    case 'no directory':
      return new MessageError(CTL_MESSAGES.directoryMissing, { directory }, because);
    case 'no access':
      return new MessageError(CTL_MESSAGES.directoryClosed, { directory }, because);
    case 'no answer':
      return new MessageError(CTL_MESSAGES.garbled, { socket: join(directory, CONTROL_SOCKET) }, because);
    case 'not running':
    case 'timeout': {
      const process = await conmgrOf(directory);
      return process === undefined
        ? new MessageError(CTL_MESSAGES.notRunning, { directory }, because)
        : new MessageError(CTL_MESSAGES.notAnswering, { directory, pid: process.pid }, because);
    }
  }
}

/** The conmgr of a directory. */
export type Found =
  | { readonly state: 'running'; readonly pid: number; readonly status: StatusReport }
  /** There is a process, but it is starting, stopped or stuck. */
  | { readonly state: 'silent'; readonly pid: number }
  | { readonly state: 'not running' | 'no directory' | 'no access' };

/** Looks for it. Rejects only when something else listens at its socket. */
export async function findConmgr(directory: string): Promise<Found> {
  let reason: ControlUnavailable['reason'] = 'not running';
  try {
    const answer = await askControl(directory, { command: 'status' });
    if (answer.ok && 'status' in answer) {
      return { state: 'running', pid: answer.status.pid, status: answer.status };
    }
  } catch (error) {
    if (!(error instanceof ControlUnavailable)) throw error;
    reason = error.reason;
  }
  switch (reason) {
    case 'no directory':
    case 'no access':
      return { state: reason };
    case 'no answer':
      throw new MessageError(CTL_MESSAGES.garbled, { socket: join(directory, CONTROL_SOCKET) });
    case 'not running':
    case 'timeout': {
      const process = await conmgrOf(directory);
      return process === undefined ? { state: 'not running' } : { state: 'silent', pid: process.pid };
    }
  }
}

/** The status, or the reason why there is none as MessageError. */
export async function askStatus(directory: string): Promise<StatusReport> {
  const answer = await ask(directory, { command: 'status' });
  if ('status' in answer) return answer.status;
  throw new MessageError(CTL_MESSAGES.garbled, { socket: join(directory, CONTROL_SOCKET) });
}

/** Throws MessageError unless the directory can be used. */
export function assertDirectory(directory: string, found: Found): void {
  if (found.state === 'no directory') throw new MessageError(CTL_MESSAGES.directoryMissing, { directory });
  if (found.state === 'no access') throw new MessageError(CTL_MESSAGES.directoryClosed, { directory });
}
