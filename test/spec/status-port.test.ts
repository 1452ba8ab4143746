import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { ConmgrProcess, type ConmgrSettings } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { parseExposition, sampleOf } from '../support/exposition-parser.js';
import { freePort } from '../support/free-ports.js';
import { ScriptedWatchdog, STANDBY } from '../support/scripted-watchdog.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Scene {
  readonly conmgr: ConmgrProcess;
  readonly primary: ScriptedWatchdog;
  readonly port: number;
}

/** A conmgr that is linked to a primary and a standby and serves its status. */
async function scene(settings: ConmgrSettings = {}, openFiles?: number): Promise<Scene> {
  const primary = await ScriptedWatchdog.start();
  const standby = await ScriptedWatchdog.start({ attributes: STANDBY });
  const port = Number(settings['status_port'] ?? (await freePort()));
  const conmgr = await ConmgrProcess.start({
    instances: [primary, standby].map((one) => ({ backendPort: one.port, watchdogPort: one.port })),
    settings: { status_port: port, ...settings },
    ...(openFiles === undefined ? {} : { openFiles }),
  });
  ends.push(
    () => primary.stop(),
    () => standby.stop(),
    () => conmgr.stop('SIGQUIT'),
  );
  await conmgr.linked();
  return { conmgr, primary, port };
}

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

function get(
  port: number,
  path: string,
  options: { method?: string; host?: string; body?: string } = {},
): Promise<Answer> {
  const { method = 'GET', host = `localhost:${port}`, body } = options;
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path, method, headers: { host }, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
      },
    );
    asked.on('error', reject).end(body);
  });
}

/** A connection that says only what it is told to, and what it got when it was closed. */
function raw(port: number, text: string): { socket: Socket; closed: Promise<string> } {
  const socket = connect({ host: '127.0.0.1', port });
  let got = '';
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(text);
  return { socket, closed: new Promise((resolve) => socket.on('close', () => resolve(got))) };
}

describe('status_port', () => {
  it('is closed by default', async () => {
    const port = await freePort();
    const { conmgr } = await scene({ status_port: 0 });
    await assert.rejects(get(port, '/'), /ECONNREFUSED/);
    assert.deepEqual(conmgr.linesLike(/serving status/), []);
  });

  it('serves /metrics, /status and the page, on both loopback addresses and no other', async () => {
    const { conmgr, port } = await scene();
    await conmgr.logged(new RegExp(`LOG: +serving status on http://localhost:${port}/`));
    const metrics = await get(port, '/metrics');
    assert.equal(metrics.status, 200);
    assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const parsed = parseExposition(metrics.body);
    assert.equal(sampleOf(parsed, 'conmgr_link_up', { backend: '0' }), 1);
    assert.equal(sampleOf(parsed, 'conmgr_instance_role', { backend: '1', role: 'standby' }), 1);
    assert.equal(sampleOf(parsed, 'conmgr_events_total', { event: 'link_up' }), 2);
    const page = await get(port, '/');
    assert.match(page.body, /The primary is 127\.0\.0\.1/);
    const report = JSON.parse((await get(port, '/status')).body) as Record<string, unknown>;
    assert.deepEqual(Object.keys(report), Object.keys(await conmgr.status()));
    assert.equal(report['pid'], conmgr.pid);
    for (const host of ['127.0.0.2', '::ffff:127.0.0.2']) {
      await assert.rejects(
        new Promise((resolve, reject) => connect({ host, port }).on('connect', resolve).on('error', reject)),
        /ECONNREFUSED|EADDRNOTAVAIL/,
      );
    }
  });

  it('tells a loss: link, event and counter', async () => {
    const { conmgr, primary, port } = await scene();
    await primary.stop();
    await conmgr.untilInstance(0, 'has no link', ({ link }) => link.phase !== 'up');
    const metrics = await eventually(
      async () => {
        const found = parseExposition((await get(port, '/metrics')).body);
        return sampleOf(found, 'conmgr_link_up', { backend: '0' }) === 0 && found;
      },
      { what: 'the link is told to be down' },
    );
    assert.equal(metrics.has('conmgr_link_last_packet_age_seconds'), true);
    assert.equal(sampleOf(metrics, 'conmgr_link_last_packet_age_seconds', { backend: '0' }), undefined);
    assert.ok((sampleOf(metrics, 'conmgr_problems_total', { level: 'WARNING' }) ?? 0) > 0);
    assert.match((await get(port, '/')).body, /class="wire bad"/);
  });

  it('shows events that log_min_messages keeps out of the log', async () => {
    const { conmgr, port } = await scene({ log_min_messages: 'PANIC' });
    assert.match((await get(port, '/')).body, /link to instance 0 \([^)]*\) is up/);
    assert.deepEqual(conmgr.linesLike(/./), []);
  });

  it('changes with a restart only, which a reload says', async () => {
    const { conmgr, port } = await scene();
    const other = await freePort();
    conmgr.rewriteText(
      `backend_host0 = db.invalid\nport = ${conmgr.port}\nlisten_addresses = '127.0.0.1'\nstatus_port = ${other}\n`,
    );
    for (const _ of [1, 2]) assert.deepEqual((await conmgr.reload()).needsRestart, ['status_port']);
    assert.equal((await get(port, '/status')).status, 200);
  });

  it('has its descriptors also when applications have taken all others', async () => {
    const { conmgr, port } = await scene({}, 96);
    let served = 0;
    for (let refused = false; !refused; served++) {
      const client = conmgr.ask();
      refused = await client.candidates().then(
        () => false,
        () => true,
      );
    }
    assert.ok(served > 10 && served < 60, `${served}`);
    const idle = ['127.0.0.1', '::1'].flatMap((host) =>
      Array.from({ length: host === '::1' ? 8 : 7 }, () => connect({ host, port })),
    );
    ends.push(() => idle.map((socket) => socket.destroy()));
    await Promise.all(idle.map((socket) => once(socket, 'connect')));
    const metrics = parseExposition((await get(port, '/metrics')).body);
    const open = sampleOf(metrics, 'conmgr_open_file_descriptors') ?? Number.POSITIVE_INFINITY;
    assert.ok(open < 96, `${open} of 96`);
    assert.equal((await conmgr.status()).instances[0]?.link.phase, 'up');
  });

  it('that is taken is a WARNING, and conmgr runs without it', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    ends.push(() => other.close());
    const { conmgr } = await scene({ status_port: port });
    await conmgr.logged(
      new RegExp(
        `WARNING: +could not listen on status port ${port}: 127\\.0\\.0\\.1: address already in use`,
      ),
    );
  });
});

describe('a request to status_port', () => {
  it('is only for GET and HEAD, without a body', async () => {
    const { port } = await scene();
    const head = await get(port, '/metrics', { method: 'HEAD' });
    assert.deepEqual([head.status, head.body], [200, '']);
    assert.ok(Number(head.headers['content-length']) > 1000);
    const post = await get(port, '/metrics', { method: 'POST', body: 'x' });
    assert.deepEqual([post.status, post.headers['allow']], [405, 'GET, HEAD']);
    const { closed } = raw(port, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx');
    assert.match(await closed, /^HTTP\/1\.1 413 /);
    assert.equal((await get(port, '/other')).status, 404);
  });

  it('with the name of another host is refused: a name of the Web may resolve to 127.0.0.1', async () => {
    const { port } = await scene();
    assert.equal((await get(port, '/status', { host: 'evil.example' })).status, 421);
    assert.equal((await get(port, '/status', { host: 'localhost' })).status, 200);
  });

  it('is answered with headers that keep pages to themselves', async () => {
    const { port } = await scene();
    for (const path of ['/', '/metrics', '/status', '/page.css', '/page.js', '/icon.svg', '/other']) {
      const { headers } = await get(port, path);
      assert.match(
        String(headers['content-security-policy']),
        /^default-src 'none'; .*frame-ancestors 'none'$/,
      );
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['access-control-allow-origin'], undefined);
    }
  });

  it('is one at a time: a thousand in one packet end the connection and hold up nobody', async () => {
    const { conmgr, port } = await scene();
    const one = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
    assert.equal(await raw(port, one.repeat(1000)).closed, '');
    const { socket, closed } = raw(port, one);
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1');
    });
    const answers = (text: string): number => text.split('</html>').length - 1;
    for (const number of [1, 2, 3]) {
      await eventually(() => answers(got) === number, { what: `${number} answers` });
      if (number < 3) socket.write(one);
    }
    socket.end();
    assert.equal(answers(await closed), 3);
    assert.ok((await conmgr.status()).instances.every(({ link }) => link.phase === 'up'));
  });

  it('with more than 8 kB of headers is refused', async () => {
    const { port } = await scene();
    const { closed } = raw(port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(9000)}\r\n\r\n`);
    assert.match(await closed, /^HTTP\/1\.1 431 /);
  });

  it('that is not whole within 5 s is refused, and so many are taken at a time that all keep their turn', async () => {
    const { conmgr, port } = await scene();
    const before = conmgr.openDescriptors;
    const slow = Array.from({ length: 40 }, () => raw(port, 'GET / HTTP/1.1\r\nHost: localhost\r\nX: '));
    const answers = await Promise.all(slow.map(({ closed }) => closed));
    const late = answers.filter((answer) => answer.startsWith('HTTP/1.1 408 '));
    assert.equal(late.length, 8, 'eight connections at a time on each address');
    assert.equal(answers.filter((answer) => answer === '').length, 32);
    await eventually(() => conmgr.openDescriptors <= before, { what: 'their descriptors are closed' });
    assert.equal((await get(port, '/metrics')).status, 200);
  });
});
