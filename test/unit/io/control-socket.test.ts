import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  askControl,
  type ControlClient,
  ControlUnavailable,
  type ControlUnavailableReason,
  serveControl,
  watchControl,
} from '../../../src/io/control-socket.js';

const root = mkdtempSync(join(tmpdir(), 'control-'));
const opened: { close(): Promise<void> }[] = [];
after(async () => {
  for (const server of opened) await server.close();
  rmSync(root, { recursive: true });
});
let made = 0;
function directory(suffix = ''): string {
  made += 1;
  const path = join(root, `d${made}${suffix}`);
  mkdirSync(path, { mode: 0o700 });
  return path;
}

const NAME = 'test.sock';
type OnLine = (line: string, client: ControlClient) => void;
const echo: OnLine = (line, client) => client.send({ ok: true, accepted: JSON.parse(line).command });

async function serve(path: string, onLine: OnLine = echo, maxRequestBytes = 4096) {
  const server = await serveControl({ directory: path, name: NAME, maxRequestBytes, onLine });
  opened.push(server);
  return server;
}

async function raw(path: string): Promise<Socket> {
  const socket = connect(join(path, NAME));
  await once(socket, 'connect');
  return socket;
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

function unavailable(reason: ControlUnavailableReason) {
  return (error: unknown) => error instanceof ControlUnavailable && error.reason === reason;
}

describe('serveControl', () => {
  it('answers a request line with a line', async () => {
    const path = directory();
    const server = await serve(path);
    assert.deepEqual(await askControl(path, { command: 'status' }, { name: NAME }), {
      ok: true,
      accepted: 'status',
    });
    await server.close();
  });

  it('makes a socket that only its owner may use, whatever the umask', async () => {
    const path = directory();
    const mask = process.umask(0);
    try {
      const server = await serve(path);
      assert.equal(statSync(join(path, NAME)).mode & 0o777, 0o600);
      assert.equal(process.umask(), 0);
      await server.close();
    } finally {
      process.umask(mask);
    }
  });

  it('removes its socket when closed', async () => {
    const path = directory();
    const server = await serve(path);
    await server.close();
    assert.equal(existsSync(join(path, NAME)), false);
    await assert.rejects(askControl(path, { command: 'status' }, { name: NAME }), unavailable('not running'));
  });

  it('replaces a socket that a dead process left', async () => {
    const path = directory();
    // A socket file that outlives its listener: the name is taken away from the first one while it closes.
    const dead = createServer();
    dead.listen(join(path, 'other'));
    await once(dead, 'listening');
    linkSync(join(path, 'other'), join(path, NAME));
    dead.close();
    await once(dead, 'close');
    assert.ok(statSync(join(path, NAME)).isSocket());
    await assert.rejects(askControl(path, { command: 'status' }, { name: NAME }), unavailable('not running'));
    const server = await serve(path);
    assert.ok(await askControl(path, { command: 'status' }, { name: NAME }));
    await server.close();
  });

  it('does not touch a file or a symbolic link of that name', async () => {
    for (const place of [
      (path: string) => writeFileSync(path, 'mine'),
      (path: string) => symlinkSync('/nowhere', path),
    ]) {
      const path = directory();
      place(join(path, NAME));
      await assert.rejects(serve(path), { code: 'EADDRINUSE' });
    }
  });

  it('works in a directory whose name is too long for a socket address', async () => {
    const path = directory('x'.repeat(150));
    const server = await serve(path);
    assert.ok(statSync(join(path, NAME)).isSocket());
    assert.ok(await askControl(path, { command: 'status' }, { name: NAME }));
    await server.close();
    assert.equal(existsSync(join(path, NAME)), false);
  });

  it('puts a line together from any pieces', async () => {
    const path = directory();
    const server = await serve(path);
    const socket = await raw(path);
    socket.setNoDelay(true);
    for (const byte of Buffer.from('{"command":"zürich"}\n{"command":"b"}\n')) socket.write(Buffer.of(byte));
    socket.end();
    assert.equal(await readAll(socket), '{"ok":true,"accepted":"zürich"}\n{"ok":true,"accepted":"b"}\n');
    await server.close();
  });

  it('ends a connection whose request is too long, before it is complete', async () => {
    const path = directory();
    const server = await serve(path, echo, 100);
    const socket = await raw(path);
    socket.on('error', () => {});
    socket.write('x'.repeat(101));
    await once(socket, 'close');
    const fitting = await raw(path);
    fitting.end(JSON.stringify({ command: 'x'.repeat(100 - '{"command":""}'.length) }) + '\n');
    assert.match(await readAll(fitting), /"ok":true/);
    await server.close();
  });

  it('answers a caller that closes its sending side first, then closes', async () => {
    const path = directory();
    let answer: () => void = () => assert.fail('no request');
    const asked = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let client: ControlClient | undefined;
    const server = await serve(path, (_line, from) => {
      client = from;
      answer();
    });
    const socket = await raw(path);
    socket.end('{"command":"late"}\n');
    await asked;
    await turn();
    client?.send('late');
    assert.equal(await readAll(socket), '"late"\n');
    await server.close();
  });

  it('keeps only the newest value for a caller that does not read', async () => {
    const path = directory();
    let client: ControlClient | undefined;
    const server = await serve(path, (_line, from) => {
      client = from;
      from.send({ n: 0 });
    });
    const socket = await raw(path);
    socket.write('{"command":"watch"}\n');
    await once(socket, 'readable');
    socket.pause();
    const padding = 'x'.repeat(100_000);
    for (let n = 1; n <= 200; n++) client?.send({ n, padding });
    client?.end();
    const lines = (await readAll(socket)).trim().split('\n');
    const numbers = lines.map((line) => (JSON.parse(line) as { n: number }).n);
    assert.equal(numbers[0], 0);
    assert.equal(numbers.at(-1), 200);
    assert.ok(numbers.length < 100, `${numbers.length} values were kept`);
    await server.close();
  });

  it('takes no further request from a caller that does not read its answers', async () => {
    const path = directory();
    let requests = 0;
    const server = await serve(path, (_line, client) => {
      requests += 1;
      client.send('x'.repeat(1_000_000));
    });
    const socket = await raw(path);
    socket.write('{}\n'.repeat(50));
    await once(socket, 'readable');
    assert.ok(requests < 50, `${requests} requests were taken`);
    socket.end();
    const answers = (await readAll(socket)).trim().split('\n');
    assert.equal(answers.length, 50);
    assert.equal(requests, 50);
    await server.close();
  });

  it('tells when a caller has gone', async () => {
    const path = directory();
    let gone: () => void = () => {};
    const closed = new Promise<void>((resolve) => {
      gone = resolve;
    });
    const server = await serve(path, (_line, client) => {
      client.onClose(gone);
      client.send(1);
    });
    const watch = await watchControl(path, () => watch.close(), { name: NAME });
    await closed;
    await server.close();
  });
});

describe('askControl', () => {
  const reasons: readonly [ControlUnavailableReason, string, (path: string) => string][] = [
    ['no directory', 'a missing directory', (path) => join(path, 'missing')],
    [
      'no directory',
      'a file',
      (path) => {
        writeFileSync(join(path, 'file'), '');
        return join(path, 'file');
      },
    ],
    ['not running', 'a directory without socket', (path) => path],
  ];
  for (const [reason, what, place] of reasons) {
    it(`says "${reason}" for ${what}`, async () => {
      await assert.rejects(askControl(place(directory()), { command: 'status' }), unavailable(reason));
    });
  }

  it('says "timeout" when the process takes the request and does not answer', async () => {
    const path = directory();
    const server = await serve(path, () => {});
    await assert.rejects(
      askControl(path, { command: 'status' }, { name: NAME, timeoutMs: 20 }),
      unavailable('timeout'),
    );
    await server.close();
  });

  it('says "not running" when the process goes instead of answering', async () => {
    const path = directory();
    const server = await serve(path, () => void server.close());
    await assert.rejects(askControl(path, { command: 'status' }, { name: NAME }), unavailable('not running'));
  });

  it('says "no answer" when what listens speaks something else', async () => {
    const path = directory();
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n'));
    server.listen(join(path, NAME));
    await once(server, 'listening');
    await assert.rejects(askControl(path, { command: 'status' }, { name: NAME }), unavailable('no answer'));
    server.close();
  });
});

describe('watchControl', () => {
  it('hands on every value until the process closes', async () => {
    const path = directory();
    const server = await serve(path, (line, client) => {
      assert.equal(line, '{"command":"watch"}');
      for (const n of [1, 2, 3]) client.send(n);
      client.end();
    });
    const seen: unknown[] = [];
    const watch = await watchControl<unknown>(path, (value) => seen.push(value), { name: NAME });
    await watch.closed;
    assert.deepEqual(seen, [1, 2, 3]);
    await server.close();
  });
});
