/** Cuts an installed tree into the trees of the packages. */
import { lstatSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A line of a list of files: an absolute path, with `*` within a name and `**` for any number of directories. */
export function pathPattern(line: string): RegExp {
  const parts = line.split(/(\*\*\/|\*)/).map((part) => {
    if (part === '**/') return '(?:[^/]+/)*';
    return part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`);
}

/** The patterns of a list; empty lines and those that begin with `#` are comments. */
export function patternLines(list: string): string[] {
  return list.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/**
 * Moves every file of `tree` to `first`, or to `second` if a line of `list` matches its path.
 * @throws Error naming a line that matches no file.
 */
export function splitTree(tree: string, list: string, first: string, second: string): void {
  const patterns = patternLines(list).map((line) => ({ line, pattern: pathPattern(line), used: false }));
  for (const path of filesBelow(tree, '')) {
    const matching = patterns.filter(({ pattern }) => pattern.test(path));
    for (const entry of matching) entry.used = true;
    const goal = join(matching.length > 0 ? second : first, path);
    mkdirSync(dirname(goal), { recursive: true });
    renameSync(join(tree, path), goal);
  }
  const idle = patterns.find(({ used }) => !used);
  if (idle !== undefined) throw new Error(`nothing that is installed matches the line ${idle.line}`);
}

/** Paths, with a slash in front, of all that is no directory, sorted. */
export function filesBelow(root: string, folder: string): string[] {
  return readdirSync(join(root, folder))
    .sort()
    .flatMap((name) => {
      const path = `${folder}/${name}`;
      return lstatSync(join(root, path)).isDirectory() ? filesBelow(root, path) : [path];
    });
}
