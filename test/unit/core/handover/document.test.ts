import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { TARGETS } from '../../../../src/core/cluster/target-session.js';
import { type DecodedHandOver, decodeHandOver } from '../../../../src/core/handover/decode.js';
import {
  DOCUMENT_HEAD_BYTES,
  DOCUMENT_LIMITS,
  DOCUMENT_MAGIC,
  DOCUMENT_VERSION,
  type HandedConnection,
  type HandedInstance,
  type HandedSession,
  type HandOverDocument,
} from '../../../../src/core/handover/document.js';
import { encodeHandOver, isHandedWhole } from '../../../../src/core/handover/encode.js';

const ID = '0123456789abcdef0123456789abcdef';
const NO_BYTES = Buffer.alloc(0);

function session(number: number, changes: Partial<HandedSession> = {}): HandedSession {
  return {
    app: 2 * number,
    server: 2 * number + 1,
    id: number + 7,
    mode: 'gateway',
    phase: 'bound',
    target: 'any',
    prefer: [],
    exclude: [],
    ping: false,
    name: 'psql',
    instance: 0,
    address: '127.0.0.1',
    port: 40_000,
    pid: 4711,
    ageMs: 1234.5,
    listener: 27_546,
    fromApplication: 10,
    fromServer: 2 ** 40,
    place: { host: '10.0.0.1', port: 5432 },
    key: Buffer.from('0000123489abcdef', 'hex'),
    inbound: Buffer.from(`in ${number}`),
    outbound: NO_BYTES,
    ...changes,
  };
}

const INSTANCE: HandedInstance = {
  number: 0,
  host: 'db1',
  backendPort: 5432,
  watchdogPort: 27_545,
  address: '10.0.0.1',
  graceMs: 10_000,
  attributes: Buffer.from('attributes'),
};

function handed(changes: Partial<HandOverDocument> = {}): HandOverDocument {
  return {
    software: 'conmgr 1',
    conmgrId: ID,
    view: 3,
    sockets: 6,
    instances: [INSTANCE],
    sessions: [session(0), session(1)],
    connections: [
      { app: 4, listener: 27_546, declined: ['ssl-request'], inbound: NO_BYTES, outbound: Buffer.from('N') },
    ],
    ...changes,
  };
}

const bytesOf = (document: HandOverDocument): Buffer => Buffer.concat(encodeHandOver(document));

function decoded(bytes: Buffer): Extract<DecodedHandOver, { kind: 'document' }> {
  const result = decodeHandOver(bytes);
  assert.ok(result.kind === 'document', JSON.stringify(result));
  return result;
}

/** A document whose text is this. */
function written(text: unknown, heap = NO_BYTES, version = DOCUMENT_VERSION): Buffer {
  const body = Buffer.from(JSON.stringify(text));
  const head = Buffer.alloc(DOCUMENT_HEAD_BYTES);
  head.write(DOCUMENT_MAGIC);
  head.writeUInt32BE(version, 8);
  head.writeUInt32BE(body.length, 12);
  return Buffer.concat([head, body, heap]);
}

/** The text of a document, as it stands. */
function textOf(document: HandOverDocument): Record<string, unknown> & { sessions: object[] } {
  const bytes = bytesOf(document);
  return JSON.parse(
    bytes.toString('utf8', DOCUMENT_HEAD_BYTES, DOCUMENT_HEAD_BYTES + bytes.readUInt32BE(12)),
  );
}

const port = fc.integer({ min: 0, max: 65_535 });
/** As the reader makes them: deepEqual looks at prototypes, too. */
const PLAIN = { noNullPrototype: true };
const octets = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
const word = fc.string({ unit: 'grapheme', maxLength: 40 });
const anyInstance: fc.Arbitrary<HandedInstance> = fc.record(
  {
    number: port,
    host: word,
    backendPort: port,
    watchdogPort: port,
    address: word,
    graceMs: fc.nat(),
    attributes: octets,
  },
  PLAIN,
);
const anySession: fc.Arbitrary<HandedSession> = fc.record(
  {
    app: fc.constant(0),
    server: fc.constant(0),
    id: fc.constant(0),
    mode: fc.constantFrom('aware' as const, 'gateway' as const),
    phase: fc.constantFrom('waiting' as const, 'answered' as const, 'bound' as const),
    target: fc.constantFrom(...TARGETS),
    prefer: fc.array(port, { maxLength: 64 }),
    exclude: fc.array(port, { maxLength: 64 }),
    ping: fc.boolean(),
    name: word,
    instance: fc.option(port, { nil: undefined }),
    address: word,
    port,
    pid: fc.nat(),
    ageMs: fc.double({ min: 0, max: 1e12, noNaN: true }).map((ms) => ms + 0),
    listener: port,
    fromApplication: fc.maxSafeNat(),
    fromServer: fc.maxSafeNat(),
    place: fc.record({ host: word, port }, PLAIN),
    key: octets,
    inbound: octets,
    outbound: octets,
  },
  PLAIN,
);
const anyConnection: fc.Arbitrary<HandedConnection> = fc.record(
  {
    app: fc.constant(0),
    listener: port,
    declined: fc.array(word, { maxLength: 2 }),
    inbound: octets,
    outbound: octets,
  },
  PLAIN,
);

/** Numbers every record as a predecessor would. */
function numbered(
  instances: readonly HandedInstance[],
  sessions: readonly HandedSession[],
  connections: readonly HandedConnection[],
): HandOverDocument {
  let sockets = 0;
  const next = (): number => sockets++;
  const one = sessions.map((each, at): HandedSession => {
    const aware = each.mode === 'aware';
    return {
      ...each,
      id: at,
      app: next(),
      server: aware ? undefined : next(),
      phase: aware ? each.phase : 'bound',
      place: aware ? undefined : each.place,
    };
  });
  const two = connections.map((each) => ({ ...each, app: next() }));
  return { ...handed(), instances, sessions: one, connections: two, sockets };
}

describe('a hand-over document', () => {
  it('comes back as it was written, whatever names and bytes it holds', () => {
    const instances = fc.uniqueArray(anyInstance, { selector: ({ number }) => number, maxLength: 4 });
    fc.assert(
      fc.property(
        instances,
        fc.array(anySession, { maxLength: 6 }),
        fc.array(anyConnection, { maxLength: 4 }),
        (...of) => {
          const document = numbered(...of);
          assert.deepEqual(decoded(bytesOf(document)), { kind: 'document', document, rejected: [] });
        },
      ),
    );
  });

  it('may have members that this version does not know', () => {
    const text = textOf(handed());
    const later = {
      ...text,
      sleep: { deeper: [1] },
      sessions: text.sessions.map((one) => ({ ...one, mood: 'fine' })),
    };
    const heap = Buffer.from('in 0in 1N');
    assert.deepEqual(decoded(written(later, heap)).document, handed());
  });

  it('may lack members that an earlier version did not write', () => {
    const { app, id, mode, phase, target, listener } = session(0, { mode: 'aware' });
    const { document, rejected } = decoded(
      written({ conmgrId: ID, view: 0, sockets: 1, sessions: [{ app, id, mode, phase, target, listener }] }),
    );
    assert.deepEqual(rejected, []);
    assert.deepEqual(document, {
      software: '',
      conmgrId: ID,
      view: 0,
      sockets: 1,
      instances: [],
      connections: [],
      sessions: [
        session(0, {
          mode: 'aware',
          server: undefined,
          place: undefined,
          name: '',
          instance: undefined,
          address: '',
          port: 0,
          pid: 0,
          ageMs: 0,
          fromApplication: 0,
          fromServer: 0,
          key: NO_BYTES,
          inbound: NO_BYTES,
        }),
      ],
    });
  });

  it('of another version is not read at all', () => {
    for (const version of [0, DOCUMENT_VERSION + 1, 0xffff_ffff])
      assert.deepEqual(decodeHandOver(written('whatever', NO_BYTES, version)), {
        kind: 'unknown version',
        version,
      });
  });

  const wrong: readonly [what: string, changes: object, reason: RegExp][] = [
    ['a socket beyond the bundle', { app: 6 }, /"app" is not a whole number up to 5/],
    ['a socket of another session', { app: 2 }, /"socket 2" is not free/],
    ['one socket for both ends', { app: 1 }, /"socket 1" is not free/],
    ['no server though it is forwarded', { server: undefined }, /"server"/],
    ['no place though it is forwarded', { place: undefined }, /"place" is not an object/],
    ['a forwarded session that is still opening', { phase: 'answered' }, /"phase" is not bound/],
    ['a target of another version', { target: 'nearest' }, /"target" is not one of/],
    ['a way of attachment of another version', { mode: 'redirect' }, /"mode" is not one of aware, gateway/],
    ['bytes outside of the document', { inbound: [8, 2] }, /"inbound" is not a place/],
    ['bytes before the beginning', { inbound: [-1, 2] }, /"inbound" is not a place/],
    ['a place that is none', { inbound: 'here' }, /"inbound" is not a place/],
    ['a negative count', { fromServer: -1 }, /"fromServer" is not a number/],
    ['a name that is too long', { name: 'n'.repeat(DOCUMENT_LIMITS.text + 1) }, /"name" is not a text/],
    ['a list that is too long', { prefer: Array(65).fill(1) }, /"prefer" is not a list/],
    ['an instance that is no number', { prefer: ['1'] }, /"prefer" is not a whole number/],
  ];
  for (const [what, changes, reason] of wrong) {
    it(`loses only the session with ${what}`, () => {
      const text = textOf(handed());
      // The wrong one comes last, so that the others have their sockets.
      text.sessions = [text.sessions[1]!, { ...text.sessions[0], ...changes }];
      const { document, rejected } = decoded(written(text, Buffer.from('in 0in 1N')));
      assert.deepEqual(document.sessions, [session(1)]);
      assert.equal(rejected.length, 1);
      assert.match(rejected[0]!, reason);
    });
  }

  it('of nobody, or without what all of it needs, is damaged', () => {
    const text = textOf(handed());
    for (const [bytes, reason] of [
      [NO_BYTES, /does not begin/],
      [Buffer.from('hello, is this the document?'), /does not begin/],
      [bytesOf(handed()).subarray(0, 40), /cut off/],
      [written([]), /"document" is not an object/],
      [written({ ...text, conmgrId: 'me' }), /"conmgrId" is not 32 hex digits/],
      [written({ ...text, sockets: 1e9 }), /"sockets"/],
      [written({ ...text, sessions: 7 }), /"sessions" is not a list/],
      [Buffer.concat([written('').subarray(0, 12), Buffer.from([0, 0, 0, 1, 0x7b])]), /no JSON/],
    ] as const) {
      const result = decodeHandOver(bytes);
      assert.ok(result.kind === 'damaged', result.kind);
      assert.match(result.reason, reason);
    }
  });

  it('does not make the reader throw, however it was spoilt', () => {
    const whole = bytesOf(handed());
    const spoils = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(spoils, fc.nat(whole.length), (changes, length) => {
        const bytes = Buffer.from(whole);
        for (const [at, octet] of changes) bytes[at] = octet;
        for (const one of [bytes, bytes.subarray(0, length)]) {
          const result = decodeHandOver(one);
          if (result.kind !== 'document') continue;
          const { sessions, connections, sockets } = result.document;
          const used = [...sessions, ...connections].flatMap((each) => [
            each.app,
            ...('server' in each && each.server !== undefined ? [each.server] : []),
          ]);
          assert.equal(new Set(used).size, used.length);
          assert.ok(used.every((socket) => socket < sockets));
        }
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        decodeHandOver(written(value));
        decodeHandOver(written({ conmgrId: ID, view: 1, sockets: 3, sessions: value, instances: [value] }));
      }),
    );
  });

  it('cuts names that are longer than a successor takes', () => {
    const name = 'ä'.repeat(4000);
    const { document, rejected } = decoded(bytesOf(handed({ sessions: [session(0, { name })] })));
    assert.deepEqual(rejected, []);
    assert.equal(document.sessions[0]?.name, 'ä'.repeat(DOCUMENT_LIMITS.text / 2));
  });

  it('does not take more bytes of a session than a successor reads', () => {
    const most = Buffer.alloc(DOCUMENT_LIMITS.heldBytes);
    assert.ok(isHandedWhole({ inbound: most, outbound: most }));
    assert.equal(isHandedWhole({ inbound: Buffer.alloc(most.length + 1), outbound: NO_BYTES }), false);
    assert.deepEqual(decoded(bytesOf(handed({ sessions: [session(0, { outbound: most })] }))).rejected, []);
  });
});
