/**
 * Asks a postmaster for a sign of life without a role, a free slot or a line in its log.
 *
 * GSSENCRequest is answered by a freshly forked backend before any authentication (PostgreSQL documentation,
 * "Message Flow", GSSAPI Session Encryption), so an answer proves that the postmaster accepts and forks; a stopped
 * one does not answer although the kernel still accepts the connection.
 */
import { Buffer } from 'node:buffer';
import net from 'node:net';
import { describeSocketError } from './tcp-frames.js';

/** Int32 length 8, Int32 code 80877104 (1234 << 16 | 5680). */
const GSSENC_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 48]);

/** Where the postmaster listens: an address and a port, or the path of its Unix socket. */
export type ProbeTarget = { readonly host: string; readonly port: number } | { readonly path: string };

export interface ProbeResult {
  readonly answered: boolean;
  /** Why there was no answer; '' when there was one. */
  readonly text: string;
}

/** Connects, asks, takes the first octet and closes. Never rejects; an aborted probe has not been answered. */
export function probePostmaster(
  target: ProbeTarget,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve({ answered: false, text: 'probe was cancelled' });
      return;
    }
    const options = 'path' in target ? target : { ...target, autoSelectFamily: false };
    const socket = net.connect(options as net.NetConnectOpts);
    const finish = (answered: boolean, text: string): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      socket.destroy();
      resolve({ answered, text });
    };
    const cancel = (): void => finish(false, 'probe was cancelled');
    // A process that was itself stopped reads what has arrived before it judges.
    const timer = setTimeout(
      () => setImmediate(() => finish(false, `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    signal?.addEventListener('abort', cancel);
    socket.on('connect', () => socket.write(GSSENC_REQUEST));
    socket.on('data', () => finish(true, ''));
    socket.on('end', () => finish(false, 'connection was closed without an answer'));
    socket.on('error', (error) => finish(false, describeSocketError(error)));
  });
}
