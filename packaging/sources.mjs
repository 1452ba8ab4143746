// @ts-check
/** The files of the tree, as the checks see them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './bundles.mjs';

const GENERATED = new Set(['.git', 'node_modules', 'build', 'dist']);

/**
 * Paths, relative to the root, of all files that belong to the tree: those git tracks or would track; in an unpacked
 * archive, all that are not generated.
 * @returns {string[]}
 */
export function treeFiles() {
  try {
    const options = {
      cwd: root,
      encoding: /** @type {const} */ ('utf8'),
      stdio: /** @type {const} */ ('pipe'),
    };
    const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], options);
    return listed.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
  } catch {
    return filesBelow('');
  }
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function filesBelow(folder) {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name);
    if (GENERATED.has(name)) return [];
    return statSync(join(root, path)).isDirectory() ? filesBelow(path) : [path];
  });
}

/**
 * @param {string} path relative to the root
 */
export function textOf(path) {
  return readFileSync(join(root, path), 'utf8');
}

/**
 * The line of a position, counted from 1.
 * @param {string} text
 * @param {number} index
 */
export function lineAt(text, index) {
  return text.slice(0, index).split('\n').length;
}

/**
 * Prints the problems of a check and sets the exit status: no output, no problem.
 * @param {readonly string[]} problems
 */
export function report(problems) {
  for (const problem of problems) console.log(problem);
  if (problems.length > 0) process.exitCode = 1;
}
