/** The unit of a directory, found with what lies in the place of the named ones. */
import { readdir, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { conmgrUnitsOf } from '../core/unit-name.js';
import { namedDirectories } from './unit-directory.js';

/** The names in `place` that are symbolic links to this directory. Never rejects. */
export async function linksTo(directory: string, place: string): Promise<readonly string[]> {
  const entries = await readdir(place, { withFileTypes: true }).catch(() => []);
  const real = await realpath(directory).catch(() => directory);
  const names: string[] = [];
  for (const entry of entries) {
    if (!entry.isSymbolicLink()) continue;
    const path = join(place, entry.name);
    // One that leads to nowhere, or where nobody else may look, still says where it leads.
    const target = await realpath(path).catch(() => readlink(path).catch(() => undefined));
    if (target === real) names.push(entry.name);
  }
  return names.sort();
}

/**
 * The units that stand for a directory with one of the two kinds of manager, the preferred one first; empty when none
 * can. A name in the place of the others is preferred when the directory is given by it. Never rejects.
 */
export async function unitsOfDirectory(
  directory: string,
  { user, home }: { readonly user: boolean; readonly home?: string },
): Promise<readonly string[]> {
  const place = namedDirectories(user, home);
  const [real, realPlace] = await Promise.all(
    [directory, place].map(async (path) => realpath(path).catch(() => path)),
  );
  const links = await linksTo(directory, place);
  return conmgrUnitsOf(real ?? directory, { place: realPlace ?? place, links });
}
