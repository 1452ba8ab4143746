import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HelperClient, HelperRefusal, HelperUnreachable } from '../../../src/io/helper-client.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';
import { temporaryDirectory } from '../../support/tree.js';

describe('the connection to conmgr-helper', () => {
  const clients: HelperClient[] = [];
  let clock: FakeClock;
  let path: string;
  let server: Server | undefined;
  let sockets: Socket[];
  let down: HelperUnreachable[];
  let ups: number;
  /** Answers one line; undefined: says nothing. */
  let answer: (line: { readonly id: number }) => string | undefined;

  const listen = async (): Promise<void> => {
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        const lines = text.split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) {
          const said = answer(JSON.parse(line) as { id: number });
          if (said !== undefined) socket.write(said);
        }
      });
    });
    await once(server.listen(path), 'listening');
  };
  const unlisten = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => (closing === undefined ? resolve(0) : closing.close(resolve)));
  };
  const start = (): HelperClient => {
    const client = new HelperClient({
      path,
      clock,
      onUp: () => {
        ups += 1;
      },
      onDown: (error) => down.push(error),
    });
    clients.push(client);
    client.start();
    return client;
  };
  const up = (count = 1) => eventually(() => ups >= count, { everyMs: 1, what: `connection ${count}` });
  const lost = (count = 1) =>
    eventually(() => down.length >= count, { everyMs: 1, what: `failure ${count}` });

  beforeEach(() => {
    clock = new FakeClock();
    path = join(temporaryDirectory(), 's');
    [sockets, down, ups] = [[], [], 0];
    answer = ({ id }) => `${JSON.stringify({ id, ok: true })}\n`;
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await unlisten();
  });

  it('gives each answer to its question, also in pieces and out of order', async () => {
    const held: string[] = [];
    answer = (line) => {
      held.unshift(JSON.stringify({ ...line, ok: true }));
      return undefined;
    };
    await listen();
    const client = start();
    await up();
    const [one, two] = [client.ask({ name: 'one' }), client.ask({ name: 'two' })];
    await eventually(() => held.length === 2, { everyMs: 1, what: 'both questions' });
    for (const piece of `${held.join('\n')}\n`.match(/.{1,7}|\n/gs) ?? []) sockets[0]!.write(piece);
    assert.deepEqual([(await one)['name'], (await two)['name']], ['one', 'two']);
  });

  it('tells a refusal from a helper that is gone', async () => {
    answer = ({ id }) => `${JSON.stringify({ id, ok: false, error: 'not allowed: 10.0.0.1:1' })}\n`;
    await listen();
    const client = start();
    await up();
    await assert.rejects(client.ask({}), new HelperRefusal('not allowed: 10.0.0.1:1'));
    assert.equal(client.connected, true);
    answer = () => undefined;
    const open = client.ask({});
    await unlisten();
    await assert.rejects(open, (error) => error instanceof HelperUnreachable);
    await assert.rejects(client.ask({}), /there is no connection/);
  });

  it('tries again after a pause that doubles up to 5 s, and from 250 ms on once it was answered', async () => {
    const client = start();
    for (const [count, pauseMs] of [250, 500, 1000, 2000, 4000, 5000, 5000].entries()) {
      await lost(count + 1);
      assert.equal(down.at(-1)?.code, 'ENOENT');
      clock.advance(pauseMs - 1);
      assert.equal(clock.pending, 1, 'it waits');
      clock.advance(1);
    }
    await lost(8);
    await listen();
    clock.advance(5000);
    await up();
    await client.ask({});
    await unlisten();
    await lost(9);
    clock.advance(250);
    await lost(10);
  });

  it('gives up on a helper that hangs for 5 s, and connects again', async () => {
    answer = () => undefined;
    await listen();
    const client = start();
    await up();
    const question = client.ask({});
    question.catch(() => {});
    clock.advance(4999);
    assert.equal(client.connected, true);
    clock.advance(1);
    await assert.rejects(question, /no answer within 5 s/);
    await lost();
    clock.advance(250);
    await up(2);
  });

  it('waits on as long as answers come', async () => {
    const held: number[] = [];
    answer = ({ id }) => {
      held.push(id);
      return undefined;
    };
    await listen();
    const client = start();
    await up();
    const all = [client.ask({}), client.ask({}), client.ask({})];
    await eventually(() => held.length === 3, { everyMs: 1, what: 'all questions' });
    for (const [at, id] of held.entries()) {
      clock.advance(4000);
      sockets[0]!.write(`${JSON.stringify({ id, ok: true })}\n`);
      await all[at];
    }
  });

  for (const [what, said] of [
    ['what is no JSON', 'hello\n'],
    ['JSON that is no answer', 'null\n'],
    ['a line without end', 'x'.repeat(4 * 1024 * 1024 + 1)],
  ] as const) {
    it(`takes ${what} for a helper that is gone`, async () => {
      answer = () => said;
      await listen();
      const client = start();
      await up();
      await assert.rejects(client.ask({}), (error) => error instanceof HelperUnreachable);
      await lost();
      assert.equal(client.connected, false);
    });
  }

  it('passes over an answer that nobody waits for', async () => {
    answer = ({ id }) => `{"id":77,"ok":true}\n${JSON.stringify({ id, ok: true })}\n`;
    await listen();
    const client = start();
    await up();
    assert.equal((await client.ask({}))['ok'], true);
  });

  it('hears why it is not served at all', async () => {
    answer = () => '{"id":0,"ok":false,"error":"no list names user app"}\n';
    await listen();
    const client = start();
    await up();
    await assert.rejects(client.ask({}), /no list names user app/);
    await lost();
    assert.deepEqual([down[0]?.code, down[0]?.message], ['REFUSED', 'no list names user app']);
  });

  it('says no more than 256 questions at once, and the others, in order, when answers have come', async () => {
    const asked: number[] = [];
    let silent = true;
    answer = ({ id }) => {
      asked.push(id);
      return silent ? undefined : `${JSON.stringify({ id, ok: true })}\n`;
    };
    await listen();
    const client = start();
    await up();
    const waiting = Array.from({ length: 300 }, () => client.ask({}));
    await eventually(() => asked.length === 256, { what: 'all that may be said at once' });
    silent = false;
    for (const id of asked.slice()) sockets[0]?.write(`${JSON.stringify({ id, ok: true })}\n`);
    await Promise.all(waiting);
    assert.deepEqual(
      asked,
      Array.from({ length: 300 }, (_, at) => at + 1),
    );
  });

  it('keeps at most 16384 questions', async () => {
    answer = () => undefined;
    await listen();
    const client = start();
    await up();
    const waiting = Array.from({ length: 16 * 1024 }, () => client.ask({}));
    for (const one of waiting) one.catch(() => {});
    await assert.rejects(client.ask({}), /too many requests/);
    client.close();
    await Promise.allSettled(waiting);
  });

  it('says nothing more once it was closed', async () => {
    await listen();
    const client = start();
    await up();
    const open = client.ask({});
    client.close();
    await assert.rejects(open);
    clock.advance(60_000);
    assert.deepEqual([down.length, ups], [0, 1]);
  });
});
