/**
 * How heartbeat links are protected: not at all, or by TLS 1.3, in which both ends prove that they know a pre-shared key
 * (RFC 8446, 2.2) or that an authority has signed their certificate. All of it is done by the TLS of Node.js.
 */
import { constants, createHmac } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import type { Certificates } from './certificates.js';

/** `secrets`: the one to connect with first; each is good enough for a peer. */
export interface SecretSecurity {
  readonly kind: 'secret';
  readonly secrets: readonly [string, ...string[]];
}

/** conmgr's end. `ownName`: a watchdog's certificate must be made out to the host that is connected to. */
export interface CertificateSecurity {
  readonly kind: 'certificate';
  readonly certificates: Certificates;
  readonly ownName: boolean;
}

/** How conmgr connects. */
export type LinkSecurity = { readonly kind: 'none' } | SecretSecurity | CertificateSecurity;

/** What a watchdog wants of those that connect; without any secret nobody can prove one. */
export type GateSecurity =
  | { readonly kind: 'secret'; readonly secrets: readonly string[] }
  | { readonly kind: 'certificate'; readonly certificates: Certificates };

export const UNPROTECTED: LinkSecurity = { kind: 'none' };
/** Nobody can meet it: for where it is not known what would protect a link. */
export const CLOSED: GateSecurity = { kind: 'secret', secrets: [] };

/** Tickets would let in who knew a secret that was withdrawn, or had a certificate that is none any more. */
export const CERTIFICATE_TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

/**
 * The only suite that Node.js uses with a pre-shared key: its callbacks are OpenSSL's for keys of SHA-256
 * (SSL_CTX_set_psk_server_callback(3)). The keys of a connection come from a Diffie-Hellman exchange besides, so a
 * secret that leaks later opens no recorded one.
 */
export const SECRET_TLS = { ...CERTIFICATE_TLS, ciphers: 'TLS_AES_128_GCM_SHA256' } as const;

/** Tells which of two secrets is meant, and nothing of it: it goes over the wire in clear. */
export function identityOf(secret: string): string {
  const mark = createHmac('sha256', secret).update('conmgr heartbeat link').digest('hex').slice(0, 16);
  return `conmgr-${mark}`;
}

/** A TLS connection over `raw`, which may still be connecting; `host` is who should be at its end. */
export function secureClient(
  raw: net.Socket,
  security: SecretSecurity | CertificateSecurity,
  host: string,
): tls.TLSSocket {
  if (security.kind === 'secret') {
    const [secret] = security.secrets;
    return tls.connect({
      ...SECRET_TLS,
      socket: raw,
      pskCallback: () => ({ identity: identityOf(secret), psk: Buffer.from(secret) }),
      // Asked only of a watchdog that shows a certificate instead of knowing the secret.
      checkServerIdentity: () => new Error('the watchdog does not know the secret'),
    });
  }
  const { certificates, ownName } = security;
  return tls.connect({
    socket: raw,
    secureContext: contextOf(certificates),
    rejectUnauthorized: certificates.ca !== undefined,
    checkServerIdentity: (_, certificate) =>
      ownName ? tls.checkServerIdentity(host, certificate) : undefined,
    // An address is no name for SNI (RFC 6066, 3).
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
  });
}

const contexts = new WeakMap<Certificates, tls.SecureContext>();

/** Made once: a file may name all authorities of the web, and an attempt is made every second. */
function contextOf(certificates: Certificates): tls.SecureContext {
  const context = contexts.get(certificates) ?? tls.createSecureContext(contextOptions(certificates));
  contexts.set(certificates, context);
  return context;
}

/** For createSecureContext and createServer. */
export function contextOptions({ cert, key, ca, crl }: Certificates): tls.SecureContextOptions {
  return { ...CERTIFICATE_TLS, cert, key, ca, ...(crl.length === 0 ? {} : { crl: [...crl] }) };
}

/** Whether the handshake that is over was made with the secret, and not in any other way. */
export function isMadeWithSecret(socket: tls.TLSSocket): boolean {
  return socket.isSessionReused() && socket.getProtocol() === 'TLSv1.3';
}

/** Whether in the handshake that is over the peer has proven who it is, as far as that was asked for. */
export function isProven(socket: tls.TLSSocket, security: SecretSecurity | CertificateSecurity): boolean {
  if (security.kind === 'secret') return isMadeWithSecret(socket);
  const isVerified = socket.authorized || security.certificates.ca === undefined;
  return isVerified && !socket.isSessionReused() && socket.getProtocol() === 'TLSv1.3';
}
