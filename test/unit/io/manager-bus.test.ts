import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { askFileLimit, askManager, unitPath } from '../../../src/io/manager-bus.js';
import { managerIntent, nextFileLimit } from '../../../src/io/systemd-job.js';
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
      if (!asked.includes('SystemState') && !asked.includes('LimitNOFILE')) return;
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

/** The answer of Get for a number of 64 bits. */
function limitAnswer(value: bigint): Buffer[] {
  const number = Buffer.alloc(8);
  number.writeBigUInt64LE(value);
  return [HELLO, reply(2, 2, Buffer.concat([Buffer.from([1, 0x74, 0, 0, 0, 0, 0, 0]), number]))];
}

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

describe('the open files of the next process', () => {
  /** What systemctl says where the bus does not answer. */
  async function limit(answer: readonly Buffer[], said = 'exit 1', cgroup = `0::/system.slice/${UNIT}\n`) {
    const folder = temporaryDirectory();
    const [file, systemctl] = [join(folder, 'cgroup'), join(folder, 'systemctl')];
    writeFileSync(file, cgroup);
    writeFileSync(systemctl, `#!/bin/sh\n${said}\n`);
    chmodSync(systemctl, 0o755);
    const { path, asked } = await bus(answer);
    return { found: await nextFileLimit({ cgroup: file, systemctl, bus: path }), asked: asked().toString() };
  }

  it('are LimitNOFILE= of the unit, which systemd is asked for', async () => {
    const { found, asked } = await limit(limitAnswer(20_000n));
    assert.equal(found, 20_000);
    assert.ok(asked.includes('/org/freedesktop/systemd1/unit/conmgr_40app1_2eservice\0'), asked);
    assert.ok(asked.includes('org.freedesktop.systemd1.Service\0'), asked);
    assert.equal((await limit(limitAnswer(2n ** 64n - 1n))).found, Number.POSITIVE_INFINITY);
  });

  it('are those that systemctl shows where the bus gives no answer, and for a user', async () => {
    const refused = [HELLO, reply(3, 2, text('no'))];
    assert.equal((await limit(refused, 'echo 4096')).found, 4096);
    assert.equal((await limit(refused, 'echo infinity')).found, Number.POSITIVE_INFINITY);
    const user = '0::/user.slice/user-1.slice/user@1.service/app.slice/conmgr@a.service\n';
    const said = 'test "$*" = "--user show --property=LimitNOFILE --value -- conmgr@a.service" && echo 512';
    const { found, asked } = await limit(limitAnswer(1n), said, user);
    assert.equal(found, 512);
    assert.equal(asked, '');
  });

  it('are not known without a unit or an answer', async () => {
    assert.equal((await limit(limitAnswer(1n), 'echo 1', '0::/\n')).found, undefined);
    assert.equal((await limit([HELLO, reply(3, 2, text('no'))])).found, undefined);
    assert.equal((await limit([HELLO, reply(2, 2, variant('text'))], 'echo much')).found, undefined);
  });

  it('are asked of the object that has the name of the unit', async () => {
    assert.equal(unitPath('1a.service'), '/org/freedesktop/systemd1/unit/_31a_2eservice');
    assert.equal(
      unitPath('conmgr@a\\x2db.service'),
      '/org/freedesktop/systemd1/unit/conmgr_40a_5cx2db_2eservice',
    );
    const signal = new AbortController().signal;
    await assert.rejects(askFileLimit((await bus([HELLO, reply(3, 2, text('no'))])).path, UNIT, signal));
  });
});
