/**
 * What a file with the secret of the heartbeat links may contain: one secret, or two while they are being exchanged.
 *
 * A line is a secret; its characters are the pre-shared key. `cm_ctl secret` writes 64 hexadecimal digits, and what
 * `openssl rand -hex 32` or `openssl rand -base64 32` prints does as well.
 */

/** A shorter key could be found by trial from one recorded handshake (RFC 9257, 4.2 and 6). */
export const SHORTEST_SECRET = 32;
/** OpenSSL takes keys of up to 256 octets. */
export const LONGEST_SECRET = 128;
/** The one in use and the one it replaces. */
export const MOST_SECRETS = 2;
/** Octets of a file that are looked at; a longer one is refused. */
export const LONGEST_SECRET_FILE: number = MOST_SECRETS * (LONGEST_SECRET + 2) + 2;

/** The secrets, the one to connect with first; or what is wrong, to be put behind the name of the file. */
export type ParsedSecrets =
  | { readonly ok: true; readonly secrets: readonly [string, ...string[]] }
  | { readonly ok: false; readonly problem: string };

/** Reads the text of a file. Never repeats any of it. */
export function parseSecrets(text: string): ParsedSecrets {
  if (text.length > LONGEST_SECRET_FILE) {
    return { ok: false, problem: `is longer than ${LONGEST_SECRET_FILE} bytes` };
  }
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const numbered = lines
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line !== '');
  for (const { line, number } of numbered) {
    const problem = problemOf(line);
    if (problem !== undefined) return { ok: false, problem: `has in line ${number} ${problem}` };
  }
  const [first, ...others] = new Set(numbered.map(({ line }) => line));
  if (first === undefined) return { ok: false, problem: 'is empty' };
  if (others.length >= MOST_SECRETS) {
    return { ok: false, problem: `has more than ${MOST_SECRETS} lines` };
  }
  return { ok: true, secrets: [first, ...others] };
}

function problemOf(line: string): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(line)) return 'a character that is not visible ASCII';
  if (line.length < SHORTEST_SECRET) return `fewer than ${SHORTEST_SECRET} characters`;
  if (line.length > LONGEST_SECRET) return `more than ${LONGEST_SECRET} characters`;
  return undefined;
}
