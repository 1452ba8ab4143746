import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { parseExposition, sampleOf } from '../support/exposition-parser.js';
import { freePort } from '../support/free-ports.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { TestWatchdog } from '../support/watchdog.js';

let server: Server;
before(async () => {
  server = await startPrimary();
});
after(async () => {
  await server?.end();
});

const read = async (port: number, path: string): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`);
  assert.equal(answer.status, 200);
  return answer.text();
};

describe('watchdog.status_port', () => {
  it('serves metrics, JSON and the page; a reload says that a change waits for a restart', async () => {
    const port = await freePort();
    const watchdog = await TestWatchdog.start(server, { settings: { status_port: String(port) } });
    try {
      await watchdog.line(new RegExp(`LOG: +serving status on http://localhost:${port}/`));
      const peer = await watchdog.connect();
      const metrics = await eventually(
        async () => {
          const found = parseExposition(await read(port, '/metrics'));
          return sampleOf(found, 'conmgr_watchdog_instance_role', { role: 'primary' }) === 1 && found;
        },
        { what: 'the role is known' },
      );
      assert.equal(sampleOf(metrics, 'conmgr_watchdog_heartbeat_port_open'), 1);
      await eventually(
        async () =>
          sampleOf(parseExposition(await read(port, '/metrics')), 'conmgr_watchdog_events_total', {
            event: 'link_up',
          }),
        { what: 'the link is counted' },
      );
      assert.match(await read(port, '/'), /The instance is up, primary/);
      const report = JSON.parse(await read(port, '/status')) as Record<string, unknown>;
      assert.deepEqual(Object.keys(report), Object.keys(await watchdog.status()));
      await peer.end();
      await server.append({ 'watchdog.status_port': '0' });
      watchdog.running.kill('SIGHUP');
      await watchdog.line(/"watchdog\.status_port" cannot be changed without restarting the watchdog/);
      assert.match(await read(port, '/status'), /"state":"running"/);
    } finally {
      await watchdog.stop();
    }
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  });

  it('that is taken is a WARNING, and the watchdog watches', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    const watchdog = await TestWatchdog.start(server, { settings: { status_port: String(port) } });
    try {
      await watchdog.line(new RegExp(`WARNING: +could not listen on status port ${port}: 127\\.0\\.0\\.1: `));
      const peer = await watchdog.connect();
      await peer.told(({ state }) => state === 'up', 'up');
      await peer.end();
    } finally {
      await watchdog.stop();
      other.close();
      await server.append({ 'watchdog.status_port': '0' });
    }
  });
});
