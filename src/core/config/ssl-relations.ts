/** Rules between the parameters that protect the heartbeat links by certificates, and with the one of the secret. */
import type { LineFinding } from './problem.js';
import type { ConmgrValues } from './spec.js';

/** A question about some parameters. */
export type OfNames<T> = (...names: readonly (keyof ConmgrValues)[]) => T;

const MODE = 'heartbeat_sslmode';
const FILES = ['heartbeat_sslrootcert', 'heartbeat_sslcert', 'heartbeat_sslkey'] as const;

/**
 * What is wrong or worth saying. `right`: none of them has a value that is wrong itself; `lastLine`: of those that
 * are set.
 */
export function sslRelations(
  values: ConmgrValues,
  right: OfNames<boolean>,
  lastLine: OfNames<number>,
): LineFinding[] {
  const mode = values.heartbeat_sslmode;
  if (!right(MODE)) return [];
  if (mode === 'disable') {
    // Whoever names a certificate believes that it protects something.
    return FILES.filter((name) => values[name] !== undefined).map((name) => ({
      message: 'sslFileUnused',
      line: lastLine(name),
      params: { name },
    }));
  }
  const findings: LineFinding[] = [];
  const secret = 'heartbeat_secret_file';
  if (values[secret] !== undefined) {
    const params = { first: MODE, second: secret };
    findings.push({ message: 'twoProtections', line: lastLine(MODE, secret), params });
  }
  for (const name of FILES) {
    if (values[name] !== undefined || !right(name)) continue;
    if (name === 'heartbeat_sslrootcert' && mode === 'require') {
      findings.push({ message: 'sslVerifiesNothing', line: lastLine(MODE), params: {} });
    } else {
      findings.push({ message: 'sslFileMissing', line: lastLine(MODE), params: { mode, name } });
    }
  }
  return findings;
}
