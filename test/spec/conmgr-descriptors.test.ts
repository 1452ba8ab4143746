import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { ConmgrProcess } from '../support/conmgr-process.js';
import { freePort } from '../support/free-ports.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe('a reload that asks for more descriptors than there are', () => {
  it('is taken with a WARNING that has figure, formula and cure; back below the limit it is silent', async () => {
    const instance = { backendPort: await freePort(), watchdogPort: await freePort() };
    const conmgr = await ConmgrProcess.start({
      instances: [instance],
      settings: { max_connections: 10 },
      openFiles: 128,
    });
    ends.push(() => conmgr.stop('SIGQUIT'));
    conmgr.rewrite([instance], { max_connections: 118 });
    await conmgr.reload();
    await conmgr.logged(/WARNING: +limit of 128 open files is too low: at least 129 are needed/);
    await conmgr.logged(/DETAIL: +9 \+ 2 x 1 instances \+ max_connections of 118 = 129\./);
    assert.equal((await conmgr.status()).maxConnections, 118);
    const mark = conmgr.mark;
    conmgr.rewrite([instance], { max_connections: 117 });
    await conmgr.reload();
    await conmgr.logged(/configuration reloaded/, mark);
    assert.deepEqual(conmgr.linesLike(/too low/, mark), []);
  });
});
