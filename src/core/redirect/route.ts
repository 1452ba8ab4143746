/** What stands in the maps of the kernel: the same layouts as in bpf/redirect.bpf.c, in the byte order of the machine. */
import { Buffer } from 'node:buffer';
import { MOST_DESTINATIONS } from '../guard/request.js';
import type { Target } from '../guard/target.js';

export const ROUTE_KEY_BYTES = 16;
const DESTINATION_BYTES = 20;
const DESTINATIONS_AT = 16;
export const ROUTE_BYTES = DESTINATIONS_AT + MOST_DESTINATIONS * DESTINATION_BYTES;
export const SESSION_KEY_BYTES = 8;
export const SESSION_BYTES = 4;

/** How long a route is valid after the helper's last word. */
export const ROUTE_VALID_MS = 5000;
/** How often the helper says it again; several may be missed. */
export const ROUTE_RENEWAL_MS = 1000;

/** A listener of one network namespace. */
export function encodeRouteKey(namespaceCookie: bigint, port: number): Buffer {
  const key = Buffer.alloc(ROUTE_KEY_BYTES);
  key.writeBigUInt64LE(namespaceCookie, 0);
  key.writeUInt32LE(port, 8);
  return key;
}

/** Port and namespace of a key. */
export function decodeRouteKey(key: Buffer): { readonly namespaceCookie: bigint; readonly port: number } {
  return { namespaceCookie: key.readBigUInt64LE(0), port: key.readUInt32LE(8) };
}

/**
 * Where connections to a listener go.
 * @param validUntilNs on CLOCK_MONOTONIC
 * @param targets at most MOST_DESTINATIONS
 */
export function encodeRoute(port: number, targets: readonly Target[], validUntilNs: bigint): Buffer {
  const route = Buffer.alloc(ROUTE_BYTES);
  route.writeBigUInt64LE(validUntilNs, 0);
  route.writeUInt32LE(port, 8);
  route.writeUInt32LE(targets.length, 12);
  for (const [index, target] of targets.entries()) {
    const at = DESTINATIONS_AT + index * DESTINATION_BYTES;
    route.set(target.bytes, at);
    route.writeUInt16BE(target.port, at + 16);
  }
  return route;
}
