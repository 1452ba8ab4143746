/**
 * Asks a systemd over D-Bus what it is doing (org.freedesktop.systemd1(5)): the jobs of its units, how the host is, what a
 * unit is allowed. systemctl(1) tells the same, but is a process that has to be started, which takes half a second on a host
 * that is overloaded. Everything is sent at once, as sd-bus does, and the answers are waited for.
 *
 * The messages are those of the D-Bus specification, "Message Protocol", little-endian.
 */
import { Buffer } from 'node:buffer';
import { connect } from 'node:net';

/** A job of systemd: which unit, and `start`, `stop`, `restart`, `try-restart`. */
export interface ManagerJob {
  readonly unit: string;
  readonly type: string;
}

/** What a manager says. */
export interface ManagerAnswer {
  readonly jobs: readonly ManagerJob[];
  /** `running`, `degraded`, `stopping`. */
  readonly state: string;
}

const MANAGER = 'org.freedesktop.systemd1';
const METHOD_CALL = 1;
const METHOD_RETURN = 2;
const ERROR = 3;
/** Longer answers are not those to these questions. */
const LONGEST_MESSAGE = 4 * 1024 * 1024;
const HEAD_BYTES = 16;
const REPLY_SERIAL = 5;

const aligned = (at: number, to: number): number => Math.ceil(at / to) * to;

/** Writes values one behind the other, each at a multiple of its size. */
class Marshal {
  #bytes: Buffer = Buffer.alloc(0);

  align(to: number): this {
    return this.#add(Buffer.alloc(aligned(this.#bytes.length, to) - this.#bytes.length));
  }

  octets(...values: readonly number[]): this {
    return this.#add(Buffer.from(values));
  }

  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return this.align(4).#add(bytes);
  }

  text(value: string): this {
    return this.u32(Buffer.byteLength(value)).#add(Buffer.from(`${value}\0`));
  }

  signature(value: string): this {
    return this.octets(value.length).#add(Buffer.from(`${value}\0`));
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  #add(bytes: Buffer): this {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    return this;
  }
}

interface Call {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** Arguments, all of them strings. */
  readonly words: readonly string[];
}

function encodeCall(serial: number, call: Call): Buffer {
  const body = new Marshal();
  for (const word of call.words) body.text(word);
  const fields = new Marshal();
  for (const [code, type, value] of [
    [1, 'o', call.path],
    [2, 's', call.interface],
    [3, 's', call.member],
    [6, 's', call.destination],
  ] as const) {
    fields.align(8).octets(code).signature(type).text(value);
  }
  if (call.words.length > 0)
    fields.align(8).octets(8).signature('g').signature('s'.repeat(call.words.length));
  const head = new Marshal().octets(0x6c, METHOD_CALL, 0, 1).u32(body.bytes.length).u32(serial);
  head.u32(fields.bytes.length);
  return new Marshal()
    .octets(...head.bytes, ...fields.bytes)
    .align(8)
    .octets(...body.bytes).bytes;
}

/** The first call on every bus (D-Bus specification, org.freedesktop.DBus.Hello). */
const HELLO: Call = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
  member: 'Hello',
  words: [],
};

const JOBS: Call = {
  destination: MANAGER,
  path: '/org/freedesktop/systemd1',
  interface: `${MANAGER}.Manager`,
  member: 'ListJobs',
  words: [],
};

/** Asks for a property of an object of the manager. */
const propertyCall = (path: string, of: string, name: string): Call => ({
  destination: MANAGER,
  path,
  interface: 'org.freedesktop.DBus.Properties',
  member: 'Get',
  words: [`${MANAGER}.${of}`, name],
});

/** The object of a unit: all but letters and digits in hexadecimal, a digit at the beginning too (sd_bus_path_encode(3)). */
export function unitPath(unit: string): string {
  const hex = (octet: string): string => `_${octet.charCodeAt(0).toString(16).padStart(2, '0')}`;
  const label = Buffer.from(unit)
    .toString('latin1')
    .replace(/[^A-Za-z0-9]|^[0-9]/g, hex);
  return `/org/freedesktop/systemd1/unit/${label}`;
}

/** A string and where it ends. */
function textAt(body: Buffer, from: number): readonly [text: string, end: number] {
  const at = aligned(from, 4);
  const length = body.readUInt32LE(at);
  return [body.toString('utf8', at + 4, at + 4 + length), at + 4 + length + 1];
}

/** The answer of ListJobs: an array of (number, unit, type, state, path of the job, path of the unit). */
export function decodeJobs(body: Buffer): ManagerJob[] {
  const end = 8 + body.readUInt32LE(0);
  const jobs: ManagerJob[] = [];
  for (let at = 8; at < end; ) {
    const texts: string[] = [];
    at = aligned(at, 8) + 4;
    for (let i = 0; i < 5; i += 1) {
      const [text, next] = textAt(body, at);
      texts.push(text);
      at = next;
    }
    const [unit = '', type = ''] = texts;
    jobs.push({ unit, type });
  }
  return jobs;
}

/** The answer of Get: a variant, here one with a string. */
export function decodeVariantText(body: Buffer): string {
  const length = body.readUInt8(0);
  if (body.toString('latin1', 1, 1 + length) !== 's') throw new Error('SystemState is no text');
  return textAt(body, 1 + length + 1)[0];
}

/** The answer of Get with a number of 64 bits; Infinity for the largest, which stands for none. */
export function decodeVariantU64(body: Buffer): number {
  if (body.toString('latin1', 0, 3) !== '\x01t\0') throw new Error('the property is no number');
  const value = body.readBigUInt64LE(8);
  return value === 2n ** 64n - 1n ? Number.POSITIVE_INFINITY : Number(value);
}

interface Message {
  readonly type: number;
  /** Of the call that it answers; 0 = none. */
  readonly answers: number;
  readonly body: Buffer;
  readonly length: number;
}

/** The first message of some bytes; undefined: not complete yet. */
function readMessage(bytes: Buffer): Message | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  if (bytes[0] !== 0x6c) throw new Error('answers in another byte order');
  const bodyBytes = bytes.readUInt32LE(4);
  const fieldBytes = bytes.readUInt32LE(12);
  const bodyAt = aligned(HEAD_BYTES + fieldBytes, 8);
  const length = bodyAt + bodyBytes;
  if (length > LONGEST_MESSAGE) throw new Error('answers at great length');
  if (bytes.length < length) return undefined;
  const fields = bytes.subarray(HEAD_BYTES, HEAD_BYTES + fieldBytes);
  return {
    type: bytes.readUInt8(1),
    answers: replySerial(fields),
    body: bytes.subarray(bodyAt, length),
    length,
  };
}

function replySerial(fields: Buffer): number {
  for (let at = 0; at + 4 < fields.length; ) {
    const code = fields.readUInt8(at);
    const type = fields.toString('latin1', at + 2, at + 3);
    const value = at + 4;
    if (code === REPLY_SERIAL && type === 'u') return fields.readUInt32LE(aligned(value, 4));
    if (type === 'u') at = aligned(value, 4) + 4;
    else if (type === 'g') at = value + fields.readUInt8(value) + 2;
    else at = textAt(fields, value)[1];
    at = aligned(at, 8);
  }
  return 0;
}

/** Asks the bus at this socket. Rejects when it does not answer as it should, and when `signal` says so. */
export async function askManager(path: string, signal: AbortSignal): Promise<ManagerAnswer> {
  const state = propertyCall('/org/freedesktop/systemd1', 'Manager', 'SystemState');
  const [one, two] = await askBus(path, [JOBS, state], signal);
  return { jobs: decodeJobs(one as Buffer), state: decodeVariantText(two as Buffer) };
}

/** LimitNOFILE= of a service as the manager would start it now: the hard limit, Infinity for none. Rejects as askManager. */
export async function askFileLimit(path: string, unit: string, signal: AbortSignal): Promise<number> {
  const [answer] = await askBus(path, [propertyCall(unitPath(unit), 'Service', 'LimitNOFILE')], signal);
  return decodeVariantU64(answer as Buffer);
}

/** The answers to some calls, in their order. */
function askBus(path: string, calls: readonly Call[], signal: AbortSignal): Promise<readonly Buffer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const stop = (): void => settle(new Error('took too long'));
    const settle = (outcome: readonly Buffer[] | Error): void => {
      socket.destroy();
      signal.removeEventListener('abort', stop);
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    signal.addEventListener('abort', stop);
    let bytes: Buffer = Buffer.alloc(0);
    let isGreeted = false;
    const numbered = [HELLO, ...calls];
    const answers = new Map<number, Buffer>();
    const read = (): void => {
      if (!isGreeted) {
        const end = bytes.indexOf('\r\n');
        if (end < 0) return;
        if (!bytes.subarray(0, end).toString('latin1').startsWith('OK ')) throw new Error('refused');
        isGreeted = true;
        bytes = bytes.subarray(end + 2);
      }
      for (let one = readMessage(bytes); one !== undefined; one = readMessage(bytes)) {
        bytes = bytes.subarray(one.length);
        if (one.type === ERROR) throw new Error('refused');
        if (one.type === METHOD_RETURN) answers.set(one.answers, one.body);
      }
      const found = calls.flatMap((_call, at) => answers.get(at + 2) ?? []);
      if (found.length === calls.length) settle(found);
    };
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      try {
        read();
      } catch (error) {
        settle(error as Error);
      }
    });
    socket.on('error', settle);
    socket.on('close', () => settle(new Error('closed the connection')));
    const user = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');
    const greeting = Buffer.from(`\0AUTH EXTERNAL ${user}\r\nBEGIN\r\n`);
    // Serial numbers begin with 1.
    socket.write(Buffer.concat([greeting, ...numbered.map((call, at) => encodeCall(at + 1, call))]));
  });
}
