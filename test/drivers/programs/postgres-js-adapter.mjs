// @ts-check
/** postgres.js, a pool by nature; here of one connection. Connection strings are the JSON of its options. */
import { createRequire } from 'node:module';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { rows, serve, withCertificate } from './adapter.mjs';

const { version } = JSON.parse(
  (await import('node:fs')).readFileSync(
    createRequire(import.meta.url)
      .resolve('postgres')
      .replace(/\/cjs\/.*|\/src\/.*/, '/package.json'),
    'utf8',
  ),
);

/** @type {import('postgres').Sql} */
let sql;
/** @type {import('postgres').PendingQuery<any> | undefined} */
let running;

serve(version, {
  connect: async (string) => {
    await sql?.end({ timeout: 0 });
    sql = postgres({ max: 1, onnotice: () => {}, ...withCertificate(JSON.parse(string)) });
    await sql`select 1`;
  },
  /** It connects by itself when it is used again. */
  reconnect: async () => {
    await sql`select 1`;
  },
  query: async (text) => {
    running = sql.unsafe(text);
    const [row] = await running;
    return Object.values(row ?? {})[0];
  },
  transaction: async (statements) => {
    await sql.begin(async (transaction) => {
      for (const text of statements.split(';;')) await transaction.unsafe(text);
    });
  },
  'copy-in': async (rest) => {
    const [table, count = ''] = rest.split(' ');
    const input = await sql.unsafe(`copy ${table} from stdin`).writable();
    await pipeline(Readable.from([rows(count)]), input);
  },
  'copy-out': async (text) => {
    let lines = 0;
    const count = new Writable({
      write: (chunk, _encoding, done) => {
        lines += String(chunk).split('\n').length - 1;
        done();
      },
    });
    await pipeline(await sql.unsafe(`copy (${text}) to stdout`).readable(), count);
    return lines;
  },
  cancel: () => running?.cancel(),
  close: () => sql.end({ timeout: 0 }),
});
