// Two pools, one for writing and one for reading, and a unit of work that survives a failover.
import { CmPool } from 'conmgr/client';

const writer = new CmPool({ target_session_attrs: 'read-write', connectionTimeoutMillis: 5000 });
const reader = new CmPool({ target_session_attrs: 'prefer-standby', connectionTimeoutMillis: 5000 });

/** SQLSTATEs after which another attempt makes sense: the session was lost (08), or no server takes it now (57P). */
const again = (error) => /^(08|57P)/.test(error.code ?? '');

async function inTransaction(pool, work, attempts = 10) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const client = await pool.connect();
      try {
        await client.query('begin');
        const result = await work(client);
        await client.query('commit');
        client.release();
        return result;
      } catch (error) {
        // Not back into the pool: its state is unknown.
        client.release(error);
        throw error;
      }
    } catch (error) {
      // A commit that was under way when the session was lost may have happened: make the work idempotent.
      if (attempt === attempts || !again(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100 * attempt));
    }
  }
}

const where = (client) => client.query('select inet_server_port() as port').then(({ rows }) => rows[0].port);
console.log(
  JSON.stringify({ writer: await inTransaction(writer, where), reader: await inTransaction(reader, where) }),
);
await Promise.all([writer.end(), reader.end()]);
