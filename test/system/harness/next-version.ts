/**
 * The next version of conmgr, for tests of upgrades: this tree with what a next version may do by the rules of the
 * protocols. It has another number, speaks one more version of the heartbeat protocol, says elements in it that this version does not
 * know, and hands over a document with members that it does not know either.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The number of the next version. */
export const NEXT_VERSION = '0.2.0';

/** Not copied: what is made, and what is put in place otherwise. */
const LEFT_OUT = new Set(['.git', 'node_modules', 'build', 'dist']);

/** What is new in it. Each text stands once in its file, or the edit is of another version than the file. */
export const EDITS: readonly (readonly [file: string, text: string, next: string])[] = [
  ['CHANGELOG.md', '# Changelog\n', `# Changelog\n\n## ${NEXT_VERSION} (2026-12-31)\n- The next version.\n`],
  [
    'src/core/protocol/messages.ts',
    'HEARTBEAT_VERSION = { min: 1, max: 1 }',
    'HEARTBEAT_VERSION = { min: 1, max: 2 }',
  ],
  // An element that nobody knew before, in a message of either end.
  [
    'src/core/protocol/messages.ts',
    "['label', 2, 'host name and directory, for people'],",
    "['label', 2, 'host name and directory, for people'],\n      ['novelty', 900, 'new'],",
  ],
  [
    'src/core/link/link.ts',
    'label: identity.label,',
    "label: identity.label,\n          novelty: 'of conmgr',",
  ],
  [
    'src/core/protocol/messages.ts',
    "texts: [['software', 1, 'name and version of the watchdog']],",
    "texts: [['software', 1, 'name and version of the watchdog'], ['novelty', 900, 'new']],",
  ],
  ['src/watchdog/links.ts', "name: 'welcome',", "name: 'welcome',\n      novelty: 'of the watchdog',"],
  // Members of the hand-over document, at every place where one may stand.
  [
    'src/core/handover/encode.ts',
    '      conmgrId,\n      view,',
    "      conmgrId,\n      novelty: { is: 'new' },\n      view,",
  ],
  [
    'src/core/handover/encode.ts',
    'return { ...rest, host: clip(host),',
    'return { ...rest, novelty: [1], host: clip(host),',
  ],
  [
    'src/core/handover/encode.ts',
    '    inbound: heap.put(session.inbound),\n',
    '    inbound: heap.put(session.inbound),\n    ...{ novelty: null },\n',
  ],
];

/** Makes packages of the next version of `tree` in a directory. Rejects when an edit does not fit, or when make fails. */
export async function makeNextPackages(tree: string, packages: string): Promise<void> {
  const next = join(tree, 'build/next-version');
  rmSync(next, { recursive: true, force: true });
  mkdirSync(next, { recursive: true });
  makeNextTree(tree, next);
  cpSync(join(tree, 'dist/bpf'), join(next, 'dist/bpf'), { recursive: true, preserveTimestamps: true });
  await make(next, ['deb', 'rpm', `PACKAGES=${resolve(tree, packages)}`]);
  rmSync(next, { recursive: true, force: true });
}

/** Makes the next version of `tree` in a directory that is empty. Throws when an edit does not fit. */
export function makeNextTree(tree: string, next: string): void {
  for (const name of readdirSync(tree)) {
    if (LEFT_OUT.has(name)) continue;
    cpSync(join(tree, name), join(next, name), { recursive: true, preserveTimestamps: true });
  }
  symlinkSync(join(tree, 'node_modules'), join(next, 'node_modules'));
  const { version } = JSON.parse(readFileSync(join(tree, 'package.json'), 'utf8')) as { version: string };
  edit(join(next, 'package.json'), `"version": "${version}"`, `"version": "${NEXT_VERSION}"`);
  for (const [file, text, replacement] of EDITS) edit(join(next, file), text, replacement);
}

function edit(path: string, text: string, replacement: string): void {
  const parts = readFileSync(path, 'utf8').split(text);
  if (parts.length !== 2) throw new Error(`${path} has ${parts.length - 1} times: ${text}`);
  writeFileSync(path, parts.join(replacement));
}

/** Runs make in a directory. Rejects when it fails. */
export function make(directory: string, words: readonly string[]): Promise<void> {
  return new Promise((done, failed) => {
    const { MAKEFLAGS: _flags, MAKELEVEL: _level, ...env } = process.env;
    const child = spawn('make', words, { cwd: directory, env, stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', failed);
    child.once('close', (code) =>
      code === 0 ? done() : failed(new Error(`make ${words.join(' ')} failed (${code})`)),
    );
  });
}
