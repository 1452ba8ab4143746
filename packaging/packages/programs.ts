/** Programs that build packages. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** The first of these programs that is not in PATH. */
export function missingTool(names: readonly string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return names.find((name) => !folders.some((folder) => isExecutable(join(folder, name))));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a build may see of the caller's environment; the rest could change its result. */
const KEPT = ['PATH', 'HOME', 'TMPDIR', 'USER', 'LOGNAME'] as const;

/**
 * Runs a program silently.
 * @throws Error with everything it printed, if it fails.
 */
export function run(
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  cwd = '/',
): void {
  const kept = Object.fromEntries(KEPT.map((name) => [name, process.env[name]]));
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: { ...kept, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...environment },
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ended with status ${status}:\n${stdout}${stderr}`.trimEnd());
}
