/** Answers to cm_ctl over the watchdog's control socket. */
import { normaliseIp, parseIp } from '../core/config/address.js';
import type { ControlError } from '../core/control/protocol.js';
import { MAX_CONTROL_REQUEST_BYTES } from '../core/control/protocol.js';
import {
  parseWatchdogRequest,
  WATCHDOG_FILES,
  type WatchdogAnswer,
  type WatchdogStatus,
} from '../core/control/watchdog.js';
import { type ControlClient, serveControl } from '../io/control-socket.js';
import { SqlError } from '../io/pg-session.js';
import type { Terminator } from './terminator.js';

/** SQLSTATEs as codes where PostgreSQL has one for the case. */
const CODES = {
  protocolViolation: '08P01',
  invalidParameterValue: '22023',
  connectionFailure: '08006',
  internalError: 'XX000',
} as const;

/** What the answers come from. */
export interface ControlSource {
  readonly terminator: Terminator;
  status(): WatchdogStatus;
}

/** Opens the control socket in `directory` (pg_stat_tmp); the caller holds the lock. */
export function openWatchdogControl(
  directory: string,
  source: ControlSource,
): Promise<{ close(): Promise<void> }> {
  return serveControl({
    directory,
    name: WATCHDOG_FILES.socket,
    maxRequestBytes: MAX_CONTROL_REQUEST_BYTES,
    onLine: (line, client) => void answer(line, client, source),
  });
}

async function answer(line: string, client: ControlClient, source: ControlSource): Promise<void> {
  // A request that fails is answered; it must not end the process, and with it every link.
  const failed = (error: Error) => refusal({ code: CODES.internalError, message: error.message });
  client.send(await answerTo(line, source).catch(failed));
}

async function answerTo(line: string, source: ControlSource): Promise<WatchdogAnswer> {
  const request = parseWatchdogRequest(line);
  if ('problem' in request) return refusal({ code: CODES.protocolViolation, message: request.problem });
  const { terminator } = source;
  switch (request.command) {
    case 'status':
      return { ok: true, status: source.status() };
    case 'pause':
      if (!terminator.paused) terminator.pause();
      return { ok: true, paused: true };
    case 'resume':
      if (terminator.paused) terminator.resume();
      return { ok: true, paused: false };
    case 'terminate':
      return terminate(request.address, request.dryRun, terminator);
  }
}

async function terminate(word: string, dryRun: boolean, terminator: Terminator): Promise<WatchdogAnswer> {
  if (parseIp(word) === undefined) {
    return refusal({
      code: CODES.invalidParameterValue,
      message: `"${word}" is not an IP address`,
      hint: 'Sessions are known by the address pg_stat_activity shows as client_addr.',
    });
  }
  try {
    return { ok: true, terminate: await terminator.order(normaliseIp(word), dryRun) };
  } catch (error) {
    const cause = (error as Error).cause;
    const code =
      error instanceof SqlError
        ? error.sqlState
        : cause instanceof SqlError
          ? cause.sqlState
          : CODES.connectionFailure;
    return refusal({ code, message: `could not ask the instance: ${(error as Error).message}` });
  }
}

function refusal(error: ControlError): WatchdogAnswer {
  return { ok: false, error };
}
