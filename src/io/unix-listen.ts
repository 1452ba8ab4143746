/** Listening on a Unix socket, for the control sockets and that of conmgr-helper. */
import { lstatSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:net';

/**
 * Listens at a path, with mode 0600. A socket left over by a dead process is replaced, so the caller must be the only
 * one that listens there. Rejects with the system's error (EADDRINUSE: the name is taken by something that is no
 * socket); what goes wrong later costs a connection and no more.
 */
export async function listenUnix(server: Server, path: string): Promise<void> {
  removeLeftover(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // bind(2) happens inside listen(), so the mask holds for the socket file and for nothing else of ours.
    const mask = process.umask(0o177);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(mask);
    }
  });
  server.on('error', () => {});
}

function removeLeftover(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
