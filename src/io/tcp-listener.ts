/**
 * Listens on a list of addresses as PostgreSQL understands listen_addresses (PostgreSQL documentation,
 * "Connection Settings"): host names, addresses, `*` for all, and `localhost` for the two loopback constants.
 *
 * At its descriptor limit Node accepts connections and closes them silently, without an error. Whoever listens
 * counts its connections and keeps its own cap below the limit.
 */
import { lookup } from 'node:dns/promises';
import { closeSync, fstatSync } from 'node:fs';
import net from 'node:net';
import { descriptorOf } from './socket-handle.js';
import { describeSocketError } from './tcp-frames.js';

/**
 * From so many octets on that wait for a peer, write() says false. What Node.js 18 and 20 take by themselves; later
 * releases take 64 KiB.
 */
export const UNSENT_BYTES: number = 16 * 1024;

/** An address on which it could not listen, and why. */
export interface ListenFailure {
  readonly address: string;
  /** As in errno(3), e.g. EADDRINUSE. */
  readonly code: string;
  readonly text: string;
}

/** Nothing is listened on; `failures` has one entry for each address that failed. */
export class ListenError extends Error {
  readonly port: number;
  readonly failures: readonly ListenFailure[];

  constructor(port: number, failures: readonly ListenFailure[]) {
    const reasons = failures.map(({ address, text }) => `${address}: ${text}`).join('; ');
    super(`could not listen on port ${port}: ${reasons === '' ? 'no address given' : reasons}`);
    this.name = 'ListenError';
    this.port = port;
    this.failures = failures;
  }

  /** Another process has the port on one of the addresses. */
  get inUse(): boolean {
    return this.failures.some(({ code }) => code === 'EADDRINUSE');
  }
}

/** One of them. */
export interface ListeningSocket {
  readonly address: string;
  readonly fd: number;
}

/** Listening sockets of one port. */
export interface Listener {
  /** The addresses that are bound, in the order asked for. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** The listening sockets by their addresses as the system writes them; they stay this process's. */
  readonly sockets: readonly ListeningSocket[];
  /** Addresses that this host does not have (a family that is switched off, an address that moved away). */
  readonly missing: readonly ListenFailure[];
  /** Stops listening; connections that were accepted are not touched. */
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly addresses: readonly string[];
  /** 0 lets the kernel choose for the first address; the others take the same. */
  readonly port: number;
  onConnection(socket: net.Socket): void;
  readonly backlog?: number;
  /** Descriptors of sockets that listen already, this function's from now on: those of the wanted addresses are used,
   *  the others closed before anything is bound. */
  readonly inherited?: readonly number[];
}

/** As listen(2) is called by Node.js. */
const DEFAULT_BACKLOG = 511;

/** What an address of the list stands for. */
const EXPANSIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ['localhost', ['127.0.0.1', '::1']],
  ['*', ['0.0.0.0', '::']],
]);

/** An address that is simply not there does not keep the others from being used; anything else does. */
const ABSENT: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'ENOTFOUND', 'EAI_AGAIN']);

/**
 * Listens on every address of the list. Rejects with ListenError, having closed what it opened, when an address
 * is in use or not permitted, or when none is there.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const servers: net.Server[] = [];
  const bound: string[] = [];
  const missing: ListenFailure[] = [];
  const blocked: ListenFailure[] = [];
  let port = options.port;
  const addresses = await expand(options.addresses, missing);
  const inherited = adopt(addresses, options);
  for (const address of addresses) {
    try {
      const server = inherited.get(canonical(address)) ?? (await bind(address, port, options));
      servers.push(server);
      bound.push(address);
      port = (server.address() as net.AddressInfo).port;
    } catch (error) {
      const failure = failureOf(address, error as NodeJS.ErrnoException);
      (ABSENT.has(failure.code) ? missing : blocked).push(failure);
    }
  }
  const listener = listenerOn(servers, bound, port, missing);
  if (blocked.length > 0 || bound.length === 0) {
    await listener.close();
    throw new ListenError(options.port, [...blocked, ...missing]);
  }
  return listener;
}

/**
 * Goes on with sockets of this port that listen already, this function's from now on, and with no other: nothing is
 * resolved and nothing bound. One that does not listen is closed.
 */
export function listenAgain({
  port,
  inherited,
  backlog,
  onConnection,
}: Required<Omit<ListenOptions, 'addresses'>>): Listener {
  const servers = inherited.flatMap((fd) => adoptListener(fd, backlog, onConnection) ?? []);
  const addresses = servers.map((server) => (server.address() as net.AddressInfo).address);
  return listenerOn(servers, addresses, port, []);
}

function listenerOn(
  servers: readonly net.Server[],
  addresses: readonly string[],
  port: number,
  missing: readonly ListenFailure[],
): Listener {
  return {
    addresses,
    port,
    missing,
    close: async () => {
      await Promise.all(servers.map((server) => new Promise<void>((done) => void closeNow(server, done))));
    },
    get sockets() {
      return servers.flatMap((server) => {
        const fd = descriptorOf(server);
        const place = server.address() as net.AddressInfo | null;
        return fd === undefined || place === null ? [] : [{ address: place.address, fd }];
      });
    },
  };
}

/**
 * Whether it could be listened on these addresses: does so for a moment, except where a socket is held already, whose
 * address it is asked for as the system writes it. Rejects with ListenError when one is in use or not permitted.
 */
export async function tryListening(
  { addresses, port }: Pick<ListenOptions, 'addresses' | 'port'>,
  isHeld: (address: string) => boolean,
): Promise<void> {
  const blocked: ListenFailure[] = [];
  for (const address of await expand(addresses, [])) {
    if (isHeld(canonical(address))) continue;
    try {
      const server = await bind(address, port, {
        addresses,
        port,
        onConnection: (socket) => socket.destroy(),
      });
      await new Promise<void>((done) => void closeNow(server, done));
    } catch (error) {
      const failure = failureOf(address, error as NodeJS.ErrnoException);
      if (!ABSENT.has(failure.code)) blocked.push(failure);
    }
  }
  if (blocked.length > 0) throw new ListenError(port, blocked);
}

/** The sockets that listen already, by address. */
function adopt(
  addresses: ReadonlySet<string>,
  { inherited = [], port, backlog, onConnection }: ListenOptions,
): ReadonlyMap<string, net.Server> {
  const wanted = new Set([...addresses].map(canonical));
  const servers = new Map<string, net.Server>();
  for (const fd of inherited) {
    const server = adoptListener(fd, backlog ?? DEFAULT_BACKLOG, onConnection);
    const place = server?.address() as net.AddressInfo | null | undefined;
    if (server === undefined || place == null) continue;
    const isWanted = place.port === port && wanted.has(place.address) && !servers.has(place.address);
    if (isWanted) servers.set(place.address, server);
    else server.close();
  }
  return servers;
}

/** As the system writes it: `0:0::1` is `::1`. */
function canonical(address: string): string {
  const family = net.isIPv6(address) ? 'ipv6' : 'ipv4';
  try {
    return new net.SocketAddress({ address, family }).address;
  } catch {
    // One with a scope (fe80::1%eth0).
    return address;
  }
}

/** A server on a socket that listens already, which it owns from now on. Undefined: it is none, and has been closed. */
export function adoptListener(
  fd: number,
  backlog: number,
  onConnection: (socket: net.Socket) => void,
): net.Server | undefined {
  const before = identityOf(fd);
  const server = net.createServer({ highWaterMark: UNSENT_BYTES }, onConnection);
  // An accept that fails must not end the process, and what cannot be listened on is seen at once.
  server.on('error', () => {});
  // With a descriptor Node.js takes the backlog as an argument only.
  (server.listen as (options: net.ListenOptions & { fd: number }, backlog: number) => net.Server).call(
    server,
    { fd },
    backlog,
  );
  if (server.listening) return server;
  // Node.js closes what listen(2) refused, but leaves open what it did not get that far with.
  if (before !== undefined && identityOf(fd) === before) closeSync(fd);
  return undefined;
}

/** Which file a descriptor is open on; undefined: none. */
function identityOf(fd: number): string | undefined {
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}

/** `close` calls back only when the last connection has ended; the listening socket is gone at once. */
function closeNow(server: net.Server, done: () => void): void {
  server.close();
  setImmediate(done);
}

/** Addresses for the words of a list, each once; names that do not resolve are put into `missing`. */
async function expand(words: readonly string[], missing: ListenFailure[]): Promise<Set<string>> {
  const addresses = new Set<string>();
  for (const word of words) {
    for (const address of await meaningOf(word, missing)) addresses.add(address);
  }
  return addresses;
}

async function meaningOf(word: string, missing: ListenFailure[]): Promise<readonly string[]> {
  const known = EXPANSIONS.get(word.toLowerCase());
  if (known !== undefined) return known;
  if (net.isIP(word) !== 0) return [word];
  try {
    return (await lookup(word, { all: true })).map(({ address }) => address);
  } catch (error) {
    missing.push(failureOf(word, error as NodeJS.ErrnoException));
    return [];
  }
}

function bind(host: string, port: number, options: ListenOptions): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ highWaterMark: UNSENT_BYTES }, (socket) =>
      options.onConnection(socket),
    );
    server.once('error', reject);
    server.listen(
      // As PostgreSQL (src/backend/libpq/pqcomm.c, IPV6_V6ONLY): so `::` and `0.0.0.0` can both be bound.
      { host, port, ipv6Only: true, exclusive: true, backlog: options.backlog ?? DEFAULT_BACKLOG },
      () => {
        server.off('error', reject);
        // An accept that fails (no descriptor, connection gone already) must not end the process.
        server.on('error', () => {});
        resolve(server);
      },
    );
  });
}

function failureOf(address: string, error: NodeJS.ErrnoException): ListenFailure {
  return { address, code: error.code ?? '', text: describeSocketError(error) };
}
