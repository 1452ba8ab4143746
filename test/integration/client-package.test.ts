import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { built } from '../support/programs.js';
import { startCommand } from '../support/running.js';
import { inTree } from '../support/tree.js';

/** Runs an application in the tree, where the package finds itself by its own name as a dependant finds it. */
async function application(kind: 'module' | 'commonjs', text: string): Promise<string> {
  const args = [`--input-type=${kind}`, '-e', text];
  const { code, stdout, stderr } = await startCommand(process.execPath, args, { cwd: inTree('.') }).done;
  assert.equal(code, 0, stderr);
  return stdout;
}

describe('the package conmgr/client', () => {
  it('gives ES modules and CommonJS modules the same classes', async () => {
    const names = await application(
      'module',
      `import * as imported from 'conmgr/client';
       import { createRequire } from 'node:module';
       const required = createRequire(import.meta.url)('conmgr/client');
       for (const [name, value] of Object.entries(required)) {
         if (imported[name] !== value) throw new Error(name + ' is there twice');
       }
       console.log(Object.keys(required).sort().join());`,
    );
    assert.match(names, /^CmClient,CmError,CmPool,cmDriver,/);
  });

  it('works in a CommonJS module', async () => {
    const text = `console.log(new (require('conmgr/client').CmClient)({ host: 'localhost' }).status)`;
    assert.equal(await application('commonjs', text), 'needed\n');
  });

  it('has the declarations its manifest promises', () => {
    for (const path of ['client/index.d.mts', 'client/index.d.cts', 'client/types/client/index.d.ts']) {
      assert.ok(existsSync(built(path)), path);
    }
  });
});
