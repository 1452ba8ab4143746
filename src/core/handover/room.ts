/**
 * What finds no room in a hand-over document: a successor refuses one that is beyond its limits as a whole, so a predecessor
 * leaves out what would bring it there.
 */
import { DOCUMENT_HEAD_BYTES, DOCUMENT_LIMITS, type HandOverDocument, type HeldBytes } from './document.js';
import { encodeHandOver, recordBytes } from './encode.js';

/** The limits that hold for all of a document together; tests have smaller ones. */
export type DocumentLimits = Readonly<Record<'textBytes' | 'bytes' | 'sessions' | 'sockets', number>>;

/** Sizes of what a document has without some of its records. */
interface Room {
  textBytes: number;
  heldBytes: number;
  sessions: number;
  connections: number;
  sockets: number;
}

/**
 * The sockets, by their numbers as `app` of sessions and connections, of those that find no room: whose held bytes are the
 * most first. Empty as a rule, which is found out without writing records.
 */
export function withoutRoom(
  document: HandOverDocument,
  limits: DocumentLimits = DOCUMENT_LIMITS,
): ReadonlySet<number> {
  const { sessions, connections } = document;
  const records = [...sessions, ...connections];
  const left = new Set<number>();
  const room: Room = {
    textBytes: records.reduce((sum, record) => sum + mostTextBytes(record), headBytes(document)),
    heldBytes: records.reduce((sum, record) => sum + heldBytes(record), 0),
    ...{ sessions: sessions.length, connections: connections.length, sockets: document.sockets },
  };
  if (fits(room, limits)) return left;
  const isSession = new Set<object>(sessions);
  const sized = records.map((record) => ({ record, bytes: recordBytes(record) }));
  room.textBytes = sized.reduce((sum, { bytes }) => sum + bytes, headBytes(document));
  sized.sort((a, b) => heldBytes(b.record) - heldBytes(a.record) || b.bytes - a.bytes);
  for (const { record, bytes } of sized) {
    if (fits(room, limits)) break;
    const isOver = isSession.has(record)
      ? room.sessions > limits.sessions
      : room.connections > limits.sessions;
    if (!isOver && fits({ ...room, sessions: 0, connections: 0 }, limits)) continue;
    left.add(record.app);
    room.textBytes -= bytes;
    room.heldBytes -= heldBytes(record);
    room.sockets -= 'server' in record && record.server !== undefined ? 2 : 1;
    if (isSession.has(record)) room.sessions -= 1;
    else room.connections -= 1;
  }
  return left;
}

function fits(
  { textBytes, heldBytes, sessions, connections, sockets }: Room,
  limits: DocumentLimits,
): boolean {
  return (
    textBytes <= limits.textBytes &&
    DOCUMENT_HEAD_BYTES + textBytes + heldBytes <= limits.bytes &&
    Math.max(sessions, connections) <= limits.sessions &&
    sockets <= limits.sockets
  );
}

const heldBytes = ({ inbound, outbound }: HeldBytes): number => inbound.length + outbound.length;

/** Of the text without records. */
function headBytes(document: HandOverDocument): number {
  const parts = encodeHandOver({ ...document, sessions: [], connections: [] });
  return parts.reduce((sum, { length }) => sum + length, 0) - DOCUMENT_HEAD_BYTES;
}

/** Names of members, numbers, words and what separates them take less. */
const FIXED_BYTES = 1024;
/** `\u001f`; a number of a list with its comma takes less, as do three octets in base64. */
const MOST_BYTES_OF_CHARACTER = 6;

/** What a record may take in the text, without writing it. */
function mostTextBytes(
  record: HandOverDocument['sessions'][number] | HandOverDocument['connections'][number],
): number {
  if (!('name' in record)) {
    return (
      FIXED_BYTES +
      record.declined.reduce((sum, { length }) => sum + MOST_BYTES_OF_CHARACTER * (length + 1), 0)
    );
  }
  const { name, address, place, key, prefer, exclude } = record;
  const characters = name.length + address.length + (place?.host.length ?? 0) + key.length;
  return FIXED_BYTES + MOST_BYTES_OF_CHARACTER * (characters + prefer.length + exclude.length);
}
