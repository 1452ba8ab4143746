// An application's use of the client library from a CommonJS module: compiled by `make check`, never run.
import conmgr = require('conmgr/client');
import pg = require('pg');

const pool: pg.Pool = new conmgr.CmPool({ host: 'localhost', target_session_attrs: 'read-write' });

export async function use(): Promise<number> {
  const client = new conmgr.CmClient();
  await client.connect();
  const { rows } = await pool.query<{ n: number }>('select 1 as n');
  return rows[0]?.n ?? 0;
}

// @ts-expect-error: a class, not a function
conmgr.CmClient();
