/** The hand-over document as bytes. */
import { Buffer } from 'node:buffer';
import { clipText } from '../protocol/codec.js';
import {
  DOCUMENT_HEAD_BYTES,
  DOCUMENT_LIMITS,
  DOCUMENT_MAGIC,
  DOCUMENT_VERSION,
  type HandedConnection,
  type HandedInstance,
  type HandedSession,
  type HandOverDocument,
  type HeldBytes,
} from './document.js';

/** Where in the bytes behind the text something lies. */
type Place = readonly [offset: number, length: number];

/** Collects what records point to. */
class Heap {
  readonly parts: Buffer[] = [];
  #bytes = 0;

  /** Undefined for nothing: the member is left out. */
  put(bytes: Buffer): Place | undefined {
    if (bytes.length === 0) return undefined;
    const place: Place = [this.#bytes, bytes.length];
    this.parts.push(bytes);
    this.#bytes += bytes.length;
    return place;
  }
}

/** Whether the bytes of a record keep within what a successor takes; one that does not cannot be handed over. */
export function isHandedWhole({ inbound, outbound }: HeldBytes): boolean {
  return inbound.length <= DOCUMENT_LIMITS.heldBytes && outbound.length <= DOCUMENT_LIMITS.heldBytes;
}

/** The whole document, in parts to be written one behind the other. */
export function encodeHandOver(document: HandOverDocument): readonly Buffer[] {
  const heap = new Heap();
  const { software, conmgrId, view, sockets, instances, sessions, connections } = document;
  const text = Buffer.from(
    JSON.stringify({
      software: clip(software),
      conmgrId,
      view,
      sockets,
      instances: instances.map(instanceRecord),
      sessions: sessions.map((session) => sessionRecord(session, heap)),
      connections: connections.map((connection) => connectionRecord(connection, heap)),
    }),
  );
  const head = Buffer.alloc(DOCUMENT_HEAD_BYTES);
  head.write(DOCUMENT_MAGIC, 'latin1');
  head.writeUInt32BE(DOCUMENT_VERSION, DOCUMENT_MAGIC.length);
  head.writeUInt32BE(text.length, DOCUMENT_MAGIC.length + 4);
  return [head, text, ...heap.parts];
}

function instanceRecord({ attributes, host, ...rest }: HandedInstance): object {
  return { ...rest, host: clip(host), attributes: attributes.toString('base64') };
}

/** Every member is named: objects that are put together of others are slow to make and to write, and sessions stand still
 *  meanwhile. */
function sessionRecord(session: HandedSession, heap: Heap): Record<keyof HandedSession, unknown> {
  const { id, mode, phase, target, prefer, exclude, ping, name, instance, address, port, pid } = session;
  const { app, server, listener, fromApplication, fromServer, place, key, ageMs } = session;
  return {
    id,
    mode,
    phase,
    target,
    prefer: prefer.length === 0 ? undefined : prefer,
    exclude: exclude.length === 0 ? undefined : exclude,
    ping: ping || undefined,
    name: name === '' ? undefined : clip(name),
    instance,
    address,
    port,
    pid,
    ageMs,
    app,
    server,
    listener,
    fromApplication,
    fromServer,
    place,
    key: key.length === 0 ? undefined : key.toString('base64'),
    inbound: heap.put(session.inbound),
    outbound: heap.put(session.outbound),
  };
}

function connectionRecord({ inbound, outbound, ...rest }: HandedConnection, heap: Heap): object {
  const { app, listener, declined } = rest;
  return { app, listener, declined, inbound: heap.put(inbound), outbound: heap.put(outbound) };
}

/** How much of the text a record takes at most, wherever its bytes come to lie. */
export function recordBytes(record: HandedSession | HandedConnection): number {
  const heap = new Heap();
  const text = 'id' in record ? sessionRecord(record, heap) : connectionRecord(record, heap);
  // Its comma, and ten digits for each place instead of the one of 0.
  return Buffer.byteLength(JSON.stringify(text)) + 1 + 2 * 10;
}

/** Names come from applications and files, and may be of any length. */
function clip(text: string): string {
  return clipText(text, DOCUMENT_LIMITS.text);
}
