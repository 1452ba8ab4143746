/** Sessions through conmgr: CmPool of the built client library, used as any application uses it. */
import type * as Client from '../src/client/index.js';
import { built } from '../test/support/programs.js';
import type { Session, SessionSource } from './writer.js';

export interface PoolOptions {
  /** Port on which conmgr listens. */
  readonly port: number;
  readonly target: 'read-write' | 'prefer-standby';
  /** Shown by cm_ctl status and by pg_stat_activity. */
  readonly application: string;
  /** Uses after which a session is made anew; for ever if left out. */
  readonly maxUses?: number;
  /** Name of the server on a port. */
  readonly serverOn: (port: number) => string;
}

/** A pool of one session for an application that asks conmgr at localhost. */
export async function openPool(options: PoolOptions): Promise<SessionSource> {
  const { CmPool } = (await import(built('client/index.mjs'))) as typeof Client;
  const { port, target, application, maxUses, serverOn } = options;
  const pool = new CmPool({
    host: 'localhost',
    port,
    target_session_attrs: target,
    conmgr: 'require',
    user: 'postgres',
    database: 'postgres',
    application_name: application,
    max: 1,
    ...(maxUses === undefined ? {} : { maxUses }),
  });
  return {
    open: async (): Promise<Session> => {
      const client = await pool.connect();
      const { port: serverPort } = client as unknown as Client.CmClient;
      return {
        server: serverOn(serverPort),
        query: (text, values) => client.query(text, [...values]),
        release: (error) => client.release(error),
      };
    },
    onIdleLoss: (listener) => pool.on('cmLost' as 'error', listener),
  };
}

/** Why a session through conmgr ended, in conmgr's words. */
export function reasonOf(error: Error): string {
  return (error as Client.CmError).conmgr?.reason ?? error.message;
}
