/** Starts real PostgreSQL servers for tests: a primary, and standbys that stream from it. */
import { Server, type ServerOptions, streams } from './postgres-server.js';

export { Server, type ServerOptions, type Settings } from './postgres-server.js';

export interface StandbyOptions extends Omit<ServerOptions, 'major'> {
  /** Make the primary wait for this standby. */
  readonly synchronous?: boolean;
  /** Stream through this address (of a relay, say) and not from the primary's own. */
  readonly via?: { readonly host: string; readonly port: number };
}

/** Starts a server of its own. */
export async function startPrimary(options: ServerOptions = {}): Promise<Server> {
  const server = await Server.create(options, 'primary');
  await startOrRemove(server);
  return server;
}

/** Adds a standby to a running server and returns when it streams (synchronous: when commits wait for it). */
export async function addStandby(primary: Server, options: StandbyOptions = {}): Promise<Server> {
  const standby = await Server.create({ ...options, major: primary.version }, 'standby');
  await standby.follow(primary, options.via);
  await startOrRemove(standby);
  if (options.synchronous === true)
    await primary.configure({ synchronous_standby_names: `"${standby.name}"` });
  await streams(primary, standby, options.synchronous === true ? 'sync' : 'streaming');
  return standby;
}

/** A primary with one standby. */
export interface Pair {
  readonly primary: Server;
  readonly standby: Server;
  end(): Promise<void>;
}

export interface PairOptions extends Omit<ServerOptions, 'listen' | 'port' | 'name'> {
  readonly synchronous?: boolean;
  /** Addresses of the two, default 127.0.0.1 for both. */
  readonly listen?: readonly [primary: string, standby: string];
}

export async function startPair(options: PairOptions = {}): Promise<Pair> {
  const { synchronous = false, listen = ['127.0.0.1', '127.0.0.1'], ...rest } = options;
  const primary = await startPrimary({ ...rest, listen: listen[0] });
  try {
    const standby = await addStandby(primary, { ...rest, synchronous, listen: listen[1] });
    const end = async (): Promise<void> => {
      await Promise.all([primary.end(), standby.end()]);
    };
    return { primary, standby, end };
  } catch (error) {
    await primary.end();
    throw error;
  }
}

async function startOrRemove(server: Server): Promise<void> {
  try {
    await server.start();
  } catch (error) {
    await server.end();
    throw error;
  }
}
