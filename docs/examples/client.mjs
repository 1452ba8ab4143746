// One session with CmClient. Where to connect comes from the environment (PGHOST, PGPORT, PGTARGETSESSIONATTRS …)
// or from options of the same meaning.
import { CmClient } from 'conmgr/client';

const client = new CmClient({ application_name: 'example' });
client.on('error', (error) => {
  // A lost session ends here: code 08006, and why in error.conmgr. Connect again with a new client.
  console.error('session lost:', error.code, error.conmgr);
});
await client.connect();
const { rows } = await client.query('select inet_server_port() as port, pg_is_in_recovery() as standby');
console.log(JSON.stringify({ ...rows[0], instance: client.cmInstance?.instance ?? null }));
await client.end();
