/** The units of conmgr-watchdog that stand for a data directory. */
import { readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { escapeUnitName, escapeUnitPath } from '../core/unit-name.js';
import { type ClusterPlaces, DEBIAN_CLUSTERS, watchdogDirectory } from './unit-directory.js';

/** Major versions as directories of Debian are named. */
const VERSION = /^\d+(?:\.\d+)?$/;

/**
 * The preferred one first: of the cluster of Debian whose data directory it is, of the path. `directory`: without
 * symbolic links. Never rejects.
 */
export async function watchdogUnitsOf(
  directory: string,
  places: ClusterPlaces = DEBIAN_CLUSTERS,
): Promise<readonly string[]> {
  const names: string[] = [];
  for (const version of await namesIn(places.configuration)) {
    if (!VERSION.test(version)) continue;
    for (const cluster of await namesIn(join(places.configuration, version))) {
      const unit = `${version}-${escapeUnitName(cluster)}`;
      const found = await watchdogDirectory({ by: 'unit', unit, user: false }, places)
        .then(realpath)
        .catch(() => undefined);
      if (found === directory) names.push(unit);
    }
  }
  return [...names, escapeUnitPath(directory)].map((name) => `conmgr-watchdog@${name}.service`);
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}
