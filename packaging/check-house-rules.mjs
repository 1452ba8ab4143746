// @ts-check
/** Rules of this tree that no general tool knows. Prints each place that breaks one. */
import { homedir, hostname } from 'node:os';
import { basename } from 'node:path';
import { root } from './bundles.mjs';
import { lineAt, report, textOf, treeFiles } from './sources.mjs';

const files = treeFiles().filter((path) => !/\.(png|svg|ico|node)$/.test(path));
/** @type {string[]} */
const problems = [];

const MOST_LINES = 500;
const isCode = (/** @type {string} */ path) => /\.(ts|mts|cts|mjs|cjs|js)$/.test(path);

/**
 * Reports every match in the files chosen.
 * @param {RegExp} pattern
 * @param {string} problem
 * @param {(path: string) => boolean} [chosen]
 */
function none(pattern, problem, chosen = () => true) {
  for (const path of files.filter(chosen)) {
    const text = textOf(path);
    for (const match of text.matchAll(new RegExp(pattern, 'g'))) {
      problems.push(`${path}:${lineAt(text, match.index)}: ${problem}: ${match[0].trim()}`);
    }
  }
}

/**
 * @param {string} text
 */
function literally(text) {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
}

for (const path of files.filter(isCode)) {
  const lines = textOf(path).split('\n').length - 1;
  if (lines > MOST_LINES) problems.push(`${path}: ${lines} lines; cut it where its subject has a seam`);
  const name = basename(path);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|bench|config))?(\.d)?\.\w+$/.test(name) && name !== 'cm_ctl.ts') {
    problems.push(`${path}: file names are kebab-case`);
  }
  if (/^(utils?|helpers?|common|misc)\./.test(name))
    problems.push(`${path}: name the file after its subject`);
}

// The brackets keep this file from matching itself.
none(
  /\b(?:TO[D]O|FIX[M]E|X[X]X)\b/,
  'an open mark; do it or leave it',
  (path) => path !== 'package-lock.json',
);
none(/\.(?:skip|only|todo)\(/, 'a test that does not run', (path) => path.startsWith('test/'));
none(/\b(?:skip|only|todo): *(?:true|['"`])/, 'a test that does not run', (path) => path.startsWith('test/'));

// What one machine has does not belong into everybody's tree.
const elsewhere = (/** @type {string} */ path) => path !== 'package-lock.json' && path !== 'LICENSE';
for (const place of [root, homedir()]) {
  if (place.split('/').length > 2) none(literally(place), 'a path of this machine', elsewhere);
}
none(/(?<![\w.])\/(?:home|Users)\/(?!\$|<|\{)\w+/, "somebody's home directory", elsewhere);
none(
  /https?:\/\/[^\s/'"]*(?:registry|mirror|artifactory|verdaccio|nexus)[^\s/'"]*/,
  'a package registry',
  elsewhere,
);
if (hostname().length > 5 && hostname() !== 'localhost')
  none(literally(hostname()), 'the name of this machine', elsewhere);

/** @type {Map<string, string>} */
const codes = new Map();
for (const path of files.filter((file) => file.startsWith('src/core/messages/'))) {
  const text = textOf(path);
  for (const { 1: code = '', index } of text.matchAll(/\bcode: '([^']*)'/g)) {
    const where = `${path}:${lineAt(text, index)}`;
    if (!/^CM\d{4}$/.test(code)) problems.push(`${where}: a message code is CM and four digits, not ${code}`);
    if (codes.has(code)) problems.push(`${where}: ${code} is taken by ${codes.get(code)}`);
    codes.set(code, where);
  }
}

// A document that a file of the tree points to is there.
const documents = files.filter((path) => path.endsWith('.md'));
for (const path of files.filter((file) => isCode(file) || file.endsWith('.md'))) {
  const text = textOf(path);
  for (const { 1: name = '', index } of text.matchAll(/(?<![\w/.*<-])([\w./-]*\w\.md)\b/g)) {
    const known = documents.some(
      (document) => document === name || `/${document}`.endsWith(`/${name.replace(/^(\.{1,2}\/)+/, '')}`),
    );
    if (!known && !name.startsWith('node_modules/'))
      problems.push(`${path}:${lineAt(text, index)}: there is no ${name}`);
  }
}

report([...new Set(problems)]);
