/** What the helper can do on this host, with a line in the log for what it can not. */
import { HELPER_MESSAGES } from '../core/messages/kernel-helper.js';
import type { Log } from '../core/messages/message.js';
import type { Clock } from '../core/time.js';
import type { Native } from '../io/native.js';
import { openRouteMap, type RouteMap } from '../io/route-map.js';
import { openSocketTable, type SocketTable } from '../io/sock-diag.js';
import { Guard } from './guard.js';
import { RouteTable } from './route-table.js';
import { type Shortcoming, shortcomingOf, testGuard, testRedirect } from './self-test.js';
import type { Abilities } from './service.js';

/** How the kernel is reached; tests put in kernels that lack something. */
export interface Kernel {
  openSocketTable(): SocketTable;
  openRouteMap(namespaceCookie: bigint): RouteMap;
}

export function kernelOf(native: Native, pins: string): Kernel {
  return {
    openSocketTable: () => openSocketTable(native),
    openRouteMap: (namespaceCookie) => openRouteMap(native, pins, namespaceCookie),
  };
}

interface Tested<T> {
  readonly ability: T | undefined;
  readonly problem: string;
}

/** Tries both. Never rejects. */
export async function testAbilities(kernel: Kernel, clock: Clock, log: Log): Promise<Abilities> {
  const guard = await tryGuard(kernel, clock, log);
  const routes = tryRoutes(kernel, clock, log);
  return {
    guard: guard.ability,
    guardProblem: guard.problem,
    routes: routes.ability,
    redirectProblem: routes.problem,
  };
}

async function tryGuard(kernel: Kernel, clock: Clock, log: Log): Promise<Tested<Guard<object>>> {
  const { table, failed } = open(kernel);
  const shortcoming = table === undefined ? failed : await testGuard(table);
  if (table !== undefined && shortcoming === undefined) {
    return { ability: new Guard(table, clock, log), problem: '' };
  }
  table?.close();
  const { reason, cure } = shortcoming ?? NOTHING_KNOWN;
  log.write(HELPER_MESSAGES.guardUnavailable, { reason, cure });
  return { ability: undefined, problem: reason };
}

const NOTHING_KNOWN: Shortcoming = { reason: 'unknown', cure: 'See conmgr-messages(7).' };
const NO_NAMESPACE_COOKIE: Shortcoming = {
  reason: 'the kernel does not number network namespaces',
  cure: 'Linux 5.14 or later does (SO_NETNS_COOKIE).',
};

function open(kernel: Kernel): { table?: SocketTable; failed?: Shortcoming } {
  try {
    return { table: kernel.openSocketTable() };
  } catch (error) {
    return { failed: shortcomingOf(error, 'guard') };
  }
}

function tryRoutes(kernel: Kernel, clock: Clock, log: Log): Tested<RouteTable<object>> {
  let map: RouteMap | undefined;
  let shortcoming: Shortcoming | undefined;
  try {
    const table = kernel.openSocketTable();
    const cookie = table.namespaceCookie();
    table.close();
    if (cookie === undefined) shortcoming = NO_NAMESPACE_COOKIE;
    else {
      map = kernel.openRouteMap(cookie);
      shortcoming = testRedirect(map);
    }
  } catch (error) {
    shortcoming = shortcomingOf(error, 'redirect');
  }
  if (map !== undefined && shortcoming === undefined) {
    return { ability: new RouteTable(map, clock, log), problem: '' };
  }
  map?.close();
  const { reason, cure } = shortcoming ?? NOTHING_KNOWN;
  log.write(HELPER_MESSAGES.redirectUnavailable, { reason, cure });
  return { ability: undefined, problem: reason };
}
