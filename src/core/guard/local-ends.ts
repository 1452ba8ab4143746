/** Local ends of connections, as conmgr-helper lists them: answer to `ends` (docs/decisions/0031-guard-redirect-and-the-helper.md). */
import { Buffer } from 'node:buffer';
import { parseIp } from '../config/address.js';
import type { TcpSocket } from './inet-diag.js';
import { formatAddress } from './target.js';

/** Connections of one answer; a watchdog keeps no more of a link either. */
export const MOST_ENDS = 65_536;

/** The end of a connection on this host. */
export interface LocalEnd {
  /** In its usual form, IPv4 as such. */
  readonly address: string;
  readonly port: number;
}

/** For each target its connections by local address: `[address, ports]`, ports as base64 of u16 each. */
type WireEnds = readonly (readonly (readonly [address: string, ports: string])[])[];

// A type and not an interface: it is part of an answer of any fields.
export type EndsAnswer = {
  readonly ends: WireEnds;
  /** Connections that found no room. */
  readonly left: number;
};

/** `sockets`: those of each target. */
export function encodeEnds(
  sockets: readonly (readonly Pick<TcpSocket, 'localAddress' | 'localPort'>[])[],
  most = MOST_ENDS,
): EndsAnswer {
  let room = most;
  let left = 0;
  const ends = sockets.map((all) => {
    const ports = new Map<string, number[]>();
    const some = all.slice(0, room);
    room -= some.length;
    left += all.length - some.length;
    // Nearly all have the address of the one before, whose text is not made again.
    let last: { readonly bytes: Uint8Array; readonly of: number[] } | undefined;
    for (const { localAddress, localPort } of some) {
      if (last === undefined || Buffer.compare(last.bytes, localAddress) !== 0) {
        const address = formatAddress(localAddress);
        const of = ports.get(address) ?? [];
        ports.set(address, of);
        last = { bytes: localAddress, of };
      }
      last.of.push(localPort);
    }
    return [...ports].map(([address, of]) => [address, encodePorts(of)] as const);
  });
  return { ends, left };
}

function encodePorts(ports: readonly number[]): string {
  const bytes = Buffer.alloc(ports.length * 2);
  for (const [at, port] of ports.entries()) bytes.writeUInt16BE(port, at * 2);
  return bytes.toString('base64');
}

/** Reads `ends` of an answer about `count` targets; undefined for anything else than such a list. */
export function decodeEnds(value: unknown, count: number): LocalEnd[][] | undefined {
  if (!Array.isArray(value) || value.length !== count) return undefined;
  const lists: LocalEnd[][] = [];
  for (const rows of value as unknown[]) {
    if (!Array.isArray(rows)) return undefined;
    const list: LocalEnd[] = [];
    for (const row of rows as unknown[]) {
      const [address, ports] = Array.isArray(row) ? (row as unknown[]) : [];
      if (typeof address !== 'string' || typeof ports !== 'string') return undefined;
      if (parseIp(address) === undefined) return undefined;
      const bytes = Buffer.from(ports, 'base64');
      for (let at = 0; at + 2 <= bytes.length; at += 2) list.push({ address, port: bytes.readUInt16BE(at) });
    }
    lists.push(list);
  }
  return lists;
}
