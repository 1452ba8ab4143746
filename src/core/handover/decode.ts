/**
 * Reads a hand-over document. It comes from a process of the same user, but perhaps of another version: everything is
 * checked before anything is done, and a record that makes no sense costs only its own session.
 */
import type { Buffer } from 'node:buffer';
import { TARGETS } from '../cluster/target-session.js';
import {
  DOCUMENT_HEAD_BYTES,
  DOCUMENT_LIMITS,
  DOCUMENT_MAGIC,
  DOCUMENT_VERSION,
  type HandedConnection,
  type HandedInstance,
  type HandedSession,
  type HandOverDocument,
} from './document.js';
import {
  amount,
  flag,
  held,
  InvalidMember,
  list,
  type Members,
  membersOf,
  octets,
  oneOf,
  own,
  text,
  whole,
} from './members.js';

const MODES = ['aware', 'gateway'] as const;
const PHASES = ['waiting', 'answered', 'bound'] as const;
const PORT = 65_535;
const INSTANCE = 65_535;
const U32 = 0xffff_ffff;

/** A document, or why there is none. */
export type DecodedHandOver =
  | {
      readonly kind: 'document';
      readonly document: HandOverDocument;
      /** Why records were left out, one sentence each. */
      readonly rejected: readonly string[];
    }
  /** Written by a later version, in another meaning. */
  | { readonly kind: 'unknown version'; readonly version: number }
  | { readonly kind: 'damaged'; readonly reason: string };

/** Never throws. */
export function decodeHandOver(bytes: Buffer): DecodedHandOver {
  if (bytes.length > DOCUMENT_LIMITS.bytes) return damaged('it is too long');
  if (bytes.length < DOCUMENT_HEAD_BYTES || bytes.toString('latin1', 0, 8) !== DOCUMENT_MAGIC)
    return damaged('it does not begin as one');
  const version = bytes.readUInt32BE(DOCUMENT_MAGIC.length);
  if (version !== DOCUMENT_VERSION) return { kind: 'unknown version', version };
  const length = bytes.readUInt32BE(DOCUMENT_MAGIC.length + 4);
  if (length > DOCUMENT_LIMITS.textBytes || DOCUMENT_HEAD_BYTES + length > bytes.length)
    return damaged('it is cut off');
  const end = DOCUMENT_HEAD_BYTES + length;
  try {
    const members = membersOf(JSON.parse(bytes.toString('utf8', DOCUMENT_HEAD_BYTES, end)), 'document');
    return readDocument(members, bytes.subarray(end));
  } catch (error) {
    return damaged(error instanceof InvalidMember ? error.message : 'its text is no JSON');
  }
}

function damaged(reason: string): DecodedHandOver {
  return { kind: 'damaged', reason };
}

function readDocument(of: Members, heap: Buffer): DecodedHandOver {
  const rejected: string[] = [];
  const sockets = whole(of, 'sockets', DOCUMENT_LIMITS.sockets);
  const conmgrId = text(of, 'conmgrId');
  if (!/^[0-9a-f]{32}$/.test(conmgrId)) throw new InvalidMember('conmgrId', '32 hex digits');
  const numbers = new Claims('instance');
  const taken = new Claims('socket');
  const ids = new Claims('session');
  const records = <T>(name: string, most: number, read: (members: Members) => T): T[] =>
    list(of, name, most).flatMap((value, at) => {
      try {
        return [read(membersOf(value, 'record'))];
      } catch (error) {
        rejected.push(`${name} ${at}: ${(error as Error).message}`);
        return [];
      }
    });
  const document: HandOverDocument = {
    software: text(of, 'software', ''),
    conmgrId,
    view: whole(of, 'view', U32),
    sockets,
    instances: records('instances', DOCUMENT_LIMITS.instances, (one) => {
      const instance = readInstance(one);
      numbers.claim(instance.number);
      return instance;
    }),
    sessions: records('sessions', DOCUMENT_LIMITS.sessions, (one) => {
      const session = readSession(one, heap, sockets);
      ids.claim(session.id);
      taken.claim(session.app, session.server);
      return session;
    }),
    connections: records('connections', DOCUMENT_LIMITS.sessions, (one) => {
      const connection = readConnection(one, heap, sockets);
      taken.claim(connection.app);
      return connection;
    }),
  };
  return { kind: 'document', document, rejected };
}

/** What may belong to one record only; the first that claims it has it. */
class Claims {
  readonly #what: string;
  readonly #claimed = new Set<number>();

  constructor(what: string) {
    this.#what = what;
  }

  /** All or none. */
  claim(number: number, other?: number): void {
    if (this.#claimed.has(number)) throw new InvalidMember(`${this.#what} ${number}`, 'free');
    if (other !== undefined) {
      if (other === number || this.#claimed.has(other))
        throw new InvalidMember(`${this.#what} ${other}`, 'free');
      this.#claimed.add(other);
    }
    this.#claimed.add(number);
  }
}

function readInstance(of: Members): HandedInstance {
  return {
    number: whole(of, 'number', INSTANCE),
    host: text(of, 'host', ''),
    backendPort: whole(of, 'backendPort', PORT),
    watchdogPort: whole(of, 'watchdogPort', PORT),
    address: text(of, 'address', ''),
    graceMs: whole(of, 'graceMs', U32),
    attributes: octets(of, 'attributes'),
  };
}

function readSession(of: Members, heap: Buffer, sockets: number): HandedSession {
  const mode = oneOf(of, 'mode', MODES);
  const forwarded = mode === 'gateway';
  const phase = oneOf(of, 'phase', PHASES);
  // What is not forwarded yet is a connection, whatever it waits for.
  if (forwarded && phase !== 'bound')
    throw new InvalidMember('phase', 'bound, as that of a forwarded session');
  return {
    app: socket(of, 'app', sockets),
    server: forwarded ? socket(of, 'server', sockets) : undefined,
    id: whole(of, 'id', Number.MAX_SAFE_INTEGER),
    mode,
    phase,
    target: oneOf(of, 'target', TARGETS),
    prefer: instanceNumbers(of, 'prefer'),
    exclude: instanceNumbers(of, 'exclude'),
    ping: flag(of, 'ping'),
    name: text(of, 'name', ''),
    instance: own(of, 'instance') === undefined ? undefined : whole(of, 'instance', INSTANCE),
    address: text(of, 'address', ''),
    port: whole(of, 'port', PORT, 0),
    pid: whole(of, 'pid', U32, 0),
    ageMs: amount(of, 'ageMs'),
    listener: whole(of, 'listener', PORT),
    fromApplication: amount(of, 'fromApplication'),
    fromServer: amount(of, 'fromServer'),
    place: forwarded ? readPlace(membersOf(own(of, 'place'), 'place')) : undefined,
    key: octets(of, 'key'),
    inbound: held(of, 'inbound', heap),
    outbound: held(of, 'outbound', heap),
  };
}

function readPlace(of: Members): { readonly host: string; readonly port: number } {
  return { host: text(of, 'host'), port: whole(of, 'port', PORT) };
}

function readConnection(of: Members, heap: Buffer, sockets: number): HandedConnection {
  const declined = list(of, 'declined');
  if (
    !declined.every((word): word is string => typeof word === 'string' && word.length <= DOCUMENT_LIMITS.text)
  )
    throw new InvalidMember('declined', 'a list of texts');
  return {
    app: socket(of, 'app', sockets),
    listener: whole(of, 'listener', PORT),
    declined,
    inbound: held(of, 'inbound', heap),
    outbound: held(of, 'outbound', heap),
  };
}

function socket(of: Members, name: string, sockets: number): number {
  return whole(of, name, sockets - 1);
}

function instanceNumbers(of: Members, name: string): readonly number[] {
  return list(of, name).map((_value, at, all) => whole({ [name]: all[at] }, name, INSTANCE));
}
