// @ts-check
/** What is installed is the same for everybody: versions are exact, and the lock file names no host. */
import { lineAt, report, textOf, treeFiles } from './sources.mjs';

/** A version, also that of a package under another name. */
const EXACT = /^(npm:(@[\w-]+\/)?[\w-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/;
/** @type {string[]} */
const problems = [];

const manifest = JSON.parse(textOf('package.json'));
for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
  for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
    if (!EXACT.test(version)) problems.push(`package.json: ${name} is ${version}; pin the exact version`);
  }
}

const lock = textOf('package-lock.json');
for (const { index } of lock.matchAll(/"resolved": "https?:/g)) {
  problems.push(`package-lock.json:${lineAt(lock, index)}: names a host; install with this tree's .npmrc`);
}
const locked = JSON.parse(lock);
if (locked.version !== manifest.version) {
  problems.push(`package-lock.json: version ${locked.version} is not package.json's ${manifest.version}`);
}
for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies']) {
  if (JSON.stringify(locked.packages[''][kind] ?? {}) !== JSON.stringify(manifest[kind] ?? {})) {
    problems.push(
      `package-lock.json: ${kind} are not those of package.json; run npm install --ignore-scripts`,
    );
  }
}
// An npm that cannot reach a package for another platform leaves it out, and then nobody can run npm ci.
for (const [where, entry] of Object.entries(locked.packages)) {
  for (const name of Object.keys(entry.optionalDependencies ?? {})) {
    const known = [`${where}/node_modules/${name}`, `node_modules/${name}`].some(
      (path) => path in locked.packages,
    );
    if (!known)
      problems.push(`package-lock.json: lacks ${name}, which ${where || 'conmgr'} has on other platforms`);
  }
}

for (const path of treeFiles().filter((file) => /-versions\.json$/.test(file))) {
  const text = textOf(path);
  for (const { 1: version = '', index } of text.matchAll(/: "([^"]*)"/g)) {
    if (!EXACT.test(version))
      problems.push(`${path}:${lineAt(text, index)}: ${version} is not an exact version`);
  }
}

report(problems);
