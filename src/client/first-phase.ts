/**
 * The first phase: asks one host what it is and, when it is a conmgr, which instances fit
 * (docs/protocol.md, First phase). The first packet never is an SSLRequest, and no password is ever sent.
 */
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { type Answer, AnswerReader } from '../core/client/answer.js';
import type { HostEntry } from '../core/client/host-list.js';
import { isLoopback } from '../core/client/loopback.js';
import { ASK_OPTION, type Ask, encodeAsk } from '../core/protocol/ask.js';
import type { Candidate } from '../core/protocol/first-phase.js';
import { encodeMessage, encodeStartup } from '../core/protocol/startup.js';
import { asError, CmError, cmError, codeOf, describeError } from './errors.js';

/** Most time an ask may take where connectionTimeoutMillis sets no limit. */
export const ASK_TIMEOUT_MS = 60_000;
/** A peer that was not wanted gets this long to close its end before it is cut off. */
const FAREWELL_MS = 1000;

/** Whom to ask, and as whom. */
export interface AskRequest {
  readonly host: HostEntry;
  readonly ask: Ask;
  readonly user: string | undefined;
  readonly database: string | undefined;
  /** TLS is required (libpq's sslmode require and above): then not even the user name goes out in plain text. */
  readonly tlsRequired: boolean;
  readonly allowRemote: boolean;
  /** 0 = ASK_TIMEOUT_MS. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The ask does not keep the process alive. */
  readonly background?: boolean;
}

/** What the host is. */
export type Asked =
  | {
      readonly kind: 'conmgr';
      /** Connection to conmgr, without listeners but for 'error'; paused. */
      readonly socket: Socket;
      /** Octets that came behind the answer. */
      readonly rest: Buffer;
      readonly graceMs: number;
      readonly candidates: readonly Candidate[];
    }
  /** A server or a pooler, to be used directly. */
  | { readonly kind: 'direct' };

/** The packet that every host of the list gets first. */
export function firstPacket(request: Pick<AskRequest, 'ask' | 'user' | 'database' | 'tlsRequired'>): Buffer {
  const params: [string, string][] = [];
  if (!request.tlsRequired) {
    if (request.user !== undefined) params.push(['user', request.user]);
    if (request.database !== undefined) params.push(['database', request.database]);
  }
  return encodeStartup([...params, [ASK_OPTION, encodeAsk(request.ask)]]);
}

/** Asks. Rejects with CmError: 57P03 or conmgr's own code for a refusal, 08001 for everything else. */
export function askHost(request: AskRequest): Promise<Asked> {
  const { host, signal } = request;
  const where = { host: host.host, port: host.port };
  return new Promise<Asked>((resolve, reject) => {
    if (signal?.aborted) {
      reject(cmError('08001', 'ended'));
      return;
    }
    const packet = firstPacket(request);
    const socket = connect(dialOptions(host));
    if (request.background) socket.unref();
    const reader = new AnswerReader({ attach: request.ask.attach !== undefined });

    const stopListening = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      for (const event of ['connect', 'data', 'close', 'error']) socket.removeAllListeners(event);
      socket.on('error', () => {}).pause();
    };
    const fail = (error: CmError) => {
      stopListening();
      socket.destroy();
      reject(error);
    };
    const onAbort = () => fail(cmError('08001', 'ended'));
    const timer = setTimeout(
      () => fail(cmError('08001', 'timeout', where)),
      request.timeoutMs > 0 ? request.timeoutMs : ASK_TIMEOUT_MS,
    );
    if (request.background) timer.unref();

    signal?.addEventListener('abort', onAbort);
    socket.on('error', (error) => fail(unreachable(where, error)));
    socket.on('close', () => fail(cmError('08001', 'closed', where)));
    socket.on('connect', () => socket.setNoDelay(true).write(packet));
    socket.on('data', (chunk: Buffer) => {
      const answer = reader.push(chunk);
      if (answer === undefined) return;
      const address = socket.remoteAddress;
      stopListening();
      try {
        const judged = judge(answer, request, address);
        if (judged === 'direct') {
          sendAway(socket);
          resolve({ kind: 'direct' });
        } else {
          resolve({ ...judged, socket, rest: reader.rest });
        }
      } catch (error) {
        sendAway(socket);
        reject(asError(error));
      }
    });
  });
}

/**
 * What to make of an answer that came from `address`. Throws CmError for a refusal, for what is not the protocol, and
 * for a conmgr on another host, whose plain text anybody on the way could have written.
 */
export function judge(
  answer: Answer,
  request: Pick<AskRequest, 'host' | 'allowRemote'>,
  address: string | undefined,
): Extract<Answer, { kind: 'conmgr' }> | 'direct' {
  const where = { host: request.host.host, port: request.host.port };
  switch (answer.kind) {
    case 'conmgr':
      if (request.allowRemote || isLoopback(address)) return answer;
      throw cmError('08001', 'remoteConmgr', { ...where, address });
    case 'server':
    case 'choked':
      return 'direct';
    case 'refused': {
      const { sqlState, message, detail, hint } = answer.error;
      throw new CmError(sqlState, message, { detail, hint });
    }
    case 'violation':
      throw cmError('08001', 'violation', { ...where, why: answer.why });
  }
}

/** The error of a connection that could not be made. */
export function unreachable(where: { readonly host: string; readonly port: number }, error: Error): CmError {
  const why = codeOf(error) === '' ? describeError(error) : `${codeOf(error)} (${describeError(error)})`;
  return cmError('08001', 'unreachable', { ...where, why }, { cause: error });
}

/** How to connect to one element of the host list; a host that begins with "/" is a directory of Unix sockets. */
export function dialOptions(host: HostEntry): NetConnectOpts {
  if (host.hostaddr === '' && host.host.startsWith('/')) {
    return { path: `${host.host}/.s.PGSQL.${host.port}` };
  }
  return { host: host.hostaddr || host.host, port: host.port, autoSelectFamily: true };
}

/**
 * Says goodbye in a way that a server takes without a log line: no reset, no message in the middle of the
 * authentication, only the end of what this side had to say.
 */
function sendAway(socket: Socket): void {
  socket.end();
  socket.resume();
  socket.unref();
  socket.setTimeout(FAREWELL_MS, () => socket.destroy());
}

/** The message that ends an attachment. */
export const CLOSE_MESSAGE: Buffer = encodeMessage('X', Buffer.alloc(0));
