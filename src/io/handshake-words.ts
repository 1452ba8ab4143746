/** Why a TLS handshake of a heartbeat link failed, for people at each end. */
import type { PeerCertificate } from 'node:tls';
import { shown } from '../core/config/problem.js';
import type { LinkSecurity } from './link-security.js';

type Protected = Exclude<LinkSecurity['kind'], 'none'>;

/** What to set at the watchdog. */
const PARAMETER: Readonly<Record<Protected, string>> = {
  secret: 'watchdog.secret_file',
  certificate: 'watchdog.ssl',
};

/** Of a handshake that ended without a word of TLS. */
export function brokenOff(kind: Protected): string {
  return `watchdog broke off the TLS handshake; its log says why (does it have ${PARAMETER[kind]}?)`;
}

/** Why the TLS handshake of a connection to a watchdog failed, and what to do. `host`: who should be there. */
export function describeHandshakeFailure(
  error: NodeJS.ErrnoException & { readonly cert?: PeerCertificate },
  kind: Protected,
  host: string,
): string {
  const { code = '', message } = error;
  if (code === 'ECONNRESET' || code === 'EPIPE') return brokenOff(kind);
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return `watchdog answered in plain text; set ${PARAMETER[kind]} there, or see its log`;
  }
  if (/ALERT_ACCESS_DENIED$/.test(code)) return 'refused: this host is not in watchdog.allowed_clients';
  if (/ALERT_PROTOCOL_VERSION$|UNSUPPORTED_PROTOCOL$/.test(code)) return 'watchdog does not speak TLS 1.3';
  if (kind === 'secret') {
    if (/^ERR_SSL_.*ALERT_(HANDSHAKE_FAILURE|ILLEGAL_PARAMETER|DECRYPT_ERROR)$/.test(code)) {
      return 'watchdog does not know the secret; the files of heartbeat_secret_file and watchdog.secret_file must be the same';
    }
    if (code in PREDICATES || error.cert !== undefined) {
      return 'watchdog shows a certificate and does not know the secret; with watchdog.ssl there, set heartbeat_sslmode';
    }
  } else {
    if (/ALERT_HANDSHAKE_FAILURE$/.test(code)) {
      return 'watchdog has no certificate; set watchdog.ssl there, not watchdog.secret_file';
    }
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
      return `watchdog's certificate is for ${namesOf(error.cert)}, not for "${host}"`;
    }
    const predicate = predicateOf(code, 'heartbeat_sslrootcert');
    if (predicate !== undefined) return `watchdog's certificate ${predicate}`;
  }
  return `TLS handshake failed: ${withoutPlaces(message)}`;
}

const UNSIGNED = 'is not signed by an authority of {authorities}';

/** What is wrong with a certificate, by the name of OpenSSL's X509_V_ERR constant (X509_STORE_CTX_get_error(3)). */
const PREDICATES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'has expired, or that of an authority above it',
  CERT_NOT_YET_VALID: 'is not valid yet',
  CERT_REVOKED: 'was revoked',
  CERT_UNTRUSTED: UNSIGNED,
  CERT_REJECTED: UNSIGNED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNSIGNED,
  SELF_SIGNED_CERT_IN_CHAIN: UNSIGNED,
  UNABLE_TO_GET_ISSUER_CERT: UNSIGNED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNSIGNED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNSIGNED,
  CERT_SIGNATURE_FAILURE: UNSIGNED,
  INVALID_CA: 'is signed by a certificate that is not one of an authority',
  INVALID_PURPOSE:
    'is not made for this purpose (extendedKeyUsage: serverAuth of a watchdog, clientAuth of a conmgr)',
  CERT_CHAIN_TOO_LONG: 'has too many authorities above it',
  UNABLE_TO_GET_CRL: 'cannot be checked: the list of revoked certificates of its authority is missing',
  CRL_HAS_EXPIRED: 'cannot be checked: the list of revoked certificates of its authority has expired',
  CRL_NOT_YET_VALID: 'cannot be checked: the list of revoked certificates of its authority is not valid yet',
  CRL_SIGNATURE_FAILURE: 'cannot be checked: the list of revoked certificates is not signed by its authority',
};

/** What is wrong with a certificate, to be put behind it; undefined for a code that is none of verification. */
function predicateOf(code: string, authorities: string): string | undefined {
  return PREDICATES[code]?.replace('{authorities}', authorities);
}

/** The same of what a conmgr has shown to the watchdog, whatever the code. */
export function describeClientCertificate(code: string, wasShown: boolean): string {
  if (!wasShown) return 'shows no certificate';
  const predicate = predicateOf(code, 'ssl_ca_file') ?? `cannot be verified: ${code}`;
  return `has a certificate that ${predicate}`;
}

/** Words of a peer that is not known yet. */
function namesOf(certificate: PeerCertificate | undefined): string {
  const names = certificate?.subjectaltname ?? String(certificate?.subject?.CN ?? '');
  return names === '' ? 'no host' : `"${shown(names)}"`;
}

/** Why a handshake failed at the watchdog. */
export function describeFailureAtGate({ code = '', message }: NodeJS.ErrnoException): string {
  if (code === 'ECONNRESET') return 'it broke off the TLS handshake';
  if (code === 'ERR_SSL_UNSUPPORTED_PROTOCOL') return 'it does not speak TLS 1.3';
  return `TLS handshake failed: ${withoutPlaces(message)}`;
}

/** OpenSSL's reason from a line such as `…:error:0A000417:SSL routines:ssl3_read_bytes:REASON:file.c:1605:…`. */
function withoutPlaces(message: string): string {
  return /:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? message.trim();
}
