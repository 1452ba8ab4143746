/** Many applications attached to one conmgr, as light as they can be: a socket each, and when it last heard something. */
import { connect, type Socket } from 'node:net';
import type { Ask } from '../src/core/protocol/ask.js';
import { encodeBound } from '../src/core/protocol/first-phase.js';
import { questionFor } from '../test/support/question.js';

/** How many ask at a time. */
const BATCH = 100;

export class Attached {
  /** When each session was told something after `expect` (performance.now()). */
  #toldAt: number[] = [];
  #left = 0;
  #allTold: () => void = () => {};

  private constructor(readonly sockets: readonly Socket[]) {}

  /** Attaches `count` sessions that go to `instance`. */
  static async to(port: number, count: number, target: Ask['target'], instance: number): Promise<Attached> {
    const packet = questionFor(target);
    const bound = encodeBound({ kind: 'bound', instance, address: '127.0.0.1', port: 1 });
    const sockets: Socket[] = [];
    while (sockets.length < count) {
      const batch = Math.min(BATCH, count - sockets.length);
      sockets.push(...(await Promise.all(Array.from({ length: batch }, () => attach(port, packet, bound)))));
    }
    const attached = new Attached(sockets);
    for (const socket of sockets) socket.on('data', () => attached.#hear());
    return attached;
  }

  /** Resolves with the moments of the first and the last when every session has been told something from now on. */
  told(): Promise<{ readonly firstAt: number; readonly lastAt: number }> {
    this.#toldAt = [];
    this.#left = this.sockets.length;
    return new Promise((resolve) => {
      this.#allTold = () => {
        let [firstAt, lastAt] = [Number.POSITIVE_INFINITY, 0];
        for (const at of this.#toldAt) {
          firstAt = Math.min(firstAt, at);
          lastAt = Math.max(lastAt, at);
        }
        resolve({ firstAt, lastAt });
      };
    });
  }

  detach(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  #hear(): void {
    if (this.#left === 0) return;
    this.#toldAt.push(performance.now());
    this.#left -= 1;
    if (this.#left === 0) this.#allTold();
  }
}

function attach(port: number, packet: Buffer, bound: Buffer): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.write(packet);
    socket.once('error', reject);
    // HELLO and CANDIDATES come in one packet.
    socket.once('data', (chunk: Buffer) => {
      if (chunk[0] !== 0x6d) {
        reject(new Error(`conmgr answered ${chunk.toString('latin1')}`));
        return;
      }
      socket.off('error', reject).on('error', () => {});
      socket.write(bound);
      resolve(socket);
    });
  });
}
