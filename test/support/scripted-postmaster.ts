/** A postmaster as far as conmgr's probe sees it: it answers GSSENCRequest, or does not. */
import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-ports.js';

/** silent: connections are taken and nothing answers, as when it is stopped in its tracks. */
export type PostmasterBehaviour = 'answers' | 'silent' | 'closes';

/** Int32 length 8, Int32 code 80877104. */
const GSSENC_REQUEST = '0000000804d21630';
const PATIENCE_MS = 10_000;

export class ScriptedPostmaster {
  behaviour: PostmasterBehaviour = 'answers';
  /** What each probe sent first, in hex. */
  readonly probes: string[] = [];
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #waiting: (() => void)[] = [];

  private constructor(
    readonly host: string,
    readonly port: number,
  ) {}

  static async start(host = '127.0.0.1'): Promise<ScriptedPostmaster> {
    const postmaster = new ScriptedPostmaster(host, await freePort());
    await postmaster.accept();
    return postmaster;
  }

  /** Resolves with the next probe that comes. */
  async nextProbe(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no probe within ${PATIENCE_MS} ms`)), PATIENCE_MS);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Whether every probe was the request that PostgreSQL answers without a log line. */
  get wasAskedPolitely(): boolean {
    return this.probes.every((probe) => probe === GSSENC_REQUEST);
  }

  async accept(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((socket) => this.#serve(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: this.port, host: this.host }, resolve);
    });
    this.#server = server;
  }

  /** Is gone: who connects is refused, who is connected is cut off. */
  stop(): void {
    this.#server?.close();
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    socket.once('data', (chunk: Buffer) => {
      this.probes.push(chunk.toString('hex'));
      if (this.behaviour === 'answers') socket.write('N');
      else if (this.behaviour === 'closes') socket.end();
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }
}
