/** A driver's socket, raw: what conmgr's port sends is kept, and nothing is done by itself. */
import { connect, type Socket } from 'node:net';
import { decodeErrorResponse, encodeStartup } from '../../src/core/protocol/startup.js';
import { ByteLog } from './byte-log.js';
import { eventually } from './eventually.js';

export const SSL_REQUEST: Buffer = Buffer.from('0000000804d2162f', 'hex');
export const GSSENC_REQUEST: Buffer = Buffer.from('0000000804d21630', 'hex');
export const CLIENT_HELLO: Buffer = Buffer.from('16030100f8010000f40303', 'hex');

export function startup(options?: string): Buffer {
  return encodeStartup([
    ['user', 'app'],
    ['database', 'app'],
    ...(options === undefined ? [] : [['options', options] as const]),
  ]);
}

export class RawDriver {
  readonly log = new ByteLog();
  hasEnded = false;
  closedBy: 'end' | 'reset' | undefined;
  closedAtMs = 0;
  readonly socket: Socket;

  constructor(port: number, ...packets: readonly Buffer[]) {
    let wasReset = false;
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    for (const packet of packets) this.socket.write(packet);
    this.socket.on('data', (chunk: Buffer) => this.log.add(chunk));
    this.socket.on('end', () => {
      this.hasEnded = true;
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      wasReset = error.code === 'ECONNRESET' || error.code === 'EPIPE';
    });
    this.socket.on('close', () => {
      this.closedBy = wasReset ? 'reset' : 'end';
      this.closedAtMs = performance.now();
    });
  }

  get received(): Buffer {
    return this.log.bytes;
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** Waits until so much has come. */
  async until(count: number): Promise<Buffer> {
    await eventually(() => this.log.length >= count, { everyMs: 1, what: `${count} octets` });
    return this.received;
  }

  async ended(): Promise<Buffer> {
    await eventually(() => this.hasEnded || this.closedBy !== undefined, { everyMs: 1, what: 'the end' });
    return this.received;
  }

  async closed(): Promise<'end' | 'reset'> {
    await eventually(() => this.closedBy !== undefined, { everyMs: 1, what: 'the connection is closed' });
    return this.closedBy!;
  }

  /** The one ErrorResponse behind `skip` octets. */
  async refusal(skip = 0): Promise<ReadonlyMap<string, string>> {
    const bytes = (await this.ended()).subarray(skip);
    if (bytes[0] !== 0x45 || bytes.readUInt32BE(1) !== bytes.length - 1)
      throw new Error(`no single ErrorResponse: ${bytes.toString('latin1')}`);
    return decodeErrorResponse(bytes.subarray(5));
  }
}
