/** Brings packages of npm onto a host, which has no way to a registry. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './host.js';

/** Where Debian's Node.js looks for packages that an application does not bring itself. */
const PLACE = '/usr/share/nodejs';

/** Copies a package of the run, with all that it depends on, to where every application of the host finds it. */
export async function copyNodePackage(host: Host, name: string): Promise<void> {
  const waiting = [name];
  const copied = new Set<string>();
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    const folder = join('node_modules', one);
    if (copied.has(one) || !existsSync(join(folder, 'package.json'))) continue;
    copied.add(one);
    await host.copyIn(folder, PLACE);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
    };
    waiting.push(...Object.keys(manifest.dependencies ?? {}));
  }
}
