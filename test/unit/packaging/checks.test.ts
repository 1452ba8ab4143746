// Not used here but by the checks: naming it puts it beside them when the tests run.
import 'esbuild';
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { startCommand } from '../../support/running.js';
import { inTree, temporaryDirectory } from '../../support/tree.js';

/** Runs one check on a tree of these files and returns the lines it prints. */
async function check(name: string, files: Readonly<Record<string, string>>): Promise<string[]> {
  const tree = temporaryDirectory();
  symlinkSync(inTree('node_modules'), join(tree, 'node_modules'));
  // The checks themselves; what renders documents names documents that this tree does not have.
  const isCheck = (path: string) => !path.endsWith('.ts');
  cpSync(inTree('packaging'), join(tree, 'packaging'), { recursive: true, filter: isCheck });
  const manifest = { name: 'tree', version: '1.0.0' };
  const lock = { version: '1.0.0', packages: { '': {} } };
  const all = {
    'package.json': JSON.stringify(manifest),
    'package-lock.json': JSON.stringify(lock),
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  const { code, stdout, stderr } = await startCommand(process.execPath, [`packaging/check-${name}.mjs`], {
    cwd: tree,
  }).done;
  assert.equal(stderr, '');
  const lines = stdout.split('\n').filter((line) => line !== '');
  assert.equal(code, lines.length === 0 ? 0 : 1, 'no output means success, output means failure');
  return lines;
}

describe('the check of arrows', () => {
  it('lets imports point inwards', async () => {
    const lines = await check('arrows', {
      'services/conmgr.ts': "import { run } from '../src/conmgr/run.js';",
      'src/conmgr/run.ts':
        "import { a } from '../core/a.js';\nimport { b } from '../io/b.js';\nimport pg from 'pg';",
      'src/io/b.ts':
        "import type { a } from '../core/a.js';\nimport { connect } from 'node:net';\nDate.now();",
      'src/core/a.ts': "import { Buffer } from 'node:buffer';\nimport { c } from './c.js';",
      'src/core/c.ts': "export const text = 'import x from \\'../io/b.js\\'';\nexport const of = 'other';",
    });
    assert.deepEqual(lines, []);
  });

  it('names each import that points outwards or sideways, types and multi-line ones too', async () => {
    const lines = await check('arrows', {
      'src/core/a.ts':
        "import {\n  type x,\n  y,\n} from '../io/b.js';\nexport * from 'pg';\nimport 'node:fs';",
      'src/io/b.ts': "export type { T } from '../conmgr/run.js';",
      'src/watchdog/w.ts': "const later = await import('../conmgr/run.js');",
      'src/stray.ts': '',
    });
    assert.deepEqual(
      lines.map((line) => line.replace(/;.*| which.*/, '')),
      [
        'src/core/a.ts:4: src/core imports src/io/b.js,',
        'src/core/a.ts:5: the core imports pg',
        'src/core/a.ts:6: the core imports node:fs',
        'src/io/b.ts:1: src/io imports src/conmgr/run.js,',
        'src/stray.ts: belongs to no layer',
        'src/watchdog/w.ts:1: src/watchdog imports src/conmgr/run.js,',
      ],
    );
  });

  it('names clocks, chance and IO in the core, but not words that only look like them', async () => {
    const lines = await check('arrows', {
      'src/core/bad.ts':
        'export const at = new Date();\nexport const n = Math.random();\nsetTimeout(() => {}, process.pid);',
      'src/core/good.ts': [
        '// Date and process are words of a comment',
        "export const text = 'Date process setTimeout';",
        'export interface Row { process: string; Date: number }',
        'export const f = (row: Row, Date: number) => row.process + Math.max(Date, 1);',
      ].join('\n'),
    });
    assert.deepEqual(
      lines.map((line) => line.replace(/;.*/, '')),
      [
        'src/core/bad.ts:1: the core names Date',
        'src/core/bad.ts:3: the core names setTimeout',
        'src/core/bad.ts:2: the core names Math.random',
        'src/core/bad.ts:3: the core names process',
      ],
    );
  });
});

describe('the check of house rules', () => {
  // Put together here so that this file does not break the rules itself.
  const mark = ['TO', 'DO'].join('');
  const skip = ['.', 'skip('].join('');
  const home = ['', 'home', 'somebody'].join('/');
  const host = ['https://', 'registry.example.org'].join('');
  const guide = ['docs/guide', 'md'].join('.');

  it('accepts a tree that keeps them', async () => {
    const lines = await check('house-rules', {
      'src/core/messages/a.ts': "const rows = { a: { code: 'CM1000' }, b: { code: 'CM1001' } };",
      [guide]: 'See [the other](../README.md).',
      'README.md': `Read ${guide}.`,
    });
    assert.deepEqual(lines, []);
  });

  it('names what breaks them, with its place', async () => {
    const lines = await check('house-rules', {
      'src/core/messages/a.ts':
        "const rows = { a: { code: 'CM1000' },\n b: { code: 'CM1000' }, c: { code: 'X1' } };",
      'src/io/long.ts': '\n'.repeat(501),
      'src/io/CamelCase.ts': '',
      'src/io/helpers.ts': `// ${mark}: later`,
      'test/unit/a.test.ts': `it${skip}'never', () => {});`,
      'README.md': `Read ${guide}. See ${home}/x and ${host}/pg.`,
    });
    assert.deepEqual(
      lines.sort(),
      [
        `README.md:1: a package registry: ${host}`,
        `README.md:1: somebody's home directory: ${home}`,
        `README.md:1: there is no ${guide}`,
        'src/core/messages/a.ts:2: CM1000 is taken by src/core/messages/a.ts:1',
        'src/core/messages/a.ts:2: a message code is CM and four digits, not X1',
        'src/io/CamelCase.ts: file names are kebab-case',
        `src/io/helpers.ts:1: an open mark; do it or leave it: ${mark}`,
        'src/io/helpers.ts: name the file after its subject',
        'src/io/long.ts: 501 lines; cut it where its subject has a seam',
        `test/unit/a.test.ts:1: a test that does not run: ${skip}`,
      ].sort(),
    );
  });
});

describe('the check of the manifest', () => {
  it('asks for exact versions and a lock file without hosts that fits', async () => {
    const lines = await check('manifest', {
      'package.json': JSON.stringify({
        version: '1.0.0',
        devDependencies: { a: '^1.2.3', b: '1.2.3', c: 'npm:d@2.0.0' },
      }),
      'package-lock.json': JSON.stringify({
        version: '0.9.0',
        packages: { '': {}, 'node_modules/b': { resolved: 'x', optionalDependencies: { e: '1' } } },
      }).replace('"resolved":"x"', '"resolved": "https://example.org/b.tgz"'),
      'test/x-versions.json': '{ "1": "1.2" }',
    });
    assert.deepEqual(lines, [
      'package.json: a is ^1.2.3; pin the exact version',
      "package-lock.json:1: names a host; install with this tree's .npmrc",
      "package-lock.json: version 0.9.0 is not package.json's 1.0.0",
      'package-lock.json: devDependencies are not those of package.json; run npm install --ignore-scripts',
      'package-lock.json: lacks e, which node_modules/b has on other platforms',
      'test/x-versions.json:1: 1.2 is not an exact version',
    ]);
  });
});
