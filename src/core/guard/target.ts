/** An instance as the kernel knows it: address and port of the postmaster. */
import { formatIp, parseIp, unmapIp } from '../config/address.js';

/** The remote end of the connections to one instance. */
export interface Target {
  /** 16 bytes in network order; IPv4 as ::ffff:a.b.c.d, so that one form stands for both kinds of socket. */
  readonly bytes: Uint8Array;
  readonly port: number;
}

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** 4 or 16 bytes of an address as 16. */
export function sixteenBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 16) return bytes;
  const mapped = new Uint8Array(16);
  mapped.set(MAPPED_PREFIX);
  mapped.set(bytes, MAPPED_PREFIX.length);
  return mapped;
}

/** Whether 16 bytes stand for an IPv4 address. */
export function isIpv4(bytes: Uint8Array): boolean {
  return MAPPED_PREFIX.every((byte, index) => bytes[index] === byte);
}

/** Whether nothing can be connected to it: 0.0.0.0 and ::. */
function isUnspecified(bytes: Uint8Array): boolean {
  return bytes.every((byte, index) => byte === 0 || (isIpv4(bytes) && index < 12));
}

/**
 * Reads an address and a port. undefined for what is no address, for one with a zone (fe80::1%eth0: it says nothing
 * without the interface), for the unspecified address and for ports outside 1 to 65535.
 */
export function parseTarget(address: unknown, port: unknown): Target | undefined {
  if (typeof address !== 'string' || !isPort(port)) return undefined;
  const ip = parseIp(address);
  if (ip === undefined || ip.scope !== undefined) return undefined;
  const bytes = sixteenBytes(ip.bytes);
  return isUnspecified(bytes) ? undefined : { bytes, port };
}

export function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535;
}

/** The address in its usual form. */
export function formatAddress(bytes: Uint8Array): string {
  return formatIp(unmapIp({ family: 6, bytes, scope: undefined }));
}

/** `192.0.2.10:27500`, `[2001:db8::1]:27500`; the same text for the same target. */
export function formatTarget({ bytes, port }: Target): string {
  const address = formatAddress(bytes);
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export function sameTarget(one: Target, other: Target): boolean {
  return one.port === other.port && one.bytes.every((byte, index) => byte === other.bytes[index]);
}
