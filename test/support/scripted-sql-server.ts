/** A PostgreSQL server as far as the gateway sees it: it answers first packets as told and keeps what it is sent. */
import { createServer, type Server, type Socket } from 'node:net';
import { encodeErrorResponse, encodeMessage, readFirstPacket } from '../../src/core/protocol/startup.js';
import { ByteLog } from './byte-log.js';
import { eventually } from './eventually.js';
import { resetSocket } from './relay.js';

/** serves: as a server without encryption · encrypts: takes SSLRequest · silent: takes connections and says nothing. */
export type ServerBehaviour = 'serves' | 'encrypts' | 'silent' | 'closes' | { readonly refuses: string };

/** Behind the start-up packet: authenticated, key, ready. */
export function greeting(key: Buffer): Buffer {
  return Buffer.concat([
    encodeMessage('R', Buffer.alloc(4)),
    encodeMessage('K', key),
    encodeMessage('Z', Buffer.from('I')),
  ]);
}

/** One connection, as the server has it. */
export class ServerEnd {
  /** Everything that came. */
  readonly log = new ByteLog();
  /** The other end has said that nothing more will come. */
  hasEnded = false;
  /** undefined while it is open; else how it ended. */
  closedBy: 'end' | 'reset' | undefined;
  closedAtMs = 0;
  /** A server ends its half as soon as the application has ended its own. */
  endsWithTheOther = true;
  /** Octets of `received` that were packets of the opening. */
  #read = 0;
  #opening = true;

  constructor(
    readonly socket: Socket,
    private readonly server: ScriptedSqlServer,
  ) {
    let wasReset = false;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.log.add(chunk);
      if (this.#opening) this.#answer();
    });
    socket.on('end', () => {
      this.hasEnded = true;
      if (this.endsWithTheOther) socket.end();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      wasReset = error.code === 'ECONNRESET' || error.code === 'EPIPE';
    });
    socket.on('close', () => {
      this.closedBy = wasReset ? 'reset' : 'end';
      this.closedAtMs = performance.now();
    });
  }

  get received(): Buffer {
    return this.log.bytes;
  }

  /** What came behind the opening. */
  get said(): Buffer {
    return this.received.subarray(this.#read);
  }

  reset(): void {
    resetSocket(this.socket);
  }

  #answer(): void {
    const { behaviour, key } = this.server;
    if (behaviour === 'silent') return;
    const packet = readFirstPacket(this.said);
    if (packet.kind === 'incomplete') return;
    if (packet.kind === 'direct-tls') this.#opening = false;
    else if (behaviour === 'closes') this.socket.end();
    else if (packet.kind === 'cancel') {
      this.server.cancelled.push(Buffer.concat([Buffer.from([packet.pid]), packet.key]));
      this.socket.end();
    } else if (packet.kind === 'ssl-request' || packet.kind === 'gssenc-request') {
      this.#read += 8;
      this.#opening = behaviour !== 'encrypts';
      this.socket.write(this.#opening ? 'N' : 'S');
    } else if (packet.kind === 'startup') {
      this.#opening = false;
      this.#read = this.received.length - packet.rest.length;
      if (typeof behaviour === 'string') this.socket.write(greeting(key));
      else {
        const { refuses } = behaviour;
        this.socket.end(
          encodeErrorResponse({
            severity: 'FATAL',
            sqlState: refuses,
            message: `scripted refusal ${refuses}`,
          }),
        );
      }
    }
  }
}

export class ScriptedSqlServer {
  readonly ends: ServerEnd[] = [];
  /** The last octet of the process ID and the key of each CancelRequest. */
  readonly cancelled: Buffer[] = [];
  /** Body of BackendKeyData. */
  key: Buffer = Buffer.from('0000000101020304', 'hex');
  readonly #server: Server;

  private constructor(
    readonly port: number,
    public behaviour: ServerBehaviour,
  ) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) =>
      this.ends.push(new ServerEnd(socket, this)),
    );
  }

  static async start(
    port: number,
    behaviour: ServerBehaviour = 'serves',
    host = '127.0.0.1',
  ): Promise<ScriptedSqlServer> {
    const server = new ScriptedSqlServer(port, behaviour);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject).listen({ port, host }, resolve);
    });
    return server;
  }

  /** The connection made last, once there are so many. */
  async end(count = 1): Promise<ServerEnd> {
    await eventually(() => this.ends.length >= count, {
      everyMs: 1,
      what: `${count} connections at the server`,
    });
    return this.ends.at(-1)!;
  }

  stop(): void {
    this.#server.close();
    for (const { socket } of this.ends) socket.destroy();
  }
}
