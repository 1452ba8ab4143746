// Sequelize takes the module. It passes on few options, so the target stands in the defaults of cmDriver().

import { cmDriver } from 'conmgr/client';
import { Sequelize } from 'sequelize';

const { PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD, PGTARGETSESSIONATTRS } = process.env;
const sequelize = new Sequelize(PGDATABASE, PGUSER, PGPASSWORD, {
  dialect: 'postgres',
  dialectModule: cmDriver({ target_session_attrs: PGTARGETSESSIONATTRS }),
  host: PGHOST,
  port: PGPORT,
  logging: false,
});
const [rows] = await sequelize.query('select inet_server_port() as port, pg_is_in_recovery() as standby');
console.log(JSON.stringify(rows[0]));
await sequelize.close();
