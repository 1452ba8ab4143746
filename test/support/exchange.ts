/** Question and answer on a socket. */
import type { Socket } from 'node:net';

/** Sends a question; resolves with the next `length` octets. Rejects when there are not so many. */
export function exchange(socket: Socket, question: Buffer, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let left = length;
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      socket.off('data', take).off('end', lost).off('close', lost);
      settle();
    };
    const lost = (): void => end(() => reject(new Error(`${left} octets did not come`)));
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      left -= chunk.length;
      if (left <= 0) end(() => resolve(Buffer.concat(chunks)));
    };
    socket.on('data', take).on('end', lost).on('close', lost);
    socket.write(question);
  });
}
