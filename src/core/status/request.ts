/**
 * What a request to status_port is answered with, before anything is made for it (docs/decisions/0032-status-port.md).
 *
 * Only what a program of this host asked by a name of this host is answered: a page of the Web whose name was made to
 * resolve to 127.0.0.1 has its own name in the Host header.
 */

/** What can be asked for. */
export const STATUS_PATHS = {
  '/': 'page',
  '/metrics': 'metrics',
  '/status': 'status',
  '/page.css': 'style',
  '/page.js': 'script',
  '/icon.svg': 'icon',
} as const;
export type StatusDocument = (typeof STATUS_PATHS)[keyof typeof STATUS_PATHS];

/** Of a request, what decides. */
export interface StatusRequest {
  readonly method: string;
  /** As in the request line. */
  readonly target: string;
  /** undefined: there is none. */
  readonly host: string | undefined;
  /** Where it comes from. */
  readonly peer: string;
  readonly hasBody: boolean;
}

export type StatusVerdict =
  | { readonly document: StatusDocument }
  | { readonly refusal: number; readonly text: string };

/** Headers of every answer: nothing is kept, framed, guessed, or fetched from elsewhere. */
export const STATUS_HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/** Whether an address is one of this host's loopback. */
function isLoopback(peer: string): boolean {
  return peer === '::1' || /^(::ffff:)?127\./.test(peer);
}

/** Decides about one request. */
export function judgeStatusRequest({ method, target, host, peer, hasBody }: StatusRequest): StatusVerdict {
  if (!isLoopback(peer)) return { refusal: 403, text: 'only this host may ask' };
  const name = (host ?? '').replace(/:\d*$/, '').toLowerCase();
  if (!LOOPBACK_NAMES.includes(name)) {
    return {
      refusal: 421,
      text: 'ask for localhost, 127.0.0.1 or [::1]: the Host header names another host',
    };
  }
  if (method !== 'GET' && method !== 'HEAD')
    return { refusal: 405, text: 'only GET and HEAD are understood' };
  if (hasBody) return { refusal: 413, text: 'a request has no body here' };
  const path = target.replace(/\?.*$/s, '');
  const known = Object.hasOwn(STATUS_PATHS, path)
    ? STATUS_PATHS[path as keyof typeof STATUS_PATHS]
    : undefined;
  if (known === undefined)
    return { refusal: 404, text: `there is ${Object.keys(STATUS_PATHS).slice(0, 3).join(', ')}` };
  return { document: known };
}
