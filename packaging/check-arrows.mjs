// @ts-check
/**
 * Imports point inwards: services -> src/{conmgr,watchdog,ctl,client,helper} -> src/io -> src/core, and the core has neither
 * clock nor chance nor IO. Prints each import and each name that breaks this.
 */
import { join } from 'node:path';
import { transform } from 'esbuild';
import { lineAt, report, textOf, treeFiles } from './sources.mjs';

/** What each layer may import beside itself; the composing layers do not know each other. */
const REACH = /** @type {Readonly<Record<string, readonly string[]>>} */ ({
  'src/core': [],
  'src/io': ['src/core'],
  'src/conmgr': ['src/io', 'src/core'],
  'src/watchdog': ['src/io', 'src/core'],
  'src/ctl': ['src/io', 'src/core'],
  'src/client': ['src/io', 'src/core'],
  'src/helper': ['src/io', 'src/core'],
  services: ['src/conmgr', 'src/watchdog', 'src/ctl', 'src/client', 'src/helper', 'src/io', 'src/core'],
});

/** Bytes are data; everything else of Node.js is the outside world. */
const CORE_MODULES = ['node:buffer'];

/** Globals by which the outside world could come into the core unasked. */
const OUTSIDE = [
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'Math.random',
  'crypto',
  'process',
  'console',
  'fetch',
  'require',
  'globalThis',
];

const MARK = 'outside_the_core_';

/**
 * @param {string} path
 */
function layerOf(path) {
  return Object.keys(REACH).find((layer) => path.startsWith(`${layer}/`));
}

/**
 * What a file imports, types included, with the position.
 * @param {string} text
 * @returns {{ index: number, specifier: string }[]}
 */
function importsOf(text) {
  const statements = text.matchAll(/^(?:(?:import|export)\s[^'";=]*?\bfrom|import)\s*['"]([^'"\n]+)['"]/gm);
  const calls = text.matchAll(/\b(?:import|require)\(\s*['"]([^'"\n]+)['"]/g);
  return [...statements, ...calls].map((match) => ({
    index: match.index + match[0].length - 1,
    specifier: match[1] ?? '',
  }));
}

/**
 * @param {string} path
 * @param {string} layer
 * @param {string} text
 */
function wrongImports(path, layer, text) {
  return importsOf(text).flatMap(({ index, specifier }) => {
    const where = `${path}:${lineAt(text, index)}`;
    if (!specifier.startsWith('.')) {
      const allowed = layer !== 'src/core' || CORE_MODULES.includes(specifier);
      return allowed ? [] : [`${where}: the core imports ${specifier}`];
    }
    const goal = join(path, '..', specifier);
    const goalLayer = layerOf(goal);
    if (goalLayer === layer || (goalLayer !== undefined && REACH[layer]?.includes(goalLayer))) return [];
    // The native part that lies beside the bundle.
    if (specifier === './koffi.node') return [];
    return [`${where}: ${layer} imports ${goal}, which lies outside of what it may know`];
  });
}

/**
 * The globals of the outside world that a file of the core refers to. esbuild tells references from properties, local
 * names, types, comments and strings: it renames those that are nothing else.
 * @param {string} path
 * @param {string} text
 */
async function outsideNames(path, text) {
  const define = Object.fromEntries(OUTSIDE.map((name) => [name, MARK + name.replace('.', '_')]));
  const { code } = await transform(text, { loader: 'ts', define, target: 'esnext' });
  return OUTSIDE.filter((name) => new RegExp(`\\b${MARK}${name.replace('.', '_')}\\b`).test(code)).map(
    (name) => {
      const index = text.search(new RegExp(`(?<![.\\w])${name.replace('.', '\\.')}\\b`));
      return `${path}:${lineAt(text, index)}: the core names ${name}; time, chance and IO come in as arguments`;
    },
  );
}

const problems = await Promise.all(
  treeFiles()
    .filter((path) => path.endsWith('.ts'))
    .map(async (path) => {
      const layer = layerOf(path);
      if (layer === undefined) return path.startsWith('src/') ? [`${path}: belongs to no layer`] : [];
      const text = textOf(path);
      return [
        ...wrongImports(path, layer, text),
        ...(layer === 'src/core' ? await outsideNames(path, text) : []),
      ];
    }),
);
report(problems.flat());
