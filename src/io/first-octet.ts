/** Looks at what a connection that was just accepted begins with, and leaves it there to be read. */
import type { Buffer } from 'node:buffer';
import type net from 'node:net';

/** First octet of a TLS connection (RFC 8446, 5.1: handshake). */
const TLS_HANDSHAKE = 0x16;

/** Calls back once, when the first octet is there; the connection is paused then. Never for one that says nothing. */
export function whenItSpeaks(raw: net.Socket, callback: (isTls: boolean) => void): void {
  raw.once('data', (chunk: Buffer) => {
    raw.pause();
    raw.unshift(chunk);
    callback(chunk[0] === TLS_HANDSHAKE);
  });
}
