/** CmPool: pg's Pool of CmClients, which outlives a failover: nothing that a lost server causes ends the process. */
import pg from 'pg';
import { CmClient } from './client.js';
import { type CmPoolConfig, resolveOptions } from './options.js';

function ignore(): void {}

/**
 * Events besides those of pg's Pool: `cmLost` (error, client) when an idle client was removed because its
 * session ended. pg would emit `error` for that, which its documentation lets applications exit on.
 */
export class CmPool extends pg.Pool {
  /** Throws CmError with SQLSTATE 22023 when an option is wrong. */
  constructor(config: CmPoolConfig = {}) {
    // Every client reads the options anew; a mistake is to show here and not at the first query.
    resolveOptions(config);
    super(withOwnClient(config));
    this.on('error', ignore);
    // pg takes its own listener off a client that is checked out, and an application often has none.
    this.on('connect', (client) => client.on('error', ignore));
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const [error] = args;
    if (event === 'error' && error instanceof Error && 'conmgr' in error && error.conmgr !== undefined) {
      return super.emit('cmLost', ...args);
    }
    return super.emit(event, ...args);
  }
}

/** A copy would lose the password of another pool's options, which is not enumerable. */
function withOwnClient(config: CmPoolConfig): pg.PoolConfig {
  const { password } = config;
  return { Client: CmClient, ...config, ...(password === undefined ? {} : { password }) } as pg.PoolConfig;
}
