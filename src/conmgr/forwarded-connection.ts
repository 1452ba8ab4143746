/**
 * One stock driver's connection: its opening packets, the server that is tried for it, then bytes in both directions.
 *
 * Each packet is kept until the server has answered it, so that the next server can be tried with it when one refuses
 * or is gone; the application notices nothing. From the first answer that serves, everything is forwarded unread, so
 * TLS, SCRAM with channel binding and GSS are between driver and server.
 */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { parseTarget, type TargetSessionAttrs } from '../core/cluster/target-session.js';
import { refusalForDescriptors, refusalForWord } from '../core/conmgr/refusals.js';
import { BackendKeyReader } from '../core/gateway/backend-key.js';
import { type Question, readFirstAnswer } from '../core/gateway/first-answer.js';
import { isForConsole, targetInOptions } from '../core/gateway/startup-options.js';
import type { Candidate } from '../core/protocol/first-phase.js';
import { type ErrorFields, type FirstPacket, readFirstPacket } from '../core/protocol/startup.js';
import { resetNow } from '../io/reset-socket.js';
import { descriptorOf } from '../io/socket-handle.js';
import { Unsent } from '../io/unsent.js';
import type { AppConnection, Successor } from './app-connection.js';
import type { Gateway } from './gateway.js';
import { adoptServer, connectServer, forward, type ServerEvents } from './gateway-server.js';
import type { HandedPart, HandedServer } from './handed-part.js';

/** What an application may send before a server serves it; more is left in the kernel. */
const MAX_HELD_BYTES = 64 * 1024;
/** Encryption may be asked for in each of its two ways, as libpq does. */
const MAX_ENCRYPTION_REQUESTS = 2;
const NO_BYTES: Buffer = Buffer.alloc(0);

type Startup = Extract<FirstPacket, { kind: 'startup' }>;

export class ForwardedConnection implements Successor {
  /** Bytes forwarded so far. */
  fromApplication = 0;
  fromServer = 0;
  readonly connection: AppConnection;
  readonly #socket: Socket;
  readonly #gateway: Gateway;
  #phase: 'opening' | 'open' | 'over' = 'opening';
  /** ConmgrCore has it as a session. */
  #attached = false;
  /** From the application, not yet taken. */
  #held: Buffer = NO_BYTES;
  /** What the server has not answered yet. */
  #packet: { readonly question: Question; readonly bytes: Buffer } | undefined;
  #place: Candidate | undefined;
  #server: Socket | undefined;
  #outgoing: Unsent | undefined;
  #sent = false;
  #answer: Buffer = NO_BYTES;
  /** Why nobody serves it: told when it says something to which an error can be the answer. */
  #refusal: ErrorFields | undefined;
  #encryptionRequests = 0;
  #keys: BackendKeyReader | undefined;

  constructor(connection: AppConnection, socket: Socket, gateway: Gateway) {
    this.connection = connection;
    this.#socket = socket;
    this.#gateway = gateway;
    socket.allowHalfOpen = true;
  }

  get id(): number {
    return this.connection.id;
  }

  // From the application

  take(chunk: Buffer): void {
    if (this.#phase === 'open') this.#toServer(chunk);
    else if (this.#phase === 'opening') {
      this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
      if (this.#packet === undefined) this.#readPacket();
      if (this.#held.length > MAX_HELD_BYTES) this.#socket.pause();
    }
  }

  ended(): void {
    if (this.#phase === 'open') this.#server?.end();
    else this.connection.end();
  }

  drained(): void {
    this.#server?.resume();
  }

  closed(): void {
    const inOrder = this.#socket.readableEnded;
    this.#phase = 'over';
    this.#dropServer(!inOrder);
    this.#detach();
    this.#gateway.gone(this);
  }

  // Hand-over

  handOver(fd: number, read: Buffer): HandedPart | undefined {
    const outbound = this.connection.outgoing.take();
    if (outbound === undefined || this.#phase === 'over') return undefined;
    if (this.#phase === 'open') return this.#handOverOpen(fd, read, outbound);
    // It has been told that nobody serves it, and must not be served in plain text any more.
    if (this.#refusal !== undefined) return undefined;
    const inbound = Buffer.concat([this.#packet?.bytes ?? NO_BYTES, this.#held, read]);
    return { fd, server: undefined, isSession: false, declined: [], inbound, outbound };
  }

  #handOverOpen(fd: number, read: Buffer, outbound: Buffer): HandedPart | undefined {
    const server = this.#server;
    const serverFd = server === undefined ? undefined : descriptorOf(server);
    const unsent = this.#outgoing?.take();
    if (serverFd === undefined || unsent === undefined) return undefined;
    return {
      fd,
      server: {
        fd: serverFd,
        // What is held is counted by whoever sends it.
        fromApplication: Math.max(0, this.fromApplication - unsent.length),
        fromServer: Math.max(0, this.fromServer - outbound.length),
      },
      isSession: true,
      declined: [],
      inbound: Buffer.concat([unsent, read]),
      outbound,
    };
  }

  /** Goes on where the predecessor has stopped. False: the server's end is none. */
  restore(handed: HandedServer, { inbound, outbound }: Pick<HandedPart, 'inbound' | 'outbound'>): boolean {
    this.#attached = true;
    this.#phase = 'open';
    const server: Socket | undefined = adoptServer(
      handed.fd,
      this.#eventsOf(() => server),
    );
    if (server === undefined) return false;
    this.#setServer(server);
    this.fromApplication = handed.fromApplication;
    this.fromServer = handed.fromServer;
    this.#socket.resume();
    if (inbound.length > 0) this.#toServer(inbound);
    if (outbound.length === 0 || this.#toApplication(outbound)) server.resume();
    return true;
  }

  // From ConmgrCore

  /** Tries this place; one that is being tried is given up. */
  route(place: Candidate): void {
    this.#dropServer(false);
    if (!this.#gateway.hasRoom()) {
      this.#detach();
      this.refuse(refusalForDescriptors(this.#gateway.descriptorLimit));
      return;
    }
    this.#place = place;
    const server: Socket = connectServer(
      serverPlace(place),
      this.#gateway.connectTimeoutMs,
      this.#eventsOf(() => server),
    );
    this.#setServer(server);
  }

  #setServer(server: Socket): void {
    this.#server = server;
    this.#outgoing = new Unsent(server);
    this.#gateway.servers += 1;
  }

  /** What happens at the server that is this one's still. */
  #eventsOf(server: () => Socket | undefined): ServerEvents {
    const isOurs = (): boolean => this.#server === server();
    return {
      connected: () => {
        if (isOurs()) this.#send();
      },
      received: (bytes) => isOurs() && this.#fromServer(bytes),
      drained: () => {
        if (isOurs()) this.#socket.resume();
      },
      ended: () => {
        if (isOurs()) this.#serverEnded();
      },
      closed: (text) => {
        if (isOurs()) this.#serverClosed(text);
      },
    };
  }

  /** The place that was being tried is given up. */
  hold(): void {
    this.#dropServer(false);
  }

  /** Nobody serves it, and ConmgrCore has forgotten it. */
  refuse(error: ErrorFields): void {
    this.#attached = false;
    this.#dropServer(false);
    this.#refusal = error;
    if (this.#packet !== undefined) this.#tellRefusal(this.#packet.question);
  }

  /** The server is lost: the application learns it at once, the server after the other applications. */
  reset(): void {
    this.#phase = 'over';
    const server = this.#server;
    this.#server = undefined;
    resetNow(this.#socket);
    if (server !== undefined) this.#gateway.resetLater(server);
  }

  // The opening

  #readPacket(): void {
    const packet = readFirstPacket(this.#held);
    if (packet.kind !== 'incomplete') this.connection.settle();
    switch (packet.kind) {
      case 'incomplete':
        // What is kept between reads must not pin a chunk of the socket.
        this.#held = Buffer.from(this.#held);
        return;
      case 'garbage':
        this.#leave();
        this.connection.garbage(packet.why, this.#held);
        return;
      case 'cancel':
        this.#leave();
        this.connection.cancel(packet);
        return;
      case 'ssl-request':
      case 'gssenc-request':
        this.#encryptionRequests += 1;
        if (packet.rest.length > 0 || this.#encryptionRequests > MAX_ENCRYPTION_REQUESTS) {
          this.#leave();
          this.connection.garbage('data behind an encryption request', this.#held);
          return;
        }
        this.#ask('encryption', packet.rest);
        return;
      case 'direct-tls':
        this.#ask('tls', NO_BYTES);
        return;
      case 'startup':
        this.#startup(packet);
        return;
    }
  }

  #startup(packet: Startup): void {
    if (isForConsole(packet.params)) {
      this.#leave();
      this.connection.openConsole(packet);
      return;
    }
    const word = targetInOptions(packet.params.get('options') ?? '');
    const parsed = word === undefined ? undefined : parseTarget(word);
    if (parsed !== undefined && 'refusal' in parsed) {
      this.#leave();
      this.connection.refuse(refusalForWord(word ?? '', parsed.refusal));
      return;
    }
    this.#ask('startup', packet.rest, packet.params.get('application_name') ?? '', parsed?.target);
  }

  /** The application's next packet is complete; `rest` lies behind it. */
  #ask(question: Question, rest: Buffer, app = '', target?: TargetSessionAttrs): void {
    this.#packet = { question, bytes: this.#held.subarray(0, this.#held.length - rest.length) };
    this.#held = rest;
    this.#sent = false;
    if (this.#refusal !== undefined) {
      this.#tellRefusal(question);
      return;
    }
    const { listener } = this.connection;
    if (this.#attached) this.#gateway.introduced(this.id, app, target);
    else {
      this.#attached = true;
      this.#gateway.forward(this.id, target ?? listener.target(), app);
    }
    this.#send();
  }

  #send(): void {
    if (this.#packet === undefined || this.#sent || this.#server === undefined || this.#server.connecting)
      return;
    this.#sent = true;
    this.#outgoing?.write(this.#packet.bytes);
  }

  /** False stops reading from the server. */
  #fromServer(bytes: Buffer): boolean {
    if (this.#phase === 'open') return this.#toApplication(bytes);
    this.#answer = Buffer.concat([this.#answer, bytes]);
    if (this.#packet === undefined || !this.#sent) {
      this.#failed('answered without a question');
      return true;
    }
    const answer = readFirstAnswer(this.#packet.question, this.#answer);
    if (answer.kind === 'refuses') this.#failed(answer.text);
    else if (answer.kind === 'declines') this.#declined();
    else if (answer.kind === 'serves') return this.#open(answer.plain);
    return true;
  }

  /** The server does not encrypt; what it is asked next, it or another one may answer. */
  #declined(): void {
    this.connection.outgoing.write(this.#answer);
    this.#answer = NO_BYTES;
    this.#packet = undefined;
    this.connection.unsettle();
    if (this.#held.length > 0) this.#readPacket();
  }

  #failed(text: string): void {
    const instance = this.#place?.instance;
    this.#dropServer(false);
    if (instance !== undefined) this.#gateway.routeFailed(this.id, instance, text);
  }

  #tellRefusal(question: Question): void {
    const refusal = this.#refusal;
    this.#packet = undefined;
    if (question === 'startup' && refusal !== undefined) {
      this.#leave();
      this.connection.refuse(refusal);
    } else if (question === 'encryption') {
      this.connection.outgoing.write(Buffer.from('N'));
      this.connection.unsettle();
      if (this.#held.length > 0) this.#readPacket();
    } else {
      // Under TLS nothing can be said.
      this.#leave();
      this.connection.end();
    }
  }

  // Forwarding

  /** False stops reading from the server. */
  #open(plain: boolean): boolean {
    const [place, server, answer, held] = [this.#place, this.#server, this.#answer, this.#held];
    if (place === undefined || server === undefined) return true;
    this.#phase = 'open';
    this.#packet = undefined;
    this.#answer = NO_BYTES;
    this.#held = NO_BYTES;
    if (plain) this.#keys = new BackendKeyReader();
    this.#gateway.opened(this, place, server);
    if (this.#isOver()) return true;
    this.#socket.resume();
    if (held.length > 0) this.#toServer(held);
    return this.#toApplication(answer);
  }

  #toServer(chunk: Buffer): void {
    const server = this.#server;
    this.fromApplication += chunk.length;
    if (server === undefined || !server.writable || this.#outgoing === undefined) {
      // As the kernel of a server answers data for a connection that it does not have any more.
      this.reset();
      return;
    }
    if (!forward(this.#outgoing, chunk)) this.#socket.pause();
  }

  #toApplication(bytes: Buffer): boolean {
    this.fromServer += bytes.length;
    if (this.#keys !== undefined) this.#readKey(this.#keys, bytes);
    return forward(this.connection.outgoing, bytes);
  }

  #readKey(reader: BackendKeyReader, bytes: Buffer): void {
    reader.take(bytes);
    if (reader.key !== undefined) this.#gateway.learnKey(this.id, reader.key);
    if (reader.done) this.#keys = undefined;
  }

  #serverEnded(): void {
    if (this.#phase === 'open') this.#socket.end();
    else this.#failed('connection was closed');
  }

  #serverClosed(text: string | undefined): void {
    this.#server = undefined;
    this.#gateway.servers -= 1;
    if (this.#phase !== 'open') this.#failed(text ?? 'connection was closed');
    else if (text !== undefined) resetNow(this.#socket);
  }

  #dropServer(hard: boolean): void {
    const server = this.#server;
    this.#server = undefined;
    this.#outgoing = undefined;
    this.#answer = NO_BYTES;
    this.#sent = false;
    if (server === undefined) return;
    this.#gateway.servers -= 1;
    if (hard) resetNow(server);
    else server.destroy();
  }

  /** Is no session any more; the connection goes on to its end, or to the console. */
  #leave(): void {
    this.#phase = 'over';
    this.#dropServer(false);
    this.#detach();
    this.#gateway.gone(this);
  }

  #detach(): void {
    if (!this.#attached) return;
    this.#attached = false;
    this.#gateway.left(this.id);
  }

  /** Asked of the field anew: what is reported may have ended the connection. */
  #isOver(): boolean {
    return this.#phase === 'over';
  }
}

/** Where the link to the instance is, for that is what is watched. */
export function serverPlace({ host, hostaddr, port }: Candidate): { host: string; port: number } {
  return { host: hostaddr === '' ? host : hostaddr, port };
}
