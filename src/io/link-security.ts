/**
 * How heartbeat links are protected: not at all, or by TLS 1.3 with a pre-shared key (RFC 8446, 2.2), both ends of
 * which prove that they know the secret. All of it is done by the TLS of Node.js.
 */
import { constants, createHmac } from 'node:crypto';
import type net from 'node:net';
import tls from 'node:tls';

/** `secrets`: the one to connect with first; each is good enough for a peer. */
export type LinkSecurity =
  | { readonly kind: 'none' }
  | { readonly kind: 'secret'; readonly secrets: readonly [string, ...string[]] };

export const UNPROTECTED: LinkSecurity = { kind: 'none' };

/**
 * The only suite that Node.js uses with a pre-shared key: its callbacks are OpenSSL's for keys of SHA-256
 * (SSL_CTX_set_psk_server_callback(3)). The keys of a connection come from a Diffie-Hellman exchange besides, so a
 * secret that leaks later opens no recorded one. Tickets would let in who knew a secret that was withdrawn.
 */
export const SECRET_TLS = {
  ciphers: 'TLS_AES_128_GCM_SHA256',
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

/** Tells which of two secrets is meant, and nothing of it: it goes over the wire in clear. */
export function identityOf(secret: string): string {
  const mark = createHmac('sha256', secret).update('conmgr heartbeat link').digest('hex').slice(0, 16);
  return `conmgr-${mark}`;
}

/** A TLS connection over `raw`; `raw` may still be connecting. */
export function secureClient(raw: net.Socket, [secret]: readonly [string, ...string[]]): tls.TLSSocket {
  return tls.connect({
    ...SECRET_TLS,
    socket: raw,
    pskCallback: () => ({ identity: identityOf(secret), psk: Buffer.from(secret) }),
    // Asked only of a watchdog that shows a certificate instead of knowing the secret.
    checkServerIdentity: () => new Error('the watchdog does not know the secret'),
  });
}

/** Whether the handshake that is over was made with the secret, and not in any other way. */
export function isMadeWithSecret(socket: tls.TLSSocket): boolean {
  return socket.isSessionReused() && socket.getProtocol() === 'TLSv1.3';
}

/** Of a handshake that ended without a word of TLS. */
export const BROKEN_OFF =
  'watchdog broke off the TLS handshake; its log says why (does it have watchdog.secret_file?)';

/** Why the TLS handshake of a connection to a watchdog failed, and what to do. */
export function describeHandshakeFailure({ code = '', message }: NodeJS.ErrnoException): string {
  if (code === 'ECONNRESET' || code === 'EPIPE') return BROKEN_OFF;
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return 'watchdog answered in plain text; set watchdog.secret_file there, or see its log';
  }
  if (/^ERR_SSL_.*ALERT_(HANDSHAKE_FAILURE|ILLEGAL_PARAMETER|DECRYPT_ERROR)$/.test(code)) {
    return 'watchdog does not know the secret; the files of heartbeat_secret_file and watchdog.secret_file must be the same';
  }
  return `TLS handshake failed: ${withoutPlaces(message)}`;
}

/** OpenSSL's reason from a line such as `…:error:0A000417:SSL routines:ssl3_read_bytes:REASON:file.c:1605:…`. */
export function withoutPlaces(message: string): string {
  return /:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? message.trim();
}
