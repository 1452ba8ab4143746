import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Log, MessageSpec } from '../../../src/core/messages/message.js';
import { Guard } from '../../../src/helper/guard.js';
import { type Serving, serveRequests } from '../../../src/helper/serve.js';
import { systemClock } from '../../../src/io/clock.js';
import { loadNative } from '../../../src/io/native.js';
import { temporaryDirectory } from '../../support/tree.js';
import { FakeKernel } from './fake-kernel.js';

const self = process.getuid?.() ?? 0;
const LIST = `user ${self}\ntarget 192.0.2.10 27500\n`;

describe('the socket of the helper', () => {
  const codes: string[] = [];
  const log: Log = { write: ({ code }: MessageSpec) => void codes.push(code) };
  const open: Socket[] = [];
  let kernel: FakeKernel;
  let targets: string;
  let path: string;
  let serving: Serving;

  const list = (text: string): void => {
    writeFileSync(join(targets, 'a.conf'), text);
    chmodSync(join(targets, 'a.conf'), 0o644);
  };

  /** A caller, with its answers one by one. */
  const call = async () => {
    const socket = connect(path);
    open.push(socket);
    socket.on('error', () => {});
    await once(socket, 'connect');
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    const answer = async (): Promise<Record<string, unknown> | undefined> => {
      // Whoever is cut off may see a reset.
      const { value, done } = await lines.next().catch(() => ({ value: '', done: true }));
      return done === true ? undefined : (JSON.parse(value) as Record<string, unknown>);
    };
    return { socket, answer, say: (value: object) => socket.write(`${JSON.stringify(value)}\n`) };
  };

  before(() => {
    targets = join(temporaryDirectory(), 'targets.d');
    mkdirSync(targets);
    chmodSync(targets, 0o755);
  });

  beforeEach(async () => {
    codes.length = 0;
    kernel = new FakeKernel();
    path = join(temporaryDirectory(), 'socket');
    list(LIST);
    const native = loadNative();
    assert.ok(native);
    const guard = new Guard<object>(kernel, systemClock, log);
    const abilities = { guard, guardProblem: '', routes: undefined, redirectProblem: 'none here' };
    const shared = { native, abilities, clock: systemClock, log };
    serving = await serveRequests({ socket: path, targets, listOwner: self, ...shared });
  });

  afterEach(async () => {
    for (const socket of open.splice(0)) socket.destroy();
    await serving.close();
  });

  it('can be used by its owner and group and nobody else', () => {
    assert.equal((statSync(path).mode & 0o777).toString(8), '660');
  });

  it('answers each request with its number, in order, however the bytes come', async () => {
    const { socket, answer } = await call();
    const text = [1, 2, 3].map((id) => `{"id":${id},"do":"clear"}\n`).join('');
    for (const character of text) socket.write(character);
    assert.deepEqual(
      [await answer(), await answer(), await answer()],
      [1, 2, 3].map((id) => ({ id, ok: true })),
    );
  });

  it('is closed for a user that no list names, with the reason', async () => {
    list(`user ${self + 1}\n`);
    const { answer } = await call();
    assert.match(String((await answer())?.['error']), /^no list in .* names user/);
    assert.equal(await answer(), undefined);
    assert.deepEqual(codes, ['CM5006']);
  });

  it('reads the lists anew for each caller, and for those that are there when told to', async () => {
    const early = await call();
    early.say({ id: 1, do: 'kill', target: ['192.0.2.11', 27500] });
    assert.equal((await early.answer())?.['ok'], false);
    list(`${LIST}target 192.0.2.11 27500\n`);
    const late = await call();
    late.say({ id: 1, do: 'kill', target: ['192.0.2.11', 27500] });
    assert.equal((await late.answer())?.['ok'], true);
    await serving.reload();
    early.say({ id: 2, do: 'kill', target: ['192.0.2.11', 27500] });
    assert.equal((await early.answer())?.['ok'], true);
  });

  it('ends a caller that says too long a line, and serves the others', async () => {
    const [bad, good] = [await call(), await call()];
    bad.socket.write('x'.repeat(100_000));
    assert.equal(await bad.answer(), undefined);
    good.say({ id: 1, do: 'clear' });
    assert.deepEqual(await good.answer(), { id: 1, ok: true });
  });

  it('answers garbage with an error and keeps the caller', async () => {
    const { socket, answer, say } = await call();
    socket.write('\u0000\u0001\n[]\n{"id":"x"}\n{"id":4,"do":"rm"}\n');
    const errors = [await answer(), await answer(), await answer(), await answer()].map((one) => one?.['ok']);
    assert.deepEqual(errors, [false, false, false, false]);
    say({ id: 5, do: 'clear' });
    assert.deepEqual(await answer(), { id: 5, ok: true });
  });

  it('serves others at once while one floods it, and lets that one wait', async () => {
    const [flood, good] = [await call(), await call()];
    const begun = performance.now();
    for (let id = 1; id <= 2000; id += 1) flood.say({ id, do: 'kill', target: ['192.0.2.10', 27500] });
    good.say({ id: 1, do: 'clear' });
    assert.deepEqual(await good.answer(), { id: 1, ok: true });
    assert.ok(performance.now() - begun < 5000, 'not after the 27 s that the flood takes');
    for (let id = 1; id <= 256 + 16; id += 1) assert.equal((await flood.answer())?.['id'], id);
    const tookMs = performance.now() - begun;
    assert.ok(tookMs > (16 / 64) * 1000 - 5, `256 at once and 64 a second; 16 more after ${tookMs} ms`);
  });

  it('comes to a caller between two requests of those that flood it, however long each takes', async () => {
    const floods = await Promise.all(Array.from({ length: 8 }, () => call()));
    const good = await call();
    const looked = kernel.list.bind(kernel);
    kernel.list = (...args) => {
      const until = performance.now() + 1;
      while (performance.now() < until);
      return looked(...args);
    };
    const line = (id: number): string =>
      `${JSON.stringify({ id, do: 'kill', target: ['192.0.2.10', 27500] })}\n`;
    const flood = Array.from({ length: 256 }, (_, at) => line(at + 1)).join('');
    for (const { socket } of floods) socket.write(flood);
    await floods[0]?.answer();
    const begun = performance.now();
    good.say({ id: 1, do: 'kill', target: ['192.0.2.10', 27500] });
    assert.deepEqual(await good.answer(), { id: 1, ok: true, ended: 0 });
    const tookMs = performance.now() - begun;
    assert.ok(tookMs < 1000, `after ${tookMs} ms; the flood takes more than 4 s`);
  });

  it('does not hear a caller that reads no answers, nor keep more of it than the kernel does', async () => {
    const { socket } = await call();
    socket.pause();
    const line = `${JSON.stringify({ id: 1, do: 'nonsense', padding: 'x'.repeat(7000) })}\n`;
    let written = 0;
    // Its own send buffer fills up when the helper has stopped reading.
    while (socket.write(line) && written < 5000) written += 1;
    const { say, answer } = await call();
    say({ id: 1, do: 'clear' });
    assert.deepEqual(await answer(), { id: 1, ok: true });
  });

  it('has room for 16 connections of one user', async () => {
    for (let count = 0; count < 16; count += 1) {
      const { say, answer } = await call();
      say({ id: 1, do: 'clear' });
      assert.deepEqual(await answer(), { id: 1, ok: true });
    }
    const { answer } = await call();
    assert.equal((await answer())?.['error'], 'too many connections');
  });

  it('takes back what a caller asked for when it is gone', async () => {
    const { socket, say, answer } = await call();
    say({ id: 1, do: 'sweep', target: ['192.0.2.10', 27500], on: true });
    assert.deepEqual(await answer(), { id: 1, ok: true });
    socket.destroy();
    const next = await call();
    next.say({ id: 1, do: 'sweep', target: ['192.0.2.10', 27500], on: false });
    assert.deepEqual(await next.answer(), { id: 1, ok: true, ended: 0 });
  });

  it('replaces what a helper that was killed has left', async () => {
    await serving.close();
    const { Server } = await import('node:net');
    const dead = new Server().listen(path);
    await once(dead, 'listening');
    const native = loadNative();
    assert.ok(native);
    const guard = new Guard<object>(kernel, systemClock, log);
    const abilities = { guard, guardProblem: '', routes: undefined, redirectProblem: '' };
    serving = await serveRequests({
      socket: path,
      targets,
      listOwner: self,
      native,
      abilities,
      clock: systemClock,
      log,
    });
    const { say, answer } = await call();
    say({ id: 1, do: 'clear' });
    assert.deepEqual(await answer(), { id: 1, ok: true });
    dead.close();
  });
});
