import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DatagramReceiver } from '../support/datagram-receiver.js';
import { eventually } from '../support/eventually.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { temporaryDirectory } from '../support/tree.js';
import { TestWatchdog } from '../support/watchdog.js';

describe('what systemd is told of the watchdog', () => {
  let server: Server;
  before(async () => {
    server = await startPrimary();
  });
  after(() => server?.end());

  it('READY once the data directory is understood, whatever the instance does; STATUS with instance and links; STOPPING', async () => {
    const path = join(temporaryDirectory(), 'notify');
    const systemd = new DatagramReceiver(path);
    const told: string[] = [];
    const last = (): string => {
      told.push(...systemd.takeTexts().flatMap((text) => text.split('\n')));
      return told.filter((line) => line.startsWith('STATUS=')).at(-1) ?? '';
    };
    let watchdog: TestWatchdog | undefined;
    try {
      await server.stop('fast');
      watchdog = await TestWatchdog.start(server, { env: { NOTIFY_SOCKET: path } });
      await eventually(() => /^STATUS=instance down .*heartbeat links: 0$/.test(last()), {
        what: 'down is told',
      });
      assert.ok(told.includes('READY=1'));
      await server.start();
      const peer = await watchdog.connect();
      await eventually(() => /^STATUS=instance up \(primary, .*heartbeat links: 1$/.test(last()), {
        what: 'up and a link are told',
      });
      await peer.goodbye('released');
      await eventually(() => /heartbeat links: 0$/.test(last()), { what: 'the end of the link is told' });
      assert.ok(!told.includes('STOPPING=1'));
      await watchdog.stop();
      last();
      assert.ok(told.includes('STOPPING=1'));
    } finally {
      await watchdog?.stop();
      systemd.close();
    }
  });
});
