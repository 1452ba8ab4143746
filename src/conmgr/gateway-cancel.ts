/** Hands a CancelRequest on. */
import net from 'node:net';
import type { ServerPlace } from '../core/gateway/cancel-routes.js';
import { encodeCancelRequest } from '../core/protocol/startup.js';

/**
 * Sends the request to each of `places`; resolves when all have closed, which a server does once it has acted on it,
 * or after `timeoutMs`. Never rejects: nobody is told how a cancel went.
 */
export async function sendCancel(
  places: readonly ServerPlace[],
  request: { readonly pid: number; readonly key: Buffer },
  timeoutMs: number,
): Promise<void> {
  const bytes = encodeCancelRequest(request.pid, request.key);
  await Promise.all(places.map((place) => sendOne(place, bytes, timeoutMs)));
}

function sendOne({ host, port }: ServerPlace, bytes: Buffer, timeoutMs: number): Promise<void> {
  return new Promise((done) => {
    const socket = net.connect({ host, port, noDelay: true, autoSelectFamily: false });
    const limit = setTimeout(() => socket.destroy(), timeoutMs);
    socket.write(bytes);
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(limit);
      done();
    });
  });
}
