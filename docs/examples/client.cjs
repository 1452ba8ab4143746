// The same with CommonJS.
const { CmClient } = require('conmgr/client');

async function main() {
  const client = new CmClient({ application_name: 'example' });
  await client.connect();
  const { rows } = await client.query('select inet_server_port() as port, pg_is_in_recovery() as standby');
  console.log(JSON.stringify({ ...rows[0], instance: client.cmInstance?.instance ?? null }));
  await client.end();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
