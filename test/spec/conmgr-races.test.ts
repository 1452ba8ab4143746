import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, it } from 'node:test';
import type { ControlAnswer } from '../../src/core/control/protocol.js';
import { conmgrConf, launchConmgr } from '../support/conmgr-process.js';
import { freePort } from '../support/free-ports.js';
import type { Running } from '../support/running.js';
import { ScriptedSet } from '../support/scripted-set.js';
import { PRIMARY } from '../support/scripted-watchdog.js';
import { temporaryDirectory } from '../support/tree.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function startSet(): Promise<ScriptedSet> {
  const set = await ScriptedSet.start([PRIMARY]);
  ends.push(() => set.end());
  return set;
}

/** Sends requests over one connection to the control socket and yields their answers. */
async function askInOneGo(directory: string, requests: readonly object[]): Promise<readonly ControlAnswer[]> {
  const socket = connect(join(directory, 'conmgr.sock'));
  socket.on('error', () => {});
  socket.write(requests.map((request) => `${JSON.stringify(request)}\n`).join(''));
  const answers: ControlAnswer[] = [];
  for await (const line of createInterface(socket)) {
    answers.push(JSON.parse(line) as ControlAnswer);
    if (answers.length === requests.length) break;
  }
  socket.destroy();
  return answers;
}

describe('a reload that comes while conmgr ends', () => {
  it('is refused with words, starts no link, and does not keep the end from coming', async () => {
    const { conmgr, watchdogs, lines } = await startSet();
    // So that the goodbye takes its time.
    watchdogs[0]!.acknowledges = false;
    conmgr.rewrite([...lines, { backendPort: await freePort(), watchdogPort: await freePort() }]);
    const [, reload] = await askInOneGo(conmgr.directory, [
      { command: 'stop', mode: 'fast' },
      { command: 'reload' },
    ]);
    assert.ok(reload !== undefined && 'reload' in reload);
    assert.deepEqual(reload.reload, {
      changed: [],
      needsRestart: [],
      problems: ['conmgr is shutting down'],
    });
    const { code } = await conmgr.running.done;
    assert.equal(code, 0);
    assert.deepEqual(conmgr.linesLike(/configuration reloaded|instance 1/), []);
  });
});

describe('several starts at once', () => {
  it('leave one conmgr; the others name it and end', async () => {
    const directory = temporaryDirectory();
    const nobody = { backendPort: await freePort(), watchdogPort: await freePort() };
    const settings = { port: await freePort() };
    writeFileSync(join(directory, 'conmgr.conf'), conmgrConf([nobody], settings));
    const all: Running[] = Array.from({ length: 3 }, () => launchConmgr(directory));
    ends.push(() => Promise.all(all.map((one) => one.stop('SIGKILL'))));
    const ended = new Set<Running>();
    await new Promise<void>((resolve) => {
      for (const one of all) {
        void one.done.then(() => {
          ended.add(one);
          if (ended.size === 2) resolve();
        });
      }
    });
    const [winner] = all.filter((one) => !ended.has(one));
    assert.ok(winner !== undefined);
    for (const loser of ended) {
      assert.equal((await loser.done).code, 1);
      assert.match(
        (await loser.done).stderr,
        new RegExp(`in use by another process \\(PID ${winner.pid}\\)`),
      );
    }
    assert.equal((await winner.stop('SIGTERM')).code, 0);
  });
});

describe('a directory that is removed under a running conmgr', () => {
  it('costs nobody a session: applications are served, a reload fails with words, a stop ends with status 0', async () => {
    const { conmgr } = await startSet();
    const app = await conmgr.bound();
    rmSync(conmgr.directory, { recursive: true });
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
    conmgr.running.kill('SIGHUP');
    await conmgr.logged(/ERROR: +configuration file ".*" contains errors; the running configuration stays/);
    assert.ok(app.isOpen);
    assert.deepEqual(await conmgr.stop('SIGTERM'), { code: 0, signal: null });
  });
});
