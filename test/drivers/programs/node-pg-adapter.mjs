// @ts-check
/** node-postgres. Connection strings are the JSON of its constructor's options. */
import pg from 'pg';
import manifest from 'pg/package.json' with { type: 'json' };
import { rows, serve, withCertificate } from './adapter.mjs';

/** @typedef {import('pg').Client & { cancel(client: object, query: object): void }} Cancelling */

/** @type {Cancelling} */
let client;
/** @type {import('pg').ClientConfig} */
let options;
/** @type {object | undefined} */
let running;

/**
 * COPY, by the interface that packages for COPY are written to.
 * @param {string} text
 * @param {string} [input]
 */
function copy(text, input) {
  let lines = 0;
  return new Promise((resolve, reject) => {
    client.query(
      /** @type {any} */ ({
        submit: (/** @type {any} */ connection) => connection.query(text),
        handleCopyInResponse: (/** @type {any} */ connection) => {
          connection.sendCopyFromChunk(Buffer.from(input ?? ''));
          connection.endCopyFrom();
        },
        handleCopyData: (/** @type {{ chunk: Buffer }} */ { chunk }) => {
          lines += chunk.toString().split('\n').length - 1;
        },
        handleCommandComplete: () => {},
        handleReadyForQuery: () => resolve(lines),
        handleError: reject,
      }),
    );
  });
}

serve(manifest.version, {
  connect: async (string) => {
    await client?.end().catch(() => {});
    options = withCertificate(JSON.parse(string));
    client = /** @type {Cancelling} */ (new pg.Client(options));
    client.on('error', () => {});
    await client.connect();
  },
  query: async (sql) => {
    const result = await new Promise((resolve, reject) => {
      const query = /** @type {any} */ (new pg.Query(sql));
      query.callback = (/** @type {Error} */ error, /** @type {any} */ rows) =>
        error ? reject(error) : resolve(rows);
      running = query;
      client.query(query);
    });
    return Object.values(result.rows?.[0] ?? {})[0];
  },
  transaction: async (statements) => {
    await client.query('begin');
    for (const sql of statements.split(';;')) await client.query(sql);
    await client.query('commit');
  },
  'copy-in': (rest) => {
    const [table, count = ''] = rest.split(' ');
    return copy(`copy ${table} from stdin`, rows(count));
  },
  'copy-out': (sql) => copy(`copy (${sql}) to stdout`),
  cancel: () => {
    if (running !== undefined) /** @type {Cancelling} */ (new pg.Client(options)).cancel(client, running);
  },
  close: () => client.end(),
});
