/** Answers to cm_ctl over the control socket. */
import { parseTarget } from '../core/cluster/target-session.js';
import { CANNOT_CONNECT_NOW, refusalForTarget } from '../core/conmgr/refusals.js';
import {
  CONTROL_SOCKET,
  type ControlAnswer,
  type ControlError,
  MAX_CONTROL_REQUEST_BYTES,
  parseControlRequest,
} from '../core/control/protocol.js';
import { DOCUMENT_VERSION } from '../core/handover/document.js';
import { systemClock } from '../io/clock.js';
import { type ControlClient, serveControl } from '../io/control-socket.js';
import type { Daemon } from './daemon.js';

/** SQLSTATEs as codes where PostgreSQL has one for the case. */
const INVALID_PARAMETER_VALUE = '22023';
const PROTOCOL_VIOLATION = '08P01';
const INTERNAL_ERROR = 'XX000';
const FEATURE_NOT_SUPPORTED = '0A000';

/** After a status a watcher waits this many times as long as that status took: it may take a fifth of the time. */
const WATCH_REST = 4;

/** Lets a successor take over, who asks on this connection; undefined when that has begun, otherwise why it cannot be. */
export type HandOver = (client: ControlClient, daemon: Daemon) => ControlError | undefined;

/** Opens the control socket in the directory; the caller holds the directory's lock. */
export function openControl(
  directory: string,
  daemon: () => Daemon | undefined,
  handOver: HandOver,
): Promise<{ close(): Promise<void> }> {
  return serveControl({
    directory,
    name: CONTROL_SOCKET,
    maxRequestBytes: MAX_CONTROL_REQUEST_BYTES,
    onLine: (line, client) => {
      const running = daemon();
      if (running === undefined)
        refuse(client, { code: CANNOT_CONNECT_NOW, message: 'conmgr is starting up' });
      else {
        answer(line, client, running, handOver).catch((error: Error) =>
          refuse(client, { code: INTERNAL_ERROR, message: error.message }),
        );
      }
    },
  });
}

function refuse(client: ControlClient, error: ControlError): void {
  client.send({ ok: false, error } satisfies ControlAnswer);
}

function reply(client: ControlClient, value: ControlAnswer): void {
  client.send(value);
}

async function answer(
  line: string,
  client: ControlClient,
  daemon: Daemon,
  handOver: HandOver,
): Promise<void> {
  const request = parseControlRequest(line);
  if ('problem' in request) {
    refuse(client, { code: PROTOCOL_VIOLATION, message: request.problem });
    return;
  }
  switch (request.command) {
    case 'status':
      reply(client, { ok: true, status: await daemon.status() });
      break;
    case 'watch':
      await watch(client, daemon);
      break;
    case 'resolve':
      resolve(request.target, client, daemon);
      break;
    case 'stop':
      reply(client, { ok: true, accepted: request.mode });
      daemon.stop(request.mode, `${request.mode} shutdown`);
      break;
    case 'reload':
      reply(client, { ok: true, reload: await daemon.reload(request.forgetCluster === true) });
      break;
    case 'resolveConflict':
      if (daemon.resolveConflict(request.instance)) reply(client, { ok: true, accepted: 'resolveConflict' });
      else {
        refuse(client, {
          code: INVALID_PARAMETER_VALUE,
          message: `instance ${request.instance} is not in conflict with another primary`,
          hint: 'See "cm_ctl status".',
        });
      }
      break;
    case 'handOver': {
      const isKnown = request.version === DOCUMENT_VERSION;
      const error = isKnown ? handOver(client, daemon) : notWritten(request.version);
      if (error !== undefined) refuse(client, error);
      break;
    }
  }
}

function notWritten(version: number): ControlError {
  return { code: FEATURE_NOT_SUPPORTED, message: `version ${version} of the hand-over is not known` };
}

function resolve(word: string, client: ControlClient, daemon: Daemon): void {
  const parsed = parseTarget(word);
  if ('refusal' in parsed) {
    refuse(client, {
      code: INVALID_PARAMETER_VALUE,
      message: `invalid target_session_attrs: "${word}"`,
      detail: parsed.refusal,
    });
    return;
  }
  const candidates = daemon.core.resolve(parsed.target);
  if (candidates.length > 0) {
    reply(client, {
      ok: true,
      candidates: candidates.map(({ instance, host, hostaddr, port }) => ({
        instance,
        host,
        hostaddr,
        port,
      })),
    });
    return;
  }
  const { sqlState, message, detail, hint } = refusalForTarget(parsed.target, daemon.core.describe());
  refuse(client, { code: sqlState, message, detail, hint });
}

/** A status now and after every change; changes that come while one is being made, or soon after it, are one. */
async function watch(client: ControlClient, daemon: Daemon): Promise<void> {
  let open = true;
  let dirty = true;
  let wake: () => void = () => {};
  const stop = daemon.onChange(() => {
    dirty = true;
    wake();
  });
  client.onClose(() => {
    open = false;
    stop();
    wake();
  });
  while (open) {
    if (!dirty) {
      await new Promise<void>((changed) => {
        wake = changed;
      });
      continue;
    }
    dirty = false;
    const begunAt = systemClock.monotonicMs();
    reply(client, { ok: true, status: await daemon.status() });
    const restMs = WATCH_REST * (systemClock.monotonicMs() - begunAt);
    await new Promise<void>((rested) => systemClock.setTimer(restMs, rested));
  }
}
