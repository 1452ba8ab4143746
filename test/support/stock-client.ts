/** A driver that knows nothing of conmgr. */
import pg from 'pg';

/** Connects node-postgres as it is; its errors after the connection are kept in `lost`. */
export class StockClient extends pg.Client {
  /** Resolves with the error that ended the connection. */
  readonly lost = new Promise<Error & { code?: string }>((resolve) => this.once('error', resolve));

  constructor(config: pg.ClientConfig) {
    super(config);
    this.on('error', () => {});
  }
}

export async function stockClient(port: number, config: pg.ClientConfig = {}): Promise<StockClient> {
  const client = new StockClient({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database: 'postgres',
    ...config,
  });
  await client.connect();
  return client;
}
