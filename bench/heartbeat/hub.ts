/** The peer of a watchdog: a program in Node.js that does nothing but hear from as many and write a BEAT to each. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { encodeHeartbeat } from '../../src/core/protocol/codec.js';
import { freePort } from '../../test/support/free-ports.js';

export class Hub {
  private constructor(
    readonly port: number,
    private readonly child: ChildProcess,
  ) {}

  static async start(intervalMs: number): Promise<Hub> {
    const port = await freePort();
    const beat = encodeHeartbeat({ name: 'beat', seq: 1, echoSeq: 0, echoDelayUs: 0, attrVersion: 0 });
    const child = spawn(
      process.execPath,
      [
        '-e',
        `const beat = Buffer.from('${beat.toString('hex')}', 'hex');
         require('node:net').createServer({ noDelay: true }, (socket) => {
           socket.on('error', () => {}).on('data', () => {});
           socket.once('data', () => {
             socket.write(beat);
             setTimeout(() => setInterval(() => socket.write(beat), ${intervalMs}), Math.random() * ${intervalMs});
           });
         }).listen({ port: ${port}, host: '127.0.0.1', backlog: 1024 }, () => console.log('listening'));`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(child.stdout!, 'data');
    return new Hub(port, child);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async end(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}
