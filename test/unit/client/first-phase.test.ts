import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { CmError } from '../../../src/client/errors.js';
import { type Asked, type AskRequest, askHost, firstPacket, judge } from '../../../src/client/first-phase.js';
import { CLIENT_MESSAGES } from '../../../src/core/messages/client.js';
import { ASK_OPTION } from '../../../src/core/protocol/ask.js';
import { readFirstPacket } from '../../../src/core/protocol/startup.js';
import { FakeConmgr, offering } from '../../support/fake-conmgr.js';
import { FakeInstance } from '../../support/fake-instance.js';
import { freePort } from '../../support/free-ports.js';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function request(port: number, more: Partial<AskRequest> = {}): AskRequest {
  return {
    host: { host: '127.0.0.1', port, hostaddr: '' },
    ask: { target: 'any', prefer: [], exclude: [], attach: undefined, ping: false, app: 'test' },
    user: 'me',
    database: 'db',
    tlsRequired: false,
    allowRemote: false,
    timeoutMs: 5000,
    ...more,
  };
}

async function ask(port: number, more: Partial<AskRequest> = {}): Promise<Asked> {
  const asked = await askHost(request(port, more));
  if (asked.kind === 'conmgr') closing.push(() => void asked.socket.destroy());
  return asked;
}

/** A server that does what `receive` says with each connection. */
async function peer(receive: (socket: Socket) => void): Promise<number> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    receive(socket);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return port;
}

async function instance(behaviour: ConstructorParameters<typeof Object>[0] = {}): Promise<FakeInstance> {
  const fake = await FakeInstance.start(behaviour);
  closing.push(() => fake.stop());
  return fake;
}

async function conmgr(script: Parameters<typeof FakeConmgr.start>[0]): Promise<FakeConmgr> {
  const fake = await FakeConmgr.start(script);
  closing.push(() => fake.stop());
  return fake;
}

function paramsOf(packet: Buffer): ReadonlyMap<string, string> {
  const read = readFirstPacket(packet);
  assert.ok(read.kind === 'startup');
  return read.params;
}

const rejectsWith =
  (cmCode: string | undefined, code = '08001') =>
  (error: unknown) => {
    assert.ok(error instanceof CmError, String(error));
    assert.equal(error.cmCode, cmCode);
    assert.equal(error.code, code);
    return true;
  };

describe('the first packet of an aware client', () => {
  it('is a start-up packet with the question, user and database', () => {
    const params = paramsOf(firstPacket(request(1)));
    assert.equal(params.get('user'), 'me');
    assert.equal(params.get('database'), 'db');
    assert.match(params.get(ASK_OPTION) ?? '', /^1 target_session_attrs=any/);
  });

  it('holds nothing but the question where TLS is required', () => {
    assert.deepEqual([...paramsOf(firstPacket(request(1, { tlsRequired: true }))).keys()], [ASK_OPTION]);
  });
});

describe('a conmgr on another host', () => {
  const answer = { kind: 'conmgr', graceMs: 0, candidates: [] } as const;

  it("is not believed, because its plain text could be anybody's", () => {
    for (const address of ['10.0.0.1', '::ffff:10.0.0.1', 'fe80::1']) {
      assert.throws(() => judge(answer, request(1), address), rejectsWith(CLIENT_MESSAGES.remoteConmgr.code));
    }
  });

  it('is believed when the application allows it, and one on this host always', () => {
    assert.equal(judge(answer, request(1, { allowRemote: true }), '10.0.0.1'), answer);
    assert.equal(judge(answer, request(1), '::1'), answer);
  });

  it('does not matter for a server, which is used directly', () => {
    assert.equal(judge({ kind: 'server' }, request(1), '10.0.0.1'), 'direct');
  });
});

describe('asking a host', () => {
  it('gives the candidates of a conmgr and the connection that stays open', async () => {
    const fake = await conmgr(offering([{ instance: 3, port: 5432 }], 7000));
    const asked = await ask(fake.port);
    assert.ok(asked.kind === 'conmgr');
    assert.deepEqual(
      asked.candidates.map((one) => one.instance),
      [3],
    );
    assert.equal(asked.graceMs, 7000);
    assert.equal(asked.socket.destroyed, false);
    assert.equal(fake.sessions[0]?.ask.app, 'test');
  });

  it('finds a server, with and without a user name', async () => {
    const fake = await instance();
    assert.equal((await ask(fake.port)).kind, 'direct');
    assert.equal((await ask(fake.port, { tlsRequired: true })).kind, 'direct');
  });

  it('leaves a server that wants a password without a reset and without a word', async () => {
    const fake = await instance({ wantsPassword: true });
    assert.equal((await ask(fake.port)).kind, 'direct');
    assert.deepEqual(fake.passwords, []);
  });

  it('finds a server or pooler that passes the option over, and one that chokes on it', async () => {
    const ignoring = await instance({ onUnknownOption: 'ignore' });
    const choking = await instance({ onUnknownOption: 'choke' });
    assert.equal((await ask(ignoring.port)).kind, 'direct');
    assert.equal((await ask(choking.port)).kind, 'direct');
  });

  it("gives conmgr's own words and code when it refuses", async () => {
    const fake = await conmgr((session) =>
      session.refuse('57P03', 'conmgr: no primary', 'instance 1 is down'),
    );
    await assert.rejects(ask(fake.port), (error: unknown) => {
      assert.ok(error instanceof CmError);
      assert.deepEqual(
        [error.code, error.message, error.detail],
        ['57P03', 'conmgr: no primary', 'instance 1 is down'],
      );
      return true;
    });
  });

  it('fails when nobody listens', async () => {
    await assert.rejects(ask(await freePort()), rejectsWith(CLIENT_MESSAGES.unreachable.code));
  });

  it('fails when the peer closes without an answer', async () => {
    const port = await peer((socket) => socket.end());
    await assert.rejects(ask(port), rejectsWith(CLIENT_MESSAGES.closed.code));
  });

  it('fails when the peer speaks something else', async () => {
    const port = await peer((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await assert.rejects(ask(port), rejectsWith(CLIENT_MESSAGES.violation.code));
  });

  it('fails when the peer does not answer in time', async () => {
    const port = await peer(() => {});
    await assert.rejects(ask(port, { timeoutMs: 30 }), rejectsWith(CLIENT_MESSAGES.timeout.code));
  });

  it('ends when it is given up', async () => {
    const giveUp = new AbortController();
    const port = await peer(() => giveUp.abort());
    await assert.rejects(ask(port, { signal: giveUp.signal }), rejectsWith(CLIENT_MESSAGES.ended.code));
    await assert.rejects(ask(port, { signal: giveUp.signal }), rejectsWith(CLIENT_MESSAGES.ended.code));
  });

  it('takes an answer in single octets', async () => {
    const fake = await conmgr((session) => {
      const { socket } = session;
      const write = socket.write.bind(socket);
      socket.setNoDelay(true);
      socket.write = ((bytes: Buffer) => {
        for (const octet of bytes) write(Buffer.from([octet]));
        return true;
      }) as typeof socket.write;
      session.offer([{ instance: 1, port: 5432 }]);
    });
    assert.equal((await ask(fake.port)).kind, 'conmgr');
  });
});
