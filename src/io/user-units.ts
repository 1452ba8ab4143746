/** What can be known of the service manager of a user without asking it. */
import { existsSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Whether a user has enabled a unit of his own, as the links in his home say it that "systemctl --user enable" makes
 * (systemd.unit(5), User Unit Search Path), so also while his manager does not run. Never rejects.
 */
export async function isEnabledByUser(home: string, unit: string): Promise<boolean> {
  const place = join(home, '.config/systemd/user');
  const names = await readdir(place).catch(() => []);
  const found = await Promise.all(
    names
      .filter((name) => name.endsWith('.wants') || name.endsWith('.requires'))
      .map((name) =>
        lstat(join(place, name, unit)).then(
          () => true,
          () => false,
        ),
      ),
  );
  return found.includes(true);
}

/** Whether the manager of a user runs. To ask it for another user would start one that does not (systemctl(1), -M). */
export function userManagerRuns(uid: number): boolean {
  return existsSync(`/run/user/${uid}/systemd/private`);
}
