/** SQL sessions from chosen addresses: the driver has no option for the local address, but takes a socket. */
import net from 'node:net';
import pg from 'pg';
import type { Server } from './postgres.js';

/** A session and how it ended. */
export interface AddressedSession {
  readonly client: pg.Client;
  readonly pid: number;
  /** Resolves when the session is gone, with the SQLSTATE the server gave, if any. */
  readonly ended: Promise<string | undefined>;
}

/** Opens a session from a loopback address such as 127.0.0.2. */
export async function sessionFrom(
  server: Server,
  localAddress: string,
  options: pg.ClientConfig = {},
): Promise<AddressedSession> {
  // The driver calls connect(port, host) on the socket that it is given.
  class Addressed extends net.Socket {
    // biome-ignore lint/suspicious/noExplicitAny: overloads of net.Socket
    override connect(...[port, host]: any[]): this {
      return super.connect({ port, host, localAddress });
    }
  }
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: 'postgres',
    database: 'postgres',
    ...options,
    stream: () => new Addressed(),
  });
  let state: string | undefined;
  client.on('error', (error: Error & { code?: string }) => {
    state ??= error.code;
  });
  const ended = new Promise<string | undefined>((resolve) => client.on('end', () => resolve(state)));
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return { client, pid: rows[0]?.pid ?? 0, ended };
}

/** Whether a backend is still there. */
export async function isThere(server: Server, pid: number): Promise<boolean> {
  return (await server.sql('select from pg_stat_activity where pid = $1', [pid])).length > 0;
}
