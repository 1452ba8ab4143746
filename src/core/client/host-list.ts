/**
 * Lists of hosts, ports and addresses, matched as libpq matches them (PostgreSQL documentation, 34.1.1.3
 * Specifying Multiple Hosts): one port serves all hosts, otherwise there is one for each.
 */
import { CLIENT_MESSAGES } from '../messages/client.js';
import type { MessageParams, MessageSpec } from '../messages/message.js';

/** One element of the list: a conmgr, a server or a pooler; which of them is found out by asking. */
export interface HostEntry {
  /** Name for TLS verification, the password file and messages; a directory for a Unix socket. */
  readonly host: string;
  readonly port: number;
  /** Address to connect to instead of resolving `host`; '' = none. */
  readonly hostaddr: string;
}

/** What stands behind the option, the connection string or the environment variable of one list. */
export type ListValue = string | number | readonly (string | number)[] | undefined;

/** A wrong option; the shell makes an error of it. */
export class OptionProblem extends Error {
  constructor(
    readonly spec: MessageSpec,
    readonly params: MessageParams = {},
  ) {
    super(spec.text);
    this.name = 'OptionProblem';
  }
}

const DEFAULT_HOST = 'localhost';
const DEFAULT_PORT = 5432;

function elements(value: ListValue): readonly string[] {
  if (value === undefined || value === '') return [];
  const parts = typeof value === 'object' ? value.map(String) : String(value).split(',');
  return parts.map((part) => part.trim());
}

/** A port number; '' is the default port. Throws OptionProblem. */
export function parsePort(text: string): number {
  if (text === '') return DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new OptionProblem(CLIENT_MESSAGES.badPort, { value: text });
  return port;
}

/** Puts the three lists together. An empty host means the default, localhost. Throws OptionProblem. */
export function matchHosts(host: ListValue, port: ListValue, hostaddr: ListValue): readonly HostEntry[] {
  const addresses = elements(hostaddr);
  const named = elements(host);
  const names = named.length > 0 ? named : addresses.length > 0 ? addresses : [''];
  if (addresses.length > 0 && addresses.length !== names.length) {
    throw new OptionProblem(CLIENT_MESSAGES.hostaddrCount, {
      hosts: names.length,
      hostaddrs: addresses.length,
    });
  }
  const ports = elements(port).map(parsePort);
  if (ports.length > 1 && ports.length !== names.length) {
    throw new OptionProblem(CLIENT_MESSAGES.portCount, { ports: ports.length, hosts: names.length });
  }
  return names.map((name, index) => ({
    host: name === '' ? DEFAULT_HOST : name,
    port: ports[ports.length === 1 ? 0 : index] ?? DEFAULT_PORT,
    hostaddr: addresses[index] ?? '',
  }));
}

/** What the connection string's authority says, and a string with a single host in its place. */
export interface SplitConnectionString {
  /** Host list as written, '' when there is none; undefined when the string is not of the URL form. */
  readonly hosts: string | undefined;
  readonly ports: string;
  /** The connection string with PLACEHOLDER_HOST instead of the list; safe for a parser of one host. */
  readonly single: string;
}

/** Stands for the list in `single`. */
export const PLACEHOLDER_HOST = 'conmgr-host-list.invalid';

/**
 * Takes the host list out of `postgres://user:password@h1:p1,[h2]:p2/database?…`. Strings of other forms that
 * pg takes ("/directory database", "socket:…") come back as they are. Throws OptionProblem.
 */
export function splitConnectionString(text: string): SplitConnectionString {
  const match = /^(postgres(?:ql)?:\/\/)([^/?#]*)(.*)$/is.exec(text);
  if (match === null) return { hosts: undefined, ports: '', single: text };
  const [, scheme = '', authority = '', rest = ''] = match;
  const at = authority.lastIndexOf('@');
  const credentials = authority.slice(0, at + 1);
  const parts = authority.slice(at + 1).split(',');
  const hosts: string[] = [];
  const ports: string[] = [];
  for (const part of parts) {
    const spec = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/s.exec(part);
    if (spec === null) {
      throw new OptionProblem(CLIENT_MESSAGES.badConnectionString, {
        why: `"${part}" is not a host with an optional port`,
      });
    }
    hosts.push(decode((spec[1] ?? '').replace(/^\[(.*)\]$/s, '$1')));
    ports.push(spec[2] ?? '');
  }
  return {
    hosts: hosts.join(','),
    ports: ports.some((port) => port !== '') ? ports.join(',') : '',
    single: `${scheme}${credentials}${PLACEHOLDER_HOST}${rest}`,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new OptionProblem(CLIENT_MESSAGES.badConnectionString, {
      why: `"${text}" has a malformed percent escape`,
    });
  }
}
