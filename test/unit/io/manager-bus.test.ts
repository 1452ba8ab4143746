import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { askManager } from '../../../src/io/manager-bus.js';
import { managerIntent } from '../../../src/io/systemd-job.js';
import { temporaryDirectory } from '../../support/tree.js';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const UNIT = 'conmgr@app1.service';

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const padded = (bytes: Buffer, to: number): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((to - (bytes.length % to)) % to)]);
const text = (value: string): Buffer => Buffer.concat([u32(value.length), Buffer.from(`${value}\0`)]);

/** A message of a bus, by hand: a method return (2), or an error (3), with a sender and a signature before the serial. */
function reply(type: number, answers: number, body: Buffer): Buffer {
  const sender = padded(Buffer.concat([Buffer.from([7, 1, 0x73, 0]), text(':1.7')]), 8);
  const signature = padded(Buffer.from([8, 1, 0x67, 0, 1, 0x73, 0]), 8);
  const serial = Buffer.concat([Buffer.from([5, 1, 0x75, 0]), u32(answers)]);
  const fields = Buffer.concat([sender, signature, serial]);
  const head = Buffer.concat([Buffer.from([0x6c, type, 1, 1]), u32(body.length), u32(9), u32(fields.length)]);
  return Buffer.concat([padded(Buffer.concat([head, fields]), 8), body]);
}

function jobs(...list: readonly (readonly [unit: string, type: string])[]): Buffer {
  let entries: Buffer = Buffer.alloc(0);
  list.forEach(([unit, type], at) => {
    entries = Buffer.concat([padded(entries, 8), u32(at + 1)]);
    for (const word of [unit, type, 'running', `/job/${at}`, '/unit']) {
      entries = Buffer.concat([padded(entries, 4), text(word)]);
    }
  });
  return Buffer.concat([u32(entries.length), u32(0), entries]);
}

const variant = (value: string): Buffer => Buffer.concat([Buffer.from([1, 0x73, 0, 0]), text(value)]);

/** A bus that answers with these bytes when all was asked, `chunk` octets at a time. */
async function bus(
  answer: readonly Buffer[],
  chunk = 10_000,
): Promise<{ path: string; asked: () => Buffer }> {
  const path = join(temporaryDirectory(), 'bus');
  let asked: Buffer = Buffer.alloc(0);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      asked = Buffer.concat([asked, bytes]);
      if (!asked.includes('SystemState')) return;
      const all = Buffer.concat([Buffer.from('OK 0123456789abcdef\r\n'), ...answer]);
      for (let at = 0; at < all.length; at += chunk) socket.write(all.subarray(at, at + chunk));
    });
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(path, done));
  return { path, asked: () => asked };
}

const HELLO = reply(2, 1, text(':1.42'));
const answers = (state: string, ...list: readonly (readonly [string, string])[]): Buffer[] => [
  HELLO,
  reply(2, 2, jobs(...list)),
  reply(2, 3, variant(state)),
];

async function intent(answer: readonly Buffer[]): Promise<string> {
  const folder = temporaryDirectory();
  const [cgroup, systemctl] = [join(folder, 'cgroup'), join(folder, 'systemctl')];
  writeFileSync(cgroup, `0::/system.slice/${UNIT}\n`);
  writeFileSync(systemctl, `#!/bin/sh\ncase "$*" in *list-jobs*) echo 1 ${UNIT} restart running ;; esac\n`);
  chmodSync(systemctl, 0o755);
  return managerIntent({ cgroup, systemctl, bus: (await bus(answer)).path });
}

describe('the bus of systemd', () => {
  it('is asked in the words of the D-Bus specification, all at once', async () => {
    const { path, asked } = await bus(answers('running'));
    await askManager(path, new AbortController().signal);
    const user = Buffer.from(String(process.getuid?.())).toString('hex');
    const text = asked().toString('latin1');
    assert.ok(text.startsWith(`\0AUTH EXTERNAL ${user}\r\nBEGIN\r\nl\u0001\0\u0001`), text);
    // No body, the first serial number, then the fields, of which the first is the path.
    const hello = asked().subarray(text.indexOf('BEGIN\r\n') + 7);
    assert.equal(hello.readUInt32LE(4), 0);
    assert.equal(hello.readUInt32LE(8), 1);
    assert.equal(hello.subarray(16, 20).toString('hex'), '01016f00');
    assert.equal(hello.toString('latin1', 24, 45), '/org/freedesktop/DBus');
  });

  it('tells the jobs and how the host is, in whatever pieces that comes', async () => {
    for (const chunk of [1, 7, 10_000]) {
      const { path } = await bus(answers('degraded', ['a.service', 'stop'], [UNIT, 'restart']), chunk);
      assert.deepEqual(await askManager(path, new AbortController().signal), {
        jobs: [
          { unit: 'a.service', type: 'stop' },
          { unit: UNIT, type: 'restart' },
        ],
        state: 'degraded',
      });
    }
  });

  it('that refuses, talks nonsense or is not there is no answer', async () => {
    const { signal } = new AbortController();
    for (const answer of [[HELLO, reply(3, 2, text('no'))], [Buffer.from('nonsense, and a lot of it')]]) {
      await assert.rejects(askManager((await bus(answer)).path, signal));
    }
    await assert.rejects(askManager(join(temporaryDirectory(), 'bus'), signal));
  });

  it('that does not answer is given up when told to', async () => {
    const limit = new AbortController();
    const answer = askManager((await bus([HELLO])).path, limit.signal);
    setImmediate(() => limit.abort());
    await assert.rejects(answer, /too long/);
  });
});

describe('the intent of the service manager, asked over its bus', () => {
  it('is a restart when that is the job of the unit, the end of the host when that is stopping, else unknown', async () => {
    assert.equal(await intent(answers('running', ['x.service', 'start'], [UNIT, 'restart'])), 'restart');
    assert.equal(await intent(answers('running', [UNIT, 'try-restart'])), 'restart');
    assert.equal(await intent(answers('stopping', [UNIT, 'stop'])), 'hostShutdown');
    assert.equal(await intent(answers('running', [UNIT, 'stop'], ['x.service', 'restart'])), 'unknown');
  });

  it('is asked of systemctl where the bus gives no answer', async () => {
    assert.equal(await intent([HELLO, reply(3, 2, text('no'))]), 'restart');
  });
});
