import assert from 'node:assert/strict';
import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { denyAccess } from '../../../src/io/tls-denial.js';
import { eventually } from '../../support/eventually.js';

let server: net.Server;
let port: number;
let told: string[] = [];

before(async () => {
  server = net.createServer((raw) => {
    denyAccess(raw, {
      plain: () => {
        told.push('plain');
        raw.once('data', (chunk: Buffer) => raw.end(`heard ${chunk.toString()}`));
        raw.resume();
      },
      denied: () => told.push('denied'),
      closed: () => told.push('closed'),
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as net.AddressInfo).port;
});
after(() => {
  server.close();
});

describe('who may not connect where others speak TLS', () => {
  it('is told so by an alert when it speaks TLS', async () => {
    told = [];
    const client = tls.connect({ port, host: '127.0.0.1' });
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    assert.match(error.code ?? '', /ALERT_ACCESS_DENIED$/);
    await eventually(() => told.join() === 'denied,closed', { what: 'it is over' });
  });

  it('is left to be answered when it does not, with all that it has said', async () => {
    told = [];
    const client = net.connect(port, '127.0.0.1', () => client.write('hello'));
    const [answer] = (await once(client, 'data')) as [Buffer];
    assert.equal(answer.toString(), 'heard hello');
    client.destroy();
    assert.deepEqual(told, ['plain']);
  });

  it('is closed after three seconds when it says nothing', async () => {
    told = [];
    const client = net.connect(port, '127.0.0.1');
    client.on('error', () => {});
    client.resume();
    const from = performance.now();
    await once(client, 'close');
    const tookMs = performance.now() - from;
    assert.ok(tookMs > 2500 && tookMs < 5000, `${tookMs} ms`);
    await eventually(() => told.join() === 'closed', { what: 'it is over' });
  });
});
