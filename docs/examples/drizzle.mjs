// Drizzle takes a pool.

import { CmPool } from 'conmgr/client';
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';

const pool = new CmPool();
const db = drizzle({ client: pool });
const { rows } = await db.execute(sql`select inet_server_port() as port, pg_is_in_recovery() as standby`);
console.log(JSON.stringify(rows[0]));
await pool.end();
