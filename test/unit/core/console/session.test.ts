import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ConsoleSession } from '../../../../src/core/console/session.js';
import { decodeErrorResponse, encodeMessage } from '../../../../src/core/protocol/startup.js';

const ROWS = [
  ['0', null],
  ['1', 'standby'],
  ['2', 'x'],
] as const;

function session(): ConsoleSession {
  return new ConsoleSession({
    software: 'conmgr 1.2.3',
    columns: () => ['instance', 'role'],
    show: () => Promise.resolve({ columns: ['instance', 'role'], rows: ROWS }),
  });
}

const z = (...texts: readonly string[]): Buffer =>
  Buffer.from(texts.map((text) => `${text}\0`).join(''), 'utf8');
const query = (sql: string): Buffer => encodeMessage('Q', z(sql));
const parse = (sql: string, name = ''): Buffer =>
  encodeMessage('P', Buffer.concat([z(name, sql), Buffer.alloc(2)]));
const bind = (name = '', portal = ''): Buffer =>
  encodeMessage('B', Buffer.concat([z(portal, name), Buffer.alloc(6)]));
const describePortal = encodeMessage('D', Buffer.from('P\0'));
const describeStatement = (name = ''): Buffer =>
  encodeMessage('D', Buffer.concat([Buffer.from('S'), z(name)]));
const sync = encodeMessage('S', Buffer.alloc(0));
function execute(limit = 0, portal = ''): Buffer {
  const count = Buffer.alloc(4);
  count.writeInt32BE(limit, 0);
  return encodeMessage('E', Buffer.concat([z(portal), count]));
}

/** Answers as words: the type, with the tag, the status or the SQLSTATE where there is one. */
function words(bytes: Buffer): readonly string[] {
  const found: string[] = [];
  for (let at = 0; at < bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    const type = String.fromCharCode(bytes[at]!);
    const body = bytes.subarray(at + 5, at + 1 + bytes.readUInt32BE(at + 1));
    if (type === 'C') found.push(`C ${body.toString('utf8', 0, body.length - 1)}`);
    else if (type === 'Z') found.push(`Z ${body.toString()}`);
    else if (type === 'E') found.push(`E ${decodeErrorResponse(body).get('C')}`);
    else found.push(type);
  }
  return found;
}

async function said(...messages: readonly Buffer[]): Promise<readonly string[]> {
  return words(await session().take(Buffer.concat(messages)));
}

describe('the console, simple queries', () => {
  it('greets with what drivers want to know before they ask', () => {
    const greeting = session().greet(new Map([['user', 'u']]));
    const types = words(greeting);
    assert.deepEqual([types[0], types.at(-1)], ['R', 'Z I']);
    assert.match(greeting.toString('latin1'), /server_version\0\d+\.\d+ \(conmgr 1\.2\.3\)\0/);
    assert.match(greeting.toString('latin1'), /standard_conforming_strings\0on\0/);
  });

  it('SHOW gives columns, rows and its tag', async () => {
    assert.deepEqual(await said(query('SHOW INSTANCES')), ['T', 'D', 'D', 'D', 'C SHOW', 'Z I']);
  });

  it('several statements are answered one by one up to the first error', async () => {
    assert.deepEqual(await said(query('SELECT 1; SET a = b; DROP TABLE x; SELECT 2')), [
      'T',
      'D',
      'C SELECT 1',
      'C SET',
      'E 0A000',
      'Z I',
    ]);
  });

  it('nothing is answered as nothing', async () => {
    assert.deepEqual(await said(query('')), ['I', 'Z I']);
  });

  it('a transaction is one to the driver: begun, failed, ended', async () => {
    assert.deepEqual(
      await said(
        query('BEGIN'),
        query('SELECT 1'),
        query('DELETE'),
        query('SHOW HELP'),
        query('COMMIT'),
        query('SELECT 1'),
      ),
      [
        'C BEGIN',
        'Z T',
        'T',
        'D',
        'C SELECT 1',
        'Z T',
        'E 0A000',
        'Z E',
        'E 25P02',
        'Z E',
        'C ROLLBACK',
        'Z I',
        'T',
        'D',
        'C SELECT 1',
        'Z I',
      ],
    );
  });
});

describe('the console, extended queries', () => {
  it('parse, bind, describe, execute, sync', async () => {
    assert.deepEqual(await said(parse('SHOW INSTANCES'), bind(), describePortal, execute(), sync), [
      '1',
      '2',
      'T',
      'D',
      'D',
      'D',
      'C SHOW',
      'Z I',
    ]);
  });

  it('a statement is described with its parameters, of which there are none, and its columns', async () => {
    assert.deepEqual(await said(parse('SHOW INSTANCES', 's'), describeStatement('s'), sync), [
      '1',
      't',
      'T',
      'Z I',
    ]);
    assert.deepEqual(await said(parse('SET a = 1', 's'), describeStatement('s'), sync), [
      '1',
      't',
      'n',
      'Z I',
    ]);
  });

  it('a limit of rows suspends the portal, which goes on in the same transaction', async () => {
    assert.deepEqual(
      await said(
        query('BEGIN'),
        parse('SHOW INSTANCES'),
        bind('', 'c'),
        execute(2, 'c'),
        sync,
        execute(2, 'c'),
        sync,
      ),
      ['C BEGIN', 'Z T', '1', '2', 'D', 'D', 's', 'Z T', 'D', 'C SHOW', 'Z T'],
    );
  });

  it('after an error everything up to Sync is skipped', async () => {
    assert.deepEqual(await said(parse('SELECT now()'), bind(), execute(), sync, query('SELECT 1')), [
      'E 0A000',
      'Z I',
      'T',
      'D',
      'C SELECT 1',
      'Z I',
    ]);
  });

  it('names that there are not, several statements in one, function calls: each its SQLSTATE', async () => {
    assert.deepEqual(await said(bind('nobody'), sync), ['E 26000', 'Z I']);
    assert.deepEqual(await said(execute(0, 'nobody'), sync), ['E 34000', 'Z I']);
    assert.deepEqual(await said(parse('SELECT 1; SELECT 2'), sync), ['E 42601', 'Z I']);
    assert.deepEqual(await said(encodeMessage('F', Buffer.alloc(8)), sync), ['E 0A000', 'Z I']);
    assert.deepEqual(await said(encodeMessage('?', Buffer.alloc(8)), sync), ['E 08P01', 'Z I']);
  });

  it('closing what there is not is no error', async () => {
    assert.deepEqual(await said(encodeMessage('C', Buffer.from('Sx\0')), sync), ['3', 'Z I']);
  });

  it('keeps a bounded number of statements', async () => {
    const many = Array.from({ length: 1001 }, (_none, at) => parse('SELECT 1', `s${at}`));
    assert.equal((await said(...many)).at(-1), 'E 53400');
  });
});

describe('the console, the stream', () => {
  it('may be divided anywhere', async () => {
    const bytes = Buffer.concat([parse('SHOW INSTANCES'), bind(), execute(), sync, query('SELECT 1')]);
    const expected = await session().take(bytes);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: bytes.length })), async (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const one = session();
        const parts: Buffer[] = [];
        for (let at = 1; at < places.length; at += 1)
          parts.push(await one.take(bytes.subarray(places[at - 1], places[at])));
        assert.deepEqual(Buffer.concat(parts), expected);
      }),
      { numRuns: 50 },
    );
  });

  it('a message too long to be a statement ends it before it is collected', async () => {
    const one = session();
    assert.deepEqual(words(await one.take(Buffer.from('5100100000', 'hex'))), ['E 08P01']);
    assert.equal(one.isOver, true);
  });

  it('Terminate ends it', async () => {
    const one = session();
    assert.equal(
      (await one.take(Buffer.concat([encodeMessage('X', Buffer.alloc(0)), query('SELECT 1')]))).length,
      0,
    );
    assert.equal(one.isOver, true);
  });

  it('any octets do no harm', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 })), async (chunks) => {
        const one = session();
        for (const chunk of chunks) if (!one.isOver) await one.take(Buffer.from(chunk));
      }),
    );
  });
});
