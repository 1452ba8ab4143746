// Knex has a pool of its own and makes the clients itself: give it the module with this library's Client.

import { cmDriver } from 'conmgr/client';
import knex from 'knex';
import PostgresDialect from 'knex/lib/dialects/postgres/index.js';

class ConmgrDialect extends PostgresDialect {
  _driver() {
    return cmDriver();
  }
}

const db = knex({ client: ConmgrDialect, connection: {} });
const row = await db.first(db.raw('inet_server_port() as port, pg_is_in_recovery() as standby'));
console.log(JSON.stringify(row));
await db.destroy();
