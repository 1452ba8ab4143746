import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { roomy } from '../../../../src/conmgr/hand-over.js';
import { decodeHandOver } from '../../../../src/core/handover/decode.js';
import {
  DOCUMENT_HEAD_BYTES,
  DOCUMENT_LIMITS,
  type HandedConnection,
  type HandedSession,
  type HandOverDocument,
} from '../../../../src/core/handover/document.js';
import { encodeHandOver } from '../../../../src/core/handover/encode.js';
import { type DocumentLimits, withoutRoom } from '../../../../src/core/handover/room.js';

const NO_BYTES = Buffer.alloc(0);

function session(app: number, changes: Partial<HandedSession> = {}): HandedSession {
  return {
    ...{
      app,
      server: app + 1,
      id: app,
      mode: 'gateway',
      phase: 'bound',
      target: 'any',
      prefer: [],
      exclude: [],
    },
    ...{ ping: false, name: 'psql', instance: 0, address: '127.0.0.1', port: 40_000, pid: 4711, ageMs: 1.5 },
    ...{ listener: 27_546, fromApplication: 10, fromServer: 20, place: { host: '10.0.0.1', port: 5432 } },
    ...{ key: Buffer.alloc(8), inbound: NO_BYTES, outbound: NO_BYTES },
    ...changes,
  };
}

function connection(app: number, inbound = NO_BYTES): HandedConnection {
  return { app, listener: 27_546, declined: [], inbound, outbound: NO_BYTES };
}

function handed(
  sessions: readonly HandedSession[],
  connections: readonly HandedConnection[],
): HandOverDocument {
  const sockets = 2 * sessions.length + connections.length;
  const conmgrId = '0123456789abcdef0123456789abcdef';
  return { software: 'conmgr 1', conmgrId, view: 3, sockets, instances: [], sessions, connections };
}

/** As a predecessor has it: the socket of number n is descriptor 100 + n, of connection 1000 + n. */
function packed(document: HandOverDocument) {
  const numbers = Array.from({ length: document.sockets }, (_none, at) => at);
  return {
    document,
    fds: numbers.map((at) => 100 + at),
    owners: numbers.map((at) => 1000 + at),
    leftOut: [],
  };
}

describe('what finds no room in a hand-over document', () => {
  it('is nothing of a common one', () => {
    const all = packed(handed([session(0)], [connection(2, Buffer.alloc(1000))]));
    assert.equal(roomy(all), all);
  });

  it('is left out, so that whatever is written can be read', () => {
    const held = fc.integer({ min: 0, max: 300 }).map((length) => Buffer.alloc(length));
    const bytes = fc.record({
      inbound: held,
      outbound: held,
      name: fc.string({ unit: 'binary', maxLength: 30 }),
    });
    const limits = fc.record({
      textBytes: fc.integer({ min: 250, max: 4000 }),
      bytes: fc.integer({ min: 500, max: 6000 }),
      sessions: fc.integer({ min: 0, max: 6 }),
      sockets: fc.integer({ min: 0, max: 14 }),
    });
    const records = fc.array(bytes, { maxLength: 8 });
    fc.assert(
      fc.property(records, records, limits, (ones, others, most: DocumentLimits) => {
        const sessions = ones.map((one, at) => session(2 * at, one));
        const connections = others.map(({ inbound }, at) => connection(2 * ones.length + at, inbound));
        const { document, fds } = roomy(packed(handed(sessions, connections)), most);
        const written = Buffer.concat(encodeHandOver(document));
        assert.ok(written.length <= most.bytes);
        assert.ok(written.readUInt32BE(DOCUMENT_HEAD_BYTES - 4) <= most.textBytes);
        assert.ok(document.sessions.length <= most.sessions && document.connections.length <= most.sessions);
        assert.ok(document.sockets <= most.sockets);
        assert.equal(document.sockets, fds.length);
        const decoded = decodeHandOver(written);
        assert.ok(decoded.kind === 'document');
        assert.deepEqual(decoded.rejected, []);
        assert.equal(decoded.document.sessions.length, document.sessions.length);
      }),
    );
  });

  it('are those first of which most is held, and the sockets of the others are numbered anew', () => {
    const sizes = [10, 4000, 0, 5000, 20];
    const all = packed(
      handed(
        sizes.map((size, at) => session(2 * at, { inbound: Buffer.alloc(size) })),
        [],
      ),
    );
    const limits = { ...DOCUMENT_LIMITS, bytes: 4000 };
    const { document, fds, owners, leftOut } = roomy(all, limits);
    assert.deepEqual(
      document.sessions.map(({ id, app, server }) => [id, app, server]),
      [
        [0, 0, 1],
        [4, 2, 3],
        [8, 4, 5],
      ],
    );
    assert.deepEqual(fds, [100, 101, 104, 105, 108, 109]);
    assert.deepEqual(owners, [1000, 1001, 1004, 1005, 1008, 1009]);
    assert.deepEqual(new Set(leftOut), new Set([1002, 1006]));
  });

  it('are connections beyond the number that a successor takes, and no session in their place', () => {
    const connections = Array.from({ length: DOCUMENT_LIMITS.sessions + 2 }, (_none, at) =>
      connection(2 + at),
    );
    const document = handed([session(0, { inbound: Buffer.alloc(9) })], connections);
    const without = withoutRoom(document);
    assert.equal(without.size, 2);
    assert.ok(!without.has(0));
    const kept = { ...document, connections: connections.filter(({ app }) => !without.has(app)) };
    assert.equal(decodeHandOver(Buffer.concat(encodeHandOver(kept))).kind, 'document');
    assert.equal(decodeHandOver(Buffer.concat(encodeHandOver(document))).kind, 'damaged');
  });

  it('are as many as bring the text within the limits of a document', () => {
    const name = '\u0001'.repeat(1000);
    const sessions = Array.from({ length: 12_000 }, (_none, at) => session(2 * at, { name }));
    const document = handed(sessions, []);
    const without = withoutRoom(document);
    assert.ok(without.size > 0);
    const kept = { ...document, sessions: sessions.filter(({ app }) => !without.has(app)) };
    const written = Buffer.concat(encodeHandOver(kept));
    assert.equal(decodeHandOver(written).kind, 'document');
    // And no more than that.
    assert.ok(written.length > 0.99 * DOCUMENT_LIMITS.textBytes);
  });
});
