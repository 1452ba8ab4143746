/** The maps of the redirect programs, by their pins: routes of the listeners, and the sockets that came by them. */
import { Buffer } from 'node:buffer';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { Target } from '../core/guard/target.js';
import {
  decodeRouteKey,
  encodeRoute,
  encodeRouteKey,
  ROUTE_KEY_BYTES,
  SESSION_BYTES,
  SESSION_KEY_BYTES,
} from '../core/redirect/route.js';
import { Bpf } from './bpf.js';
import type { Native } from './native.js';
import { ROUTES, SESSIONS } from './redirect-programs.js';

/** More routes than the map has room for. */
const MOST_ROUTES = 1024;
const NS_PER_MS = 1_000_000n;

/** Routes of one network namespace. All but `close` throw when the kernel refuses. */
export interface RouteMap {
  /** Connections to `port` go to one of `targets` for the next `validMs`. */
  set(port: number, targets: readonly Target[], validMs: number): void;
  remove(port: number): void;
  /** Takes back every route of this namespace, whoever made it. */
  clear(): void;
  /** By which listener the socket with this cookie came. */
  listenerOf(cookie: bigint): number | undefined;
  close(): void;
}

/**
 * Opens the pinned maps. Throws BpfError: ENOENT when nothing is loaded, EPERM or EACCES when they are not the caller's.
 * @param namespaceCookie number of the network namespace whose listeners are routed
 */
export function openRouteMap(native: Native, pins: string, namespaceCookie: bigint): RouteMap {
  const bpf = new Bpf(native);
  const routes = bpf.openPin(join(pins, ROUTES));
  let sessions: number;
  try {
    sessions = bpf.openPin(join(pins, SESSIONS));
  } catch (error) {
    closeSync(routes);
    throw error;
  }
  const keyOf = (port: number): Buffer => encodeRouteKey(namespaceCookie, port);
  return {
    set: (port, targets, validMs) => {
      const until = process.hrtime.bigint() + BigInt(validMs) * NS_PER_MS;
      bpf.update(routes, keyOf(port), encodeRoute(port, targets, until));
    },
    remove: (port) => void bpf.delete(routes, keyOf(port)),
    clear: () => {
      for (const key of bpf.keys(routes, ROUTE_KEY_BYTES, MOST_ROUTES)) {
        if (decodeRouteKey(key).namespaceCookie === namespaceCookie) bpf.delete(routes, key);
      }
    },
    listenerOf: (cookie) => {
      const key = Buffer.alloc(SESSION_KEY_BYTES);
      key.writeBigUInt64LE(cookie);
      const value = Buffer.alloc(SESSION_BYTES);
      return bpf.lookup(sessions, key, value) ? value.readUInt32LE(0) : undefined;
    },
    close: () => {
      closeSync(routes);
      closeSync(sessions);
    },
  };
}
