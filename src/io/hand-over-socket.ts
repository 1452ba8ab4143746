/**
 * The hand-over without a service manager: the successor asks over the control socket of the one that runs, and gets one
 * line, with which the descriptors come. It answers with an octet, upon which the other ends: docs/decisions/0035-hand-over.md.
 */
import { Buffer } from 'node:buffer';
import { closeSync } from 'node:fs';
import { CONTROL_SOCKET, type ControlAnswer, type ControlRequest } from '../core/control/protocol.js';
import { identifyProcess, type ProcessIdentity, untilGone } from './conmgr-process.js';
import { LineBuffer, socketPlace } from './control-socket.js';
import { reached } from './hand-over-steps.js';
import type { HandedDescriptors } from './handed-descriptors.js';
import type { Native } from './native.js';
import { packBundle, unpackBundle } from './socket-bundle.js';
import { NativeCallError, UnixRights } from './unix-rights.js';

/** Says that everything has arrived. */
const TAKEN = Buffer.from([1]);
/** The successor only takes descriptors and checks a document in this time; the predecessor stands still. */
const TAKEN_WITHIN_MS = 2000;
/** The predecessor says goodbye to its watchdogs before it answers, for 1.5 s at the most. */
const ANSWERED_WITHIN_MS = 10_000;
/** One that ends has nothing more to do. */
const GONE_WITHIN_MS = 5000;
/** More listening sockets than a configuration can have. */
const MOST_LISTENERS = 4096;
const MOST_ANSWER_BYTES = 1024 * 1024;
const CHUNK_BYTES = 65_536;

/**
 * Sends everything through a connected control socket and waits, without a turn of the event loop, until the other end has
 * it. Yields '', or why it has not. The descriptors stay open here.
 */
export function giveThrough(
  rights: UnixRights,
  socket: number,
  { state, listeners }: HandedDescriptors,
  lock: number,
): string {
  if (state === undefined) return 'there is nothing to hand over';
  try {
    const names = listeners.map(({ name }) => name);
    const answer: ControlAnswer = { ok: true, handOver: { pid: process.pid, listeners: names } };
    const line = Buffer.from(`${JSON.stringify(answer)}\n`);
    const listening = packBundle(
      rights,
      listeners.map(({ fd }) => fd),
    );
    try {
      if (listening.count < listeners.length) return 'too many descriptors are in flight';
      const sent = rights.send(socket, line, [state.document, state.bundle, listening.fd, lock]);
      if (sent < line.length) return 'it does not read';
    } finally {
      closeSync(listening.fd);
    }
    reached('sent');
    const until = performance.now() + TAKEN_WITHIN_MS;
    const late = `no answer within ${TAKEN_WITHIN_MS / 1000} s`;
    if (!rights.waitReadable(socket, TAKEN_WITHIN_MS)) return late;
    const taken = rights.receive(socket, 1)?.bytes.equals(TAKEN) === true;
    reached('answered');
    if (!taken) return 'it has closed the connection';
    // If this process was stopped meanwhile (SIGSTOP, a frozen host), whoever answered may have given up since.
    return performance.now() > until ? late : '';
  } catch (error) {
    if (!(error instanceof NativeCallError)) throw error;
    return error.message;
  }
}

/** SQLSTATE (connection_failure) of a conmgr that has ended, or has closed the connection, without an answer. */
export const CONNECTION_FAILURE = '08006';

/** What came of asking. */
export type AskedHandOver =
  | {
      readonly kind: 'handed';
      readonly handed: HandedDescriptors;
      /** That of the lock file; it holds the lock. */
      readonly lock: number;
      /** Says that everything has been taken; resolves to whether the predecessor is gone, without which nothing of it
       *  may be used. */
      confirm(): Promise<boolean>;
    }
  /** `code`: SQLSTATE, '' where it said nothing in time, or nothing that can be read. */
  | { readonly kind: 'refused'; readonly reason: string; readonly code: string }
  /** Nobody listens. */
  | { readonly kind: 'absent' };

/** Asks the conmgr of a directory for everything it has. Never rejects. */
export async function askHandOver(
  directory: string,
  native: Native,
  version: number,
): Promise<AskedHandOver> {
  const rights = new UnixRights(native);
  let socket: number;
  try {
    const place = socketPlace(directory, CONTROL_SOCKET);
    try {
      socket = rights.connect(place.path);
    } finally {
      place.release();
    }
  } catch {
    return { kind: 'absent' };
  }
  const call = new AskingSocket(native, rights, socket);
  reached('asking');
  try {
    const asked = await call.ask({ command: 'handOver', version });
    if (asked.kind !== 'handed') call.close();
    return asked;
  } catch (error) {
    call.close();
    const isBroken = error instanceof NativeCallError || error instanceof ConnectionClosed;
    return { kind: 'refused', reason: (error as Error).message, code: isBroken ? CONNECTION_FAILURE : '' };
  }
}

class ConnectionClosed extends Error {}

/** A connection to a control socket as a raw descriptor, for Node.js cannot receive descriptors. */
class AskingSocket {
  readonly #native: Native;
  readonly #rights: UnixRights;
  readonly #socket: number;
  /** Received so far; this process's. */
  readonly #fds: number[] = [];
  readonly #lines = new LineBuffer(MOST_ANSWER_BYTES);

  constructor(native: Native, rights: UnixRights, socket: number) {
    this.#native = native;
    this.#rights = rights;
    this.#socket = socket;
  }

  /** Gives back whatever has come, too. */
  close(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
    closeSync(this.#socket);
  }

  async ask(request: ControlRequest): Promise<Exclude<AskedHandOver, { kind: 'absent' }>> {
    this.#rights.send(this.#socket, Buffer.from(`${JSON.stringify(request)}\n`));
    const answer = (await this.#answer()) as ControlAnswer;
    if (!answer.ok) return { kind: 'refused', reason: answer.error.message, code: answer.error.code };
    reached('received');
    const { pid, listeners: names } = handOverIn(answer);
    const [document, bundle, listening, lock] = this.#fds;
    if (document === undefined || bundle === undefined || listening === undefined || lock === undefined)
      throw new Error(UNREADABLE);
    const predecessor = identifyProcess(pid);
    // From here on nothing throws: these four are the caller's, what came besides is nobody's.
    for (const fd of this.#fds.splice(0).slice(4)) closeSync(fd);
    const listeners = unpackBundle(this.#rights, listening, MOST_LISTENERS).map((fd, at) => ({
      fd,
      name: names[at] ?? '',
    }));
    return {
      kind: 'handed',
      handed: { state: { document, bundle }, listeners },
      lock,
      confirm: () => this.#confirm(predecessor),
    };
  }

  async #answer(): Promise<unknown> {
    const until = performance.now() + ANSWERED_WITHIN_MS;
    for (;;) {
      await this.#readable(until - performance.now());
      const received = this.#rights.receive(this.#socket, CHUNK_BYTES);
      if (received === undefined) continue;
      this.#fds.push(...received.fds);
      if (received.bytes.length === 0) throw new ConnectionClosed('it has closed the connection');
      if (!this.#lines.push(received.bytes)) throw new Error(UNREADABLE);
      const line = this.#lines.take();
      if (line !== undefined) return JSON.parse(line);
    }
  }

  async #confirm(predecessor: ProcessIdentity | undefined): Promise<boolean> {
    try {
      this.#rights.send(this.#socket, TAKEN);
      await this.#readable(GONE_WITHIN_MS);
    } catch {
      // It has closed the connection: it is gone, or goes on by itself.
    }
    closeSync(this.#socket);
    const limit = AbortSignal.timeout(GONE_WITHIN_MS);
    return predecessor === undefined || untilGone(predecessor, limit);
  }

  /** Rejects when nothing comes in time. */
  #readable(withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        poll.close();
        settle();
      };
      const timer = setTimeout(
        () => end(() => reject(new Error(`no answer within ${ANSWERED_WITHIN_MS / 1000} s`))),
        Math.max(0, withinMs),
      );
      const poll = this.#native.watchReadable(this.#socket, () => end(resolve));
    });
  }
}

/** The answer of a predecessor, checked: it is a process of another version. Throws Error. */
function handOverIn(answer: object): { readonly pid: number; readonly listeners: readonly string[] } {
  const told: unknown = 'handOver' in answer ? answer.handOver : undefined;
  if (typeof told !== 'object' || told === null) throw new Error(UNREADABLE);
  const { pid, listeners } = told as Record<string, unknown>;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) throw new Error(UNREADABLE);
  if (!Array.isArray(listeners) || !listeners.every((name): name is string => typeof name === 'string'))
    throw new Error(UNREADABLE);
  return { pid, listeners };
}

const UNREADABLE = 'its answer cannot be read';
