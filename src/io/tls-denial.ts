/** Turns away a peer that may not connect where others speak TLS, in the language that it speaks itself. */
import { Buffer } from 'node:buffer';
import type net from 'node:net';
import { whenItSpeaks } from './first-octet.js';

/**
 * The fatal alert access_denied in clear (RFC 8446, 6.2 and 5.1): the answer to a ClientHello of a peer that needs no
 * handshake, as its address alone keeps it out.
 */
const ACCESS_DENIED = Buffer.from([21, 3, 3, 0, 2, 2, 49]);
/** From accept to the end. */
const LIMIT_MS = 3000;

/** What became of the connection. */
export interface Denial {
  /** The peer speaks without TLS. The connection is open and paused, what it said can be read from it; nothing follows. */
  plain(): void;
  /** It was answered, and closes when it has read that. */
  denied(): void;
  /** The connection is gone. */
  closed(): void;
}

/** Waits for what the peer says first, `raw` being just accepted, and answers. */
export function denyAccess(raw: net.Socket, denial: Denial): void {
  const timer = setTimeout(() => raw.destroy(), LIMIT_MS);
  let isOver = false;
  raw.on('error', () => {});
  raw.once('close', () => {
    clearTimeout(timer);
    if (!isOver) denial.closed();
  });
  whenItSpeaks(raw, (isTls) => {
    if (!isTls) {
      isOver = true;
      clearTimeout(timer);
      denial.plain();
      return;
    }
    denial.denied();
    raw.end(ACCESS_DENIED);
    // Unread octets would turn the end into a reset, which could overtake the alert.
    raw.resume();
  });
}
