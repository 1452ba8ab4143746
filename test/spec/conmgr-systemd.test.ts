import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { ConmgrProcess } from '../support/conmgr-process.js';
import { DatagramReceiver } from '../support/datagram-receiver.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { PRIMARY, ScriptedWatchdog } from '../support/scripted-watchdog.js';
import { temporaryDirectory } from '../support/tree.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe('what systemd is told', () => {
  it('STATUS follows the applications and the links, but applications that come and go do not flood systemd', async () => {
    const path = join(temporaryDirectory(), 'notify');
    const systemd = new DatagramReceiver(path);
    ends.push(() => systemd.close());
    const watchdog = await ScriptedWatchdog.start({ attributes: PRIMARY });
    ends.push(() => watchdog.stop());
    const conmgr = await ConmgrProcess.start({
      instances: [{ backendPort: await freePort(), watchdogPort: watchdog.port }],
      env: { NOTIFY_SOCKET: path },
    });
    ends.push(() => conmgr.stop('SIGQUIT'));
    await conmgr.linked();
    const told: string[] = [];
    const last = (): string => {
      told.push(...systemd.takeTexts().filter((text) => text.startsWith('STATUS=')));
      return told.at(-1) ?? '';
    };
    await eventually(() => /primary instance 0, 1 of 1 links up, 0 applications/.test(last()), {
      what: 'the link is told',
    });
    const before = told.length;
    const begunMs = performance.now();
    for (let i = 0; i < 200; i += 1) {
      const app = await conmgr.bound();
      app.leave();
    }
    const held = await conmgr.bound();
    await eventually(() => /, 1 applications$/.test(last()), { what: 'the one that stays is told' });
    const seconds = (performance.now() - begunMs) / 1000;
    assert.ok(told.length - before <= 2 + 2 * seconds, `${told.length - before} in ${seconds} s`);
    assert.ok(held.isOpen);
  });
});
