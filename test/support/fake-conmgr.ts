/** A scripted conmgr for tests of the client: speaks the first phase, and misbehaves on request. */
import { createServer, type Server, type Socket } from 'node:net';
import { ASK_OPTION, type Ask, parseAsk } from '../../src/core/protocol/ask.js';
import { attributeBits } from '../../src/core/protocol/attributes.js';
import {
  type BoundMessage,
  type Candidate,
  type ConmgrMessage,
  type DownReason,
  encodeConmgrMessage,
  readClientMessages,
} from '../../src/core/protocol/first-phase.js';
import { encodeErrorResponse, readFirstPacket } from '../../src/core/protocol/startup.js';
import { freePort } from './free-ports.js';

/** What a fake conmgr does with a connection once it has read the first packet. */
export type Script = (session: FakeSession) => void;

/** The parts of a candidate that a test cares about. */
export interface OfferedInstance {
  readonly instance: number;
  readonly port: number;
  readonly host?: string;
  readonly hostaddr?: string;
  /** Default primary. */
  readonly role?: 'primary' | 'standby';
}

/** A promise and the way to keep it. */
class Fact<T> {
  readonly promise: Promise<T>;
  become!: (value: T) => void;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.become = resolve;
    });
  }
}

/** One connection of a client. */
export class FakeSession {
  readonly #bound = new Fact<BoundMessage>();
  readonly #left = new Fact<'said goodbye' | 'vanished'>();
  #saidGoodbye = false;

  constructor(
    readonly socket: Socket,
    /** Everything the start-up packet said. */
    readonly params: ReadonlyMap<string, string>,
    readonly ask: Ask,
  ) {}

  /** The BOUND of this session. */
  get bound(): Promise<BoundMessage> {
    return this.#bound.promise;
  }

  /** How the client left. */
  get left(): Promise<'said goodbye' | 'vanished'> {
    return this.#left.promise;
  }

  say(...messages: readonly ConmgrMessage[]): void {
    this.socket.write(Buffer.concat(messages.map(encodeConmgrMessage)));
  }

  /** HELLO and CANDIDATES in one packet; HELLO alone to a session that re-attaches. */
  offer(instances: readonly OfferedInstance[], graceMs = 1000): void {
    const hello = { kind: 'hello', version: 1, view: 1, graceMs, software: 'fake' } as const;
    if (this.ask.attach !== undefined) this.say(hello);
    else this.say(hello, { kind: 'candidates', view: 1, candidates: instances.map(asCandidate) });
  }

  refuse(sqlState: string, message: string, detail?: string): void {
    this.socket.end(encodeErrorResponse({ severity: 'FATAL', sqlState, message, detail }));
  }

  drop(instance: number, reason: DownReason, text = ''): void {
    this.say({ kind: 'down', view: 2, instance, action: 'drop', reason, text });
  }

  bye(bye: 'stop' | 'restart' | 'limit', retryAfterMs = 0): void {
    this.say({ kind: 'bye', bye, retryAfterMs, text: '' });
  }

  /** For the fake itself: what came behind the first packet. */
  take(data: Buffer): Buffer {
    const { messages, rest } = readClientMessages(data);
    for (const message of messages) {
      if (message.kind === 'bound') this.#bound.become(message);
      else this.#saidGoodbye = true;
    }
    return rest;
  }

  /** For the fake itself: the connection is closed. */
  close(): void {
    this.#left.become(this.#saidGoodbye ? 'said goodbye' : 'vanished');
  }
}

function asCandidate(offered: OfferedInstance): Candidate {
  const { instance, port, host = '127.0.0.1', hostaddr = '', role = 'primary' } = offered;
  const bits =
    role === 'primary'
      ? attributeBits('accepting', 'primary')
      : attributeBits('accepting', 'standby', 'readOnlyByRecovery');
  return { instance, port, bits, host, hostaddr };
}

/** Listens on 127.0.0.1 unless told otherwise. */
export class FakeConmgr {
  readonly sessions: FakeSession[] = [];
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #waiting: ((session: FakeSession) => void)[] = [];

  private constructor(
    readonly host: string,
    readonly port: number,
    /** What it does with the next connections. */
    public script: Script,
  ) {}

  static async start(script: Script, host = '127.0.0.1'): Promise<FakeConmgr> {
    const fake = new FakeConmgr(host, await freePort(), script);
    await fake.listen();
    return fake;
  }

  /** The session of the next connection. */
  nextSession(): Promise<FakeSession> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Starts to listen again after stop(). */
  listen(): Promise<void> {
    const server = createServer((socket) => this.#receive(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject).listen({ port: this.port, host: this.host }, resolve);
    });
  }

  /** Stops to listen; `vanish`: connections are cut as by a kill. */
  async stop(vanish: 'vanish' | 'keep' = 'vanish'): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (vanish === 'vanish') for (const socket of this.#sockets) socket.destroy();
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    if (vanish === 'vanish') await closed;
  }

  #receive(socket: Socket): void {
    this.#sockets.add(socket);
    let data = Buffer.alloc(0);
    let session: FakeSession | undefined;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      session?.close();
    });
    socket.on('data', (chunk: Buffer) => {
      data = Buffer.concat([data, chunk]);
      if (session === undefined) {
        session = this.#open(socket, data);
        if (session === undefined) return;
        data = Buffer.alloc(0);
        this.script(session);
        for (const waiting of this.#waiting.splice(0)) waiting(session);
        return;
      }
      data = Buffer.from(session.take(data));
    });
  }

  #open(socket: Socket, data: Buffer): FakeSession | undefined {
    const packet = readFirstPacket(data);
    if (packet.kind === 'incomplete') return undefined;
    if (packet.kind !== 'startup') throw new Error(`the client's first packet is ${packet.kind}`);
    const parsed = parseAsk(packet.params.get(ASK_OPTION) ?? '');
    if ('refusal' in parsed) throw new Error(parsed.refusal.message);
    const session = new FakeSession(socket, packet.params, parsed.ask);
    this.sessions.push(session);
    return session;
  }
}

/** A script that offers the same instances to everybody. */
export function offering(instances: readonly OfferedInstance[], graceMs?: number): Script {
  return (session) => session.offer(instances, graceMs);
}
