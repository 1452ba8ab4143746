/**
 * What this host allows, found out by doing it: a loopback connection of the helper's own is ended, and a route of a
 * port that nobody listens on is written and taken back.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { STATES_WITH_PEER } from '../core/guard/inet-diag.js';
import { familiesOf, socketsToEnd } from '../core/guard/match.js';
import { parseTarget } from '../core/guard/target.js';
import type { RouteMap } from '../io/route-map.js';
import type { SocketTable } from '../io/sock-diag.js';

/** Why something cannot be done, and what to do about it. */
export interface Shortcoming {
  readonly reason: string;
  readonly cure: string;
}

/** A socket that was ended is told so at once; a machine that is busy gets this long. */
const TOLD_WITHIN_MS = 2000;
/** tcpmux: a route that is taken back at once harms nobody there. */
const TEST_PORT = 1;

/** By the name of the system's error. */
const GUARD_CURES: Readonly<Record<string, string>> = {
  EPERM:
    'The helper needs CAP_NET_ADMIN: start it by conmgr-helper.service, or give the container --cap-add NET_ADMIN.',
  // EOPNOTSUPP has two names.
  ENOTSUP:
    'The kernel was built without CONFIG_INET_DIAG_DESTROY: a newer kernel of the distribution may have it.',
  ENOENT: 'The kernel lacks its module tcp_diag: modprobe tcp_diag, or install the package that has it.',
  EPROTONOSUPPORT: 'The kernel lacks sock_diag: it was built without CONFIG_INET_DIAG, or a filter hides it.',
};
const REDIRECT_CURES: Readonly<Record<string, string>> = {
  ENOENT: 'Start the unit that loads the programs: systemctl start conmgr-redirect',
  EPERM:
    'The helper lacks CAP_BPF, which kernels before 5.19 and the system call filters of containers ask for: systemctl edit conmgr-helper, lines "[Service]", "AmbientCapabilities=CAP_NET_ADMIN CAP_BPF" and "CapabilityBoundingSet=CAP_NET_ADMIN CAP_BPF"; or give the container --cap-add BPF.',
  ENOSYS: 'The kernel has no bpf(2): it was built without CONFIG_BPF_SYSCALL, or a filter hides it.',
  EACCES: 'The pins belong to somebody else: systemctl restart conmgr-redirect conmgr-helper',
};

/** The shortcoming behind an error of the system. */
export function shortcomingOf(error: unknown, cures: 'guard' | 'redirect'): Shortcoming {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const table = cures === 'guard' ? GUARD_CURES : REDIRECT_CURES;
  return { reason: message, cure: table[code] ?? 'See conmgr-messages(7).' };
}

/** Ends a connection of this process to itself; undefined: it works. Never rejects. */
export async function testGuard(table: SocketTable): Promise<Shortcoming | undefined> {
  const server = createServer((socket) => socket.on('error', () => {}));
  let client: Socket | undefined;
  try {
    const port = await listenOnLoopback(server);
    client = connect({ host: '127.0.0.1', port });
    const aborted = untilAborted(client);
    await new Promise<void>((resolve, reject) => {
      client?.once('connect', resolve);
      client?.once('error', reject);
    });
    const target = parseTarget('127.0.0.1', port);
    if (target === undefined) throw new Error('no port');
    const sockets = familiesOf(target).flatMap((family) => table.list(family, STATES_WITH_PEER, target));
    const own = socketsToEnd(sockets, target, new Set());
    if (own.length !== 1 || table.end(own) !== 1) {
      return {
        reason: `a connection of the helper itself was found ${own.length} times`,
        cure: 'See conmgr-messages(7).',
      };
    }
    const told = await aborted;
    return told === 'ECONNABORTED'
      ? undefined
      : { reason: `a connection that was ended reported ${told}`, cure: 'See conmgr-messages(7).' };
  } catch (error) {
    return shortcomingOf(error, 'guard');
  } finally {
    client?.destroy();
    server.close();
  }
}

/** Writes a route and takes it back; undefined: it works. */
export function testRedirect(map: RouteMap): Shortcoming | undefined {
  try {
    map.clear();
    map.set(TEST_PORT, [], 0);
    map.remove(TEST_PORT);
    map.listenerOf(0n);
    return undefined;
  } catch (error) {
    return shortcomingOf(error, 'redirect');
  }
}

function listenOnLoopback(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** The code the connection ended with. */
function untilAborted(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('nothing'), TOLD_WITHIN_MS);
    const finish = (told: string): void => {
      clearTimeout(timer);
      resolve(told);
    };
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.once('close', () => finish('no error'));
  });
}
