/** What the redirect needs, in a benchmark. */
import { existsSync } from 'node:fs';
import { OBJECT } from '../../test/kernel/place.js';

/** Why there is no redirect; undefined: there can be one. */
export function whyNoRedirect(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  return existsSync(OBJECT) ? undefined : 'make bpf builds its programs';
}
