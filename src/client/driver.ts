/**
 * The module `pg` with this library's classes in it, for ORMs and query builders that take the module and not a
 * pool: Sequelize (dialectModule), Knex (a client's _driver()), TypeORM (driver).
 */
import pg from 'pg';
import { CmClient } from './client.js';
import type { CmClientConfig, CmPoolConfig } from './options.js';
import { CmPool } from './pool.js';

/** What `import pg from 'pg'` gives, with Client and Pool replaced. */
export type CmDriver = Omit<typeof pg, 'Client' | 'Pool'> & {
  readonly Client: typeof CmClient;
  readonly Pool: typeof CmPool;
};

/** The module. `defaults` holds for every client and pool where the ORM gives nothing else. */
export function cmDriver(defaults: CmClientConfig = {}): CmDriver {
  const withDefaults = <Config extends CmClientConfig>(config: string | Config = {} as Config): Config => {
    const given: CmClientConfig = typeof config === 'string' ? { connectionString: config } : config;
    const { password } = given;
    const merged = { ...defaults, ...withoutUndefined(given) };
    return (password === undefined ? merged : { ...merged, password }) as Config;
  };
  class DriverClient extends CmClient {
    constructor(config?: string | CmClientConfig) {
      super(withDefaults(config));
    }
  }
  class DriverPool extends CmPool {
    constructor(config?: CmPoolConfig) {
      super(withDefaults(config));
    }
  }
  return { ...pg, Client: DriverClient, Pool: DriverPool };
}

function withoutUndefined(config: object): object {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}
