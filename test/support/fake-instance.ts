/** A scripted PostgreSQL server for tests of drivers: start-up, ParameterStatus, simple and extended queries of one row. */
import { createServer, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import {
  encodeErrorResponse,
  encodeMessage,
  encodeNegotiateProtocolVersion,
  readFirstPacket,
} from '../../src/core/protocol/startup.js';
import { TEST_CERTIFICATE } from './certificate.js';
import { freePort } from './free-ports.js';

/** How it behaves; everything may be changed while it runs. */
export interface InstanceBehaviour {
  /** in_hot_standby. */
  standby: boolean;
  /** default_transaction_read_only. */
  readOnly: boolean;
  /** Reports both parameters, as servers do from version 14. */
  reportsRole: boolean;
  /** What it says to every start-up packet instead of letting the client in. */
  refusal: { readonly sqlState: string; readonly message: string } | undefined;
  /** server: as PostgreSQL does. ignore: passes `_pq_.` options over. choke: refuses them as PgBouncer before 1.23. */
  onUnknownOption: 'server' | 'ignore' | 'choke';
  /** Wants the password "secret" in clear text. */
  wantsPassword: boolean;
  /** Takes a start-up packet and never answers. */
  silent: boolean;
  /** Speaks TLS. */
  tls: boolean;
}

const DEFAULTS: InstanceBehaviour = {
  standby: false,
  readOnly: false,
  reportsRole: true,
  refusal: undefined,
  onUnknownOption: 'server',
  wantsPassword: false,
  silent: false,
  tls: false,
};

/** One start-up packet that came. */
export interface SeenStartup {
  readonly params: ReadonlyMap<string, string>;
  readonly overTls: boolean;
  readonly serverName: string | undefined;
}

const int32 = (value: number) => {
  const out = Buffer.alloc(4);
  out.writeInt32BE(value);
  return out;
};
const int16 = (value: number) => int32(value).subarray(2);
const cstring = (text: string) => Buffer.from(`${text}\0`);
const READY = encodeMessage('Z', Buffer.from('I'));

export class FakeInstance {
  readonly behaviour: InstanceBehaviour;
  /** Start-up packets in their order. */
  readonly startups: SeenStartup[] = [];
  /** Texts of the queries that were run. */
  readonly queries: string[] = [];
  readonly passwords: string[] = [];
  readonly cancels: number[] = [];
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  private constructor(
    readonly host: string,
    readonly port: number,
    behaviour: Partial<InstanceBehaviour>,
  ) {
    this.behaviour = { ...DEFAULTS, ...behaviour };
  }

  static async start(behaviour: Partial<InstanceBehaviour> = {}, host = '127.0.0.1'): Promise<FakeInstance> {
    const fake = new FakeInstance(host, await freePort(), behaviour);
    const server = createServer((socket) => fake.#receive(socket));
    fake.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ port: fake.port, host }, resolve);
    });
    return fake;
  }

  /** How many connections stand. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Closes all connections as a server does that dies. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    const server = this.#server;
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  #receive(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    this.#startUp(socket, undefined);
  }

  #startUp(socket: Socket, tls: TLSSocket | undefined): void {
    const stream = tls ?? socket;
    let data = Buffer.alloc(0);
    const receive = (chunk: Buffer) => {
      data = Buffer.concat([data, chunk]);
      const packet = readFirstPacket(data);
      if (packet.kind === 'incomplete') return;
      stream.off('data', receive);
      if (packet.kind === 'ssl-request' && this.behaviour.tls) {
        socket.write('S');
        const secured = new TLSSocket(socket, { isServer: true, ...TEST_CERTIFICATE });
        secured.on('error', () => {});
        this.#startUp(socket, secured);
      } else if (packet.kind === 'ssl-request') {
        socket.write('N');
        this.#startUp(socket, undefined);
      } else if (packet.kind === 'cancel') {
        this.cancels.push(packet.pid);
        socket.end();
      } else if (packet.kind === 'startup') {
        this.#letIn(stream, packet.params, tls);
      } else {
        socket.destroy();
      }
    };
    stream.on('data', receive);
  }

  #letIn(stream: Socket, params: ReadonlyMap<string, string>, tls: TLSSocket | undefined): void {
    const { behaviour } = this;
    const serverName = (tls as { servername?: string | false } | undefined)?.servername || undefined;
    this.startups.push({ params, overTls: tls !== undefined, serverName });
    if (behaviour.silent) return;
    const unknown = [...params.keys()].filter((name) => name.startsWith('_pq_.'));
    const refuse = (sqlState: string, message: string) =>
      stream.end(encodeErrorResponse({ severity: 'FATAL', sqlState, message }));
    if (unknown.length > 0 && behaviour.onUnknownOption === 'choke') {
      refuse('08P01', `unsupported startup parameter: ${unknown[0]}`);
      return;
    }
    if (unknown.length > 0 && behaviour.onUnknownOption === 'server') {
      stream.write(encodeNegotiateProtocolVersion(unknown));
    }
    if (!params.has('user')) refuse('28000', 'no PostgreSQL user name specified in startup packet');
    else if (behaviour.refusal !== undefined) refuse(behaviour.refusal.sqlState, behaviour.refusal.message);
    else this.#authenticate(stream);
  }

  #authenticate(stream: Socket): void {
    const { wantsPassword, reportsRole, standby, readOnly } = this.behaviour;
    const parameters = reportsRole
      ? [
          ['in_hot_standby', standby ? 'on' : 'off'],
          ['default_transaction_read_only', readOnly ? 'on' : 'off'],
        ]
      : [['server_version', '13.22']];
    const welcome = Buffer.concat([
      encodeMessage('R', int32(0)),
      ...parameters.map(([name = '', value = '']) =>
        encodeMessage('S', Buffer.concat([cstring(name), cstring(value)])),
      ),
      encodeMessage('K', Buffer.concat([int32(4711), int32(42)])),
      READY,
    ]);
    if (wantsPassword) stream.write(encodeMessage('R', int32(3)));
    else stream.write(welcome);
    this.#serve(stream, welcome);
  }

  #serve(stream: Socket, welcome: Buffer): void {
    let data = Buffer.alloc(0);
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      data = Buffer.concat([data, chunk]);
      while (data.length >= 5 && data.length >= 1 + data.readUInt32BE(1)) {
        const type = String.fromCharCode(data[0] ?? 0);
        const body = data.subarray(5, 1 + data.readUInt32BE(1));
        data = data.subarray(1 + data.readUInt32BE(1));
        if (type === 'p') {
          this.passwords.push(body.toString('utf8', 0, body.length - 1));
          stream.write(welcome);
        } else if (type === 'Q') {
          this.#answer(stream, body.toString('utf8', 0, body.length - 1));
        } else if (type === 'P') {
          text = body.toString('utf8').split('\0')[1] ?? '';
          stream.write(encodeMessage('1', Buffer.alloc(0)));
        } else if (type === 'B') {
          stream.write(encodeMessage('2', Buffer.alloc(0)));
        } else if (type === 'S') {
          this.#answer(stream, text);
        } else if (type === 'X') {
          stream.end();
        }
      }
    });
  }

  /** One row of one column: the port, so that a test sees which server answered. "hang" gets no answer. */
  #answer(stream: Socket, text: string): void {
    this.queries.push(text);
    if (text.includes('hang')) return;
    const { standby, readOnly } = this.behaviour;
    const values = text.includes('pg_is_in_recovery')
      ? [standby ? 't' : 'f', standby || readOnly ? 'on' : 'off']
      : [String(this.port)];
    const columns = values.map((_value, index) =>
      Buffer.concat([cstring(`c${index}`), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)]),
    );
    const fields = values.map((value) => Buffer.concat([int32(value.length), Buffer.from(value)]));
    stream.write(
      Buffer.concat([
        encodeMessage('T', Buffer.concat([int16(columns.length), ...columns])),
        encodeMessage('D', Buffer.concat([int16(fields.length), ...fields])),
        encodeMessage('C', cstring('SELECT 1')),
        READY,
      ]),
    );
  }
}
