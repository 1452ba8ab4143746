/**
 * `make man`: the manual pages, from man/*.in and the tables of the code.
 *
 *     node packaging/run-ts.mjs packaging/render-man.ts DIRECTORY
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './bundles.mjs';
import { renderPage } from './manual/places.js';

const SUFFIX = '.in';

const goal = process.argv[2];
if (goal === undefined) throw new Error('name the directory for the manual pages');
mkdirSync(goal, { recursive: true });
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
for (const file of readdirSync(join(root, 'man'))) {
  if (!file.endsWith(SUFFIX)) continue;
  const page = renderPage(readFileSync(join(root, 'man', file), 'utf8'), version);
  // Two at a time, or a reader meanwhile, see whole pages only.
  const path = join(goal, file.slice(0, -SUFFIX.length));
  writeFileSync(`${path}.${process.pid}`, page);
  renameSync(`${path}.${process.pid}`, path);
}
