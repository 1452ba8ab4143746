/** What a parameter's text may be and what it becomes: hosts, addresses, ranges of addresses. */

import { parseCidr, parseIp } from './address.js';
import { shown } from './problem.js';
import type { Cidr } from './types.js';
import { bad, good, type ValueType } from './value-type.js';

/** Longest host name in the DNS (RFC 1035, 2.3.4), without the final dot. */
const LONGEST_HOST_NAME = 253;
/** A label of a host name; the underscore is no letter of the DNS but common in container networks. */
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

/** A host name or an IP address, kept as written. */
export function host(): ValueType<string> {
  return {
    name: 'string',
    bounds: 'host name or IP address',
    parse: (written) => {
      const name = written.trim();
      if (name === '') return bad('emptyValue');
      if (parseIp(name) !== undefined || isHostName(name)) return good(name);
      return bad('notHost', { value: shown(name), why: whyNoHost(name) });
    },
    format: (value) => value,
  };
}

function isHostName(name: string): boolean {
  const absolute = name.endsWith('.') ? name.slice(0, -1) : name;
  // Digits and dots alone would be taken for a shortened IPv4 address by the resolver: 10.1 is 10.0.0.1.
  if (absolute.length > LONGEST_HOST_NAME || /^[0-9.]*$/.test(absolute)) return false;
  return absolute.split('.').every((label) => LABEL.test(label));
}

/** The likely mistake, in brackets; '' when it is not known. */
function whyNoHost(name: string): string {
  if (name.includes('/')) return ' (a Unix-domain socket cannot be used here)';
  if (name.startsWith('[')) return ' (write an IPv6 address without brackets)';
  if (/^[^:]+:[0-9]+$/.test(name)) return ' (the port has a parameter of its own)';
  if (name.includes(',')) return ' (each instance has its own number)';
  return '';
}

/** An IP address, kept as written. */
export function ipAddress(): ValueType<string> {
  return {
    name: 'string',
    bounds: 'IPv4 or IPv6 address',
    parse: (written) => {
      const address = written.trim();
      if (address === '') return bad('emptyValue');
      return parseIp(address) === undefined ? bad('notAddress', { value: shown(address) }) : good(address);
    },
    format: (value) => value,
  };
}

/** Where to listen: a host, or `*` for all addresses as in PostgreSQL's listen_addresses. */
export function listenAddress(): ValueType<string> {
  const hosts = host();
  return {
    ...hosts,
    bounds: 'host names, IP addresses or *',
    parse: (written) => (written.trim() === '*' ? good('*') : hosts.parse(written)),
  };
}

/** A range of IP addresses in CIDR notation. */
export function cidr(): ValueType<Cidr> {
  return {
    name: 'string',
    bounds: 'addresses and ranges such as 192.0.2.0/24',
    parse: (written) => {
      const range = parseCidr(written.trim());
      return range === undefined ? bad('notCidr', { value: shown(written.trim()) }) : good(range);
    },
    format: (value) => value.text,
  };
}
