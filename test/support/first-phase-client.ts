/** The application's side of the first phase, raw: what conmgr sends is kept as it comes, and nothing is done by itself. */
import { connect, type Socket } from 'node:net';
import { ASK_OPTION, type Ask, encodeAsk } from '../../src/core/protocol/ask.js';
import {
  type Candidate,
  type ConmgrMessage,
  decodeConmgrMessage,
  encodeBound,
} from '../../src/core/protocol/first-phase.js';
import {
  decodeErrorResponse,
  decodeNegotiateProtocolVersion,
  encodeMessage,
  encodeStartup,
} from '../../src/core/protocol/startup.js';
import { NO_WISHES } from './question.js';
import { resetSocket } from './relay.js';

const PATIENCE_MS = 10_000;

/** One kind of message. */
type MessageOf<Kind extends ConmgrMessage['kind']> = Extract<ConmgrMessage, { kind: Kind }>;

export interface FirstPhaseOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Start-up parameters besides the question; default a user and a database. */
  readonly params?: readonly (readonly [string, string])[];
  /** Protocol version of the start-up packet, default 3.0. */
  readonly version?: number;
  /** Bytes to send right behind the start-up packet. */
  readonly behind?: Buffer;
}

/** An ErrorResponse in the fields that tests look at. */
export interface Refusal {
  readonly sqlState: string;
  readonly message: string;
  readonly detail: string;
  readonly hint: string;
}

/** What came and when (performance.now()). */
interface Arrival {
  readonly message: ConmgrMessage;
  readonly atMs: number;
}

/** One attachment to conmgr. */
export class FirstPhaseClient {
  readonly arrivals: Arrival[] = [];
  /** Types of the messages in their order: v, m, E. */
  readonly types: string[] = [];
  /** Option names of NegotiateProtocolVersion, if one came. */
  negotiated: readonly string[] | undefined;
  refused: Refusal | undefined;
  isOpen = true;
  closedAtMs: number | undefined;
  readonly #socket: Socket;
  #data: Buffer = Buffer.alloc(0);
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isOpen = false;
      this.closedAtMs = performance.now();
      this.#wake();
    });
  }

  /** Connects and asks; `ask` is the value of the option as it stands, or the parts that matter. */
  static start(
    port: number,
    ask: string | Partial<Ask> = {},
    { host = '127.0.0.1', params, version, behind }: FirstPhaseOptions = {},
  ): FirstPhaseClient {
    const question = typeof ask === 'string' ? ask : encodeAsk({ ...NO_WISHES, ...ask });
    const others = params ?? [
      ['user', 'app'],
      ['database', 'app'],
    ];
    const startup = encodeStartup([...others, [ASK_OPTION, question]], version);
    const socket = connect({ port, host });
    socket.write(behind === undefined ? startup : Buffer.concat([startup, behind]));
    return new FirstPhaseClient(socket);
  }

  /** Asks, takes the first candidate and says so. */
  static async bound(
    port: number,
    ask: Partial<Ask> = {},
    instance?: number,
    options: FirstPhaseOptions = {},
  ): Promise<FirstPhaseClient> {
    const client = FirstPhaseClient.start(port, ask, options);
    const [first] = await client.candidates();
    client.bind(instance ?? first?.instance ?? 0);
    return client;
  }

  get messages(): readonly ConmgrMessage[] {
    return this.arrivals.map(({ message }) => message);
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  /** The candidates, best first. Rejects when conmgr refuses. */
  async candidates(): Promise<readonly Candidate[]> {
    return (await this.next('candidates')).candidates;
  }

  /** The instance numbers of the candidates. */
  async offered(): Promise<readonly number[]> {
    return (await this.candidates()).map(({ instance }) => instance);
  }

  /** The refusal. Rejects when conmgr answers otherwise. */
  async refusal(): Promise<Refusal> {
    await this.#until('a refusal', () => this.refused !== undefined || this.arrivals.length > 0);
    if (this.refused === undefined)
      throw new Error(`conmgr did not refuse but said ${this.messages[0]?.kind}`);
    return this.refused;
  }

  /** The next message of a kind; those before it are passed over. */
  async next<Kind extends ConmgrMessage['kind']>(
    kind: Kind,
    timeoutMs = PATIENCE_MS,
  ): Promise<MessageOf<Kind> & { readonly atMs: number }> {
    const position = (): number =>
      this.arrivals.findIndex(({ message }, at) => at >= this.#taken && message.kind === kind);
    await this.#until(kind, () => position() >= 0 || this.refused !== undefined, timeoutMs);
    if (position() < 0) throw new Error(`conmgr refused: ${this.refused?.sqlState} ${this.refused?.message}`);
    const found = this.arrivals[position()]!;
    this.#taken = position() + 1;
    return { ...(found.message as MessageOf<Kind>), atMs: found.atMs };
  }

  /** Resolves when conmgr has closed the connection. */
  async closed(timeoutMs = PATIENCE_MS): Promise<void> {
    await this.#until('the end of the connection', () => !this.isOpen, timeoutMs);
  }

  /** Says to which instance the SQL connection goes. */
  bind(instance: number, address = '127.0.0.1', port = 40_000): void {
    this.send(encodeBound({ kind: 'bound', instance, address, port }));
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Ends the attachment in order. */
  leave(): void {
    this.#socket.end(encodeMessage('X', Buffer.alloc(0)));
  }

  /** Is gone without a word. */
  vanish(): void {
    resetSocket(this.#socket);
  }

  /** Reads nothing any more. */
  stopReading(): void {
    this.#socket.pause();
  }

  #read(chunk: Buffer): void {
    this.#data = Buffer.concat([this.#data, chunk]);
    while (this.#data.length >= 5 && this.#data.length > this.#data.readUInt32BE(1)) {
      const length = this.#data.readUInt32BE(1);
      this.#take(String.fromCharCode(this.#data[0] ?? 0), this.#data.subarray(5, 1 + length));
      this.#data = this.#data.subarray(1 + length);
    }
    this.#wake();
  }

  #take(type: string, body: Buffer): void {
    this.types.push(type);
    if (type === 'm') {
      const message = decodeConmgrMessage(body);
      if (message === 'malformed' || message === undefined)
        throw new Error(`conmgr sent a malformed message: ${body.toString('hex')}`);
      this.arrivals.push({ message, atMs: performance.now() });
    } else if (type === 'v') this.negotiated = decodeNegotiateProtocolVersion(body);
    else if (type === 'E') {
      const fields = decodeErrorResponse(body);
      const text = (letter: string): string => fields.get(letter) ?? '';
      this.refused = { sqlState: text('C'), message: text('M'), detail: text('D'), hint: text('H') };
    } else throw new Error(`conmgr sent a message of type "${type}"`);
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #until(what: string, holds: () => boolean, timeoutMs = PATIENCE_MS): Promise<void> {
    if (holds()) return Promise.resolve();
    const said = (): string => JSON.stringify(this.refused ?? this.messages);
    if (!this.isOpen) return Promise.reject(new Error(`closed without ${what}; conmgr said ${said()}`));
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        act();
      };
      const look = (): void => {
        if (holds()) settle(resolve);
        else if (!this.isOpen)
          settle(() => reject(new Error(`closed without ${what}; conmgr said ${said()}`)));
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`no ${what} within ${timeoutMs} ms; conmgr said ${said()}`))),
        timeoutMs,
      );
      this.#waiting.add(look);
    });
  }
}

/** How a connection to conmgr went that did not speak the first phase. */
export interface StrangerReport {
  /** Everything that came back. */
  readonly received: Buffer;
  /** From the connection to its end. */
  readonly lastedMs: number;
}

/**
 * Connects and sends `pieces`, one every `everyMs`; resolves when the other end has closed. A stranger does not
 * close by itself.
 */
export function sendRaw(
  port: number,
  pieces: readonly Buffer[],
  { host = '127.0.0.1', everyMs = 0, timeoutMs = PATIENCE_MS } = {},
): Promise<StrangerReport> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    const begunMs = performance.now();
    const left = [...pieces];
    const sendNext = (): void => {
      const piece = left.shift();
      if (piece !== undefined && socket.writable) socket.write(piece);
    };
    const ticking = everyMs > 0 ? setInterval(sendNext, everyMs) : undefined;
    const deadline = setTimeout(() => {
      socket.destroy();
      reject(new Error(`conmgr did not close the connection within ${timeoutMs} ms`));
    }, timeoutMs);
    socket.on('connect', () => {
      sendNext();
      if (everyMs === 0) while (left.length > 0) sendNext();
    });
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => {});
    const finish = (): void => {
      clearInterval(ticking);
      clearTimeout(deadline);
      socket.destroy();
      resolve({ received: Buffer.concat(chunks), lastedMs: performance.now() - begunMs });
    };
    socket.on('end', finish);
    socket.on('close', finish);
  });
}
