/**
 * libpq's ssl parameters of a service as pg's `ssl` option (PostgreSQL documentation, 34.19 SSL Support). pg
 * cannot fall back to plain text, so `prefer` demands TLS here and `allow` does without.
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { OptionProblem } from '../core/client/host-list.js';
import { CLIENT_MESSAGES } from '../core/messages/client.js';

/**
 * The `ssl` option for libpq parameters; undefined when none of them is set. Throws OptionProblem, and what the
 * file system throws for a certificate or key that cannot be read.
 */
export function tlsFromLibpq(values: ReadonlyMap<string, string>): boolean | ConnectionOptions | undefined {
  const mode = values.get('sslmode');
  const read = (name: string) => {
    const file = values.get(name);
    return file === undefined || file === '' ? undefined : readFileSync(file, 'utf8');
  };
  if (mode === 'disable' || mode === 'allow') return false;
  const ca = values.get('sslrootcert') === 'system' ? undefined : read('sslrootcert');
  const cert = read('sslcert');
  const key = read('sslkey');
  if (mode === undefined && ca === undefined && cert === undefined && key === undefined) return undefined;
  if (mode === 'verify-ca' && ca === undefined) throw new OptionProblem(CLIENT_MESSAGES.noRootCertificate);
  const options: ConnectionOptions = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  // A root certificate turns `require` into verify-ca; verify-full is what Node.js does by itself.
  if (mode === 'verify-full' || values.get('sslrootcert') === 'system') return options;
  if (mode === 'verify-ca' || (mode === 'require' && ca !== undefined)) {
    return { ...options, checkServerIdentity: () => undefined };
  }
  return { ...options, rejectUnauthorized: false };
}
