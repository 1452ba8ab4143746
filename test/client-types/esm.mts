// An application's use of the client library from an ES module: compiled by `make check`, never run.
import {
  CmClient,
  type CmClientConfig,
  CmError,
  type CmInstance,
  CmPool,
  type CmStatus,
  cmDriver,
  cmSocket,
  cmStream,
} from 'conmgr/client';
import pg from 'pg';
import postgres from 'postgres';

const config: CmClientConfig = {
  host: ['localhost', 'db2.example.com'],
  port: [27546, '5432'],
  target_session_attrs: 'prefer-standby',
  user: 'app',
};

// Wherever pg's classes are asked for, this library's serve.
const client: pg.Client = new CmClient(config);
const pool: pg.Pool = new CmPool({ ...config, max: 10 });
export const driver: { Pool: new (config?: object) => pg.Pool } = cmDriver(config);
export const kept = new pg.Client({ stream: cmStream(config) });
// postgres.js reads the option `socket`, which its declarations leave out.
export const sql = postgres({ socket: cmSocket({ target_session_attrs: 'primary' }) } as object);

export async function use(): Promise<string> {
  const own = await new CmClient('postgres://app@localhost:27546/shop').connect();
  const status: CmStatus = own.status;
  const instance: CmInstance | undefined = own.cmInstance;
  await client.connect();
  try {
    const { rows } = await pool.query<{ n: number }>('select 1 as n');
    return `${status} ${instance?.host} ${rows[0]?.n}`;
  } catch (error) {
    if (error instanceof CmError && error.code === '08006') return `${error.conmgr?.reason}`;
    throw error;
  }
}

// @ts-expect-error: no such target
export const wrong = new CmClient({ target_session_attrs: 'nearest' });
