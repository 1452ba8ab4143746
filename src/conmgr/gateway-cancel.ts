/** Hands a CancelRequest on. */
import net from 'node:net';
import type { ServerPlace } from '../core/gateway/cancel-routes.js';
import { encodeCancelRequest } from '../core/protocol/startup.js';

/**
 * Sends the request to a server; resolves when that has closed, which it does once it has acted on it, or after
 * `timeoutMs`. Never rejects: nobody is told how a cancel went.
 */
export function sendCancel(
  { host, port }: ServerPlace,
  { pid, key }: { readonly pid: number; readonly key: Buffer },
  timeoutMs: number,
): Promise<void> {
  return new Promise((done) => {
    const socket = net.connect({ host, port, noDelay: true, autoSelectFamily: false });
    const limit = setTimeout(() => socket.destroy(), timeoutMs);
    socket.write(encodeCancelRequest(pid, key));
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(limit);
      done();
    });
  });
}
