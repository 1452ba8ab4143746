/**
 * IP addresses as values: parsing, one canonical text for each, ranges.
 *
 * A server that listens on an IPv6 socket sees IPv4 clients as ::ffff:192.0.2.1 while PostgreSQL shows them
 * as 192.0.2.1; both are the same client. So everything that compares addresses goes through here.
 */

import type { Cidr } from './types.js';

/** An address, v4-mapped IPv6 kept as written (16 bytes). */
export interface IpAddress {
  readonly family: 4 | 6;
  /** 4 or 16 bytes in network order. */
  readonly bytes: Uint8Array;
  /** The zone after `%` (RFC 4007), e.g. `eth0`; IPv6 only. */
  readonly scope: string | undefined;
}

const OCTET = /^(?:0|[1-9][0-9]{0,2})$/;
const GROUP = /^[0-9a-fA-F]{1,4}$/;
const SCOPE = /^[0-9A-Za-z_.:-]{1,64}$/;
/** The longest text of an IPv6 address without zone (eight groups, the last two as IPv4). */
const LONGEST_IPV6 = 'ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255'.length;

/** Reads an IPv4 or IPv6 address as inet_pton(3) does, plus a zone; undefined for anything else. */
export function parseIp(text: string): IpAddress | undefined {
  const percent = text.indexOf('%');
  if (percent === -1) {
    const bytes = parseIpv4(text);
    if (bytes !== undefined) return { family: 4, bytes, scope: undefined };
  }
  const scope = percent === -1 ? undefined : text.slice(percent + 1);
  if (scope !== undefined && !SCOPE.test(scope)) return undefined;
  const bytes = parseIpv6(percent === -1 ? text : text.slice(0, percent));
  return bytes === undefined ? undefined : { family: 6, bytes, scope };
}

function parseIpv4(text: string): Uint8Array | undefined {
  if (text.length > 15) return undefined;
  const octets = text.split('.');
  if (octets.length !== 4 || !octets.every((octet) => OCTET.test(octet) && Number(octet) <= 255)) {
    return undefined;
  }
  return Uint8Array.from(octets, Number);
}

function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length > LONGEST_IPV6) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupBytes(halves[0] ?? '', halves.length === 1);
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 16 ? Uint8Array.from(head) : undefined;
  const tail = groupBytes(halves[1] ?? '', true);
  // `::` stands for at least one group.
  if (tail === undefined || head.length + tail.length > 14) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** Bytes of colon-separated groups; the last may be a dotted IPv4 address where `ipv4Last` allows it. */
function groupBytes(text: string, ipv4Last: boolean): number[] | undefined {
  if (text === '') return [];
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (GROUP.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const ipv4 = ipv4Last && index === groups.length - 1 ? parseIpv4(group) : undefined;
    if (ipv4 === undefined) return undefined;
    bytes.push(...ipv4);
  }
  return bytes;
}

/** The IPv4 address inside ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), any other address unchanged. */
export function unmapIp(address: IpAddress): IpAddress {
  if (!isMapped(address)) return address;
  return { family: 4, bytes: address.bytes.slice(12), scope: undefined };
}

function isMapped({ family, bytes }: { family: 4 | 6; bytes: Uint8Array }): boolean {
  return family === 6 && bytes.every((byte, index) => index >= 12 || byte === (index < 10 ? 0 : 0xff));
}

/** Text of an address as RFC 5952 wants it: lower case, no leading zeros, the longest run of zeros as `::`. */
export function formatIp({ family, bytes, scope }: IpAddress): string {
  if (family === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const run = longestZeroRun(groups);
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  const text =
    run.length < 2
      ? hex(groups)
      : `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
  return scope === undefined ? text : `${text}%${scope}`;
}

/** First of the longest runs of zero groups. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

/**
 * One text for each address: v4-mapped IPv6 becomes IPv4, IPv6 its RFC 5952 text with the zone kept. Texts
 * that are no address come back unchanged, so that host names may pass through.
 */
export function normaliseIp(text: string): string {
  const address = parseIp(text);
  return address === undefined ? text : formatIp(unmapIp(address));
}

/**
 * Reads `address` or `address/prefix`. Bits past the prefix are dropped, as pg_hba.conf does; a range of
 * v4-mapped addresses becomes the IPv4 range. undefined for anything else, zones included.
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = parseIp(slash === -1 ? text : text.slice(0, slash));
  if (address === undefined || address.scope !== undefined) return undefined;
  const width = address.bytes.length * 8;
  const prefixText = slash === -1 ? String(width) : text.slice(slash + 1);
  if (!OCTET.test(prefixText) || Number(prefixText) > width) return undefined;
  let prefix = Number(prefixText);
  let range = address;
  if (prefix >= 96 && isMapped(address)) {
    range = unmapIp(address);
    prefix -= 96;
  }
  const bytes = range.bytes.map((byte, index) => byte & maskByte(prefix, index));
  const canonical = formatIp({ family: range.family, bytes, scope: undefined });
  return { text: `${canonical}/${prefix}`, family: range.family, bytes, prefix };
}

/** The byte of a netmask at `index` (0 = first). */
function maskByte(prefix: number, index: number): number {
  const bits = Math.max(0, Math.min(8, prefix - 8 * index));
  return (0xff << (8 - bits)) & 0xff;
}

/** Whether `address` lies in `range`; v4-mapped addresses count as IPv4. */
export function cidrContains(range: Cidr, address: IpAddress): boolean {
  const { family, bytes } = unmapIp(address);
  if (family !== range.family) return false;
  return bytes.every((byte, index) => (byte & maskByte(range.prefix, index)) === range.bytes[index]);
}
