// postgres.js: the helper for its option `socket`. postgres.js gets one host; a list is given to cmSocket().

import { cmSocket } from 'conmgr/client';
import postgres from 'postgres';

const sql = postgres({ socket: cmSocket({ target_session_attrs: process.env.PGTARGETSESSIONATTRS }) });
const [row] = await sql`select inet_server_port() as port, pg_is_in_recovery() as standby`;
console.log(JSON.stringify(row));
await sql.end();
