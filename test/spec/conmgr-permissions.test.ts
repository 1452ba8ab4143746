import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { ConmgrProcess } from '../support/conmgr-process.js';
import { freePort } from '../support/free-ports.js';
import { temporaryDirectory } from '../support/tree.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function started(directory: string): Promise<ConmgrProcess> {
  const instance = { backendPort: await freePort(), watchdogPort: await freePort() };
  const conmgr = await ConmgrProcess.start({ instances: [instance], directory });
  ends.push(() => conmgr.stop('SIGQUIT'));
  return conmgr;
}

describe('who may write where conmgr reads its configuration', () => {
  it('a directory that every user may write is a WARNING with the cure: they could send applications elsewhere', async () => {
    const directory = temporaryDirectory();
    chmodSync(directory, 0o777);
    const conmgr = await started(directory);
    await conmgr.logged(/WARNING: +every user of this host may write "[^"]*"/);
    await conmgr.logged(new RegExp(`HINT: +chmod o-w ${directory}`));
  });

  it('the same goes for conmgr.conf, also when it changed until a reload', async () => {
    const conmgr = await started(temporaryDirectory());
    assert.deepEqual(conmgr.linesLike(/WARNING: +every user/), []);
    chmodSync(join(conmgr.directory, 'conmgr.conf'), 0o666);
    await conmgr.reload();
    await conmgr.logged(/WARNING: +every user of this host may write ".*\/conmgr\.conf"/);
  });
});
