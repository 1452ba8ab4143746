/** Programs of systemd that tests compare with; they work without a running systemd. */
import { spawnSync } from 'node:child_process';

/** For the `skip` option: false if all programs are there, otherwise the reason, which the report shows. */
export function whyNoSystemd(...programs: readonly string[]): string | false {
  const missing = programs.filter((program) => spawnSync(program, ['--version']).status !== 0);
  return missing.length === 0 ? false : `not installed: ${missing.join(', ')} (package systemd)`;
}
