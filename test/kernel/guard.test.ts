import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import type { Running } from '../support/running.js';
import { type Caller, callHelper } from './caller.js';
import { ANSWERING, NOBODY, SILENT, setUpNetwork, socketPath, startHelper, targetLists } from './place.js';

/** A connection and how it ended. */
interface Session {
  readonly socket: Socket;
  readonly ended: Promise<string>;
  isOver(): boolean;
}

function session(host: string, port: number, localAddress?: string): Session {
  const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
  let over = false;
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('close', () => resolve('no error'));
  }).finally(() => {
    over = true;
  });
  return { socket, ended, isOver: () => over };
}

async function established(host: string, port: number): Promise<Session> {
  const made = session(host, port);
  await once(made.socket, 'connect');
  return made;
}

describe('the guard, in the kernel', () => {
  const servers: Server[] = [];
  const sessions: Session[] = [];
  let helper: Running;
  let caller: Caller;
  let port: number;
  let otherPort: number;

  const serve = async (host: string, at: number): Promise<number> => {
    const server = createServer((socket) => socket.on('error', () => {}));
    servers.push(server);
    server.listen({ host, port: at, backlog: 4096 });
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const keep = (made: Session): Session => {
    sessions.push(made);
    return made;
  };

  before(async () => {
    setUpNetwork();
    [port, otherPort] = [await freePort(), await freePort()];
    for (const host of ['127.0.0.1', '127.0.0.2', ANSWERING.ipv4, ANSWERING.ipv6]) {
      await serve(host, port);
      await serve(host, otherPort);
    }
    const list = ['127.0.0.1', ANSWERING.ipv4, ANSWERING.ipv6, SILENT.ipv4, SILENT.ipv6]
      .map((address) => `target ${address} ${port}\n`)
      .join('');
    const socket = socketPath();
    helper = startHelper(['--socket', socket, '--targets', targetLists(`user 0\nuser ${NOBODY}\n${list}`)]);
    caller = await callHelper(socket);
  });

  afterEach(async () => {
    await caller.ask({ do: 'clear' });
    // Reset, so that nothing of one test lingers in the kernel while the next counts.
    for (const { socket } of sessions.splice(0)) {
      // One that still connects would be reset only once it has.
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
  });

  after(() => {
    caller.close();
    helper.kill();
    for (const server of servers) server.close();
  });

  it('is held by a process with one capability, and says so', async () => {
    const { guard, refused } = await caller.ask({ do: 'probe', targets: [[ANSWERING.ipv4, port]] });
    assert.deepEqual([guard, refused], [null, []]);
    const status = await import('node:fs').then(({ readFileSync }) =>
      readFileSync(`/proc/${helper.pid}/status`, 'utf8'),
    );
    for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      assert.match(status, new RegExp(`${set}:\\s+0000000000001000`), set);
    }
    assert.match(status, new RegExp(`Uid:\\s+${NOBODY}\\s+${NOBODY}\\s+${NOBODY}`));
  });

  it('ends IPv4, IPv6 and v4-mapped connections to the lost server, and each is told at once', async () => {
    const four = [
      keep(await established(ANSWERING.ipv4, port)),
      keep(await established(`::ffff:${ANSWERING.ipv4}`, port)),
    ];
    const six = keep(await established(ANSWERING.ipv6, port));
    const begun = performance.now();
    assert.deepEqual(await caller.ask({ do: 'kill', target: [ANSWERING.ipv4, port] }), {
      ok: true,
      ended: 2,
    });
    for (const { ended } of four) assert.equal(await ended, 'ECONNABORTED');
    assert.ok(performance.now() - begun < 150, 'within 150 ms');
    assert.equal(six.isOver(), false);
    assert.deepEqual(await caller.ask({ do: 'kill', target: [ANSWERING.ipv6, port] }), {
      ok: true,
      ended: 1,
    });
    assert.equal(await six.ended, 'ECONNABORTED');
  });

  it('leaves 1,000 connections to other servers and ports alone', async () => {
    const others: Session[] = [];
    for (let at = 0; at < 250; at += 1) {
      const made = await Promise.all([
        established('127.0.0.1', otherPort),
        established('127.0.0.2', port),
        established(ANSWERING.ipv6, port),
        established(`::ffff:${ANSWERING.ipv4}`, otherPort),
      ]);
      others.push(...made.map(keep));
    }
    const lost = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        established(at % 2 === 0 ? '127.0.0.1' : '::ffff:127.0.0.1', port),
      ),
    );
    assert.deepEqual(await caller.ask({ do: 'kill', target: ['127.0.0.1', port] }), { ok: true, ended: 50 });
    for (const { ended } of lost) assert.equal(await ended, 'ECONNABORTED');
    // Whatever else was ended would be told by now: it takes a round trip through each of them.
    await Promise.all(
      others.map(({ socket }) => new Promise((resolve) => socket.write('still here\n', resolve))),
    );
    assert.equal(others.filter(({ isOver }) => isOver()).length, 0);
    assert.equal(others.filter(({ socket }) => !socket.destroyed).length, 1000);
  });

  it('spares the local ports that it is told to spare', async () => {
    const [one, two] = [
      keep(await established('127.0.0.1', port)),
      keep(await established('127.0.0.1', port)),
    ];
    const spare = [one.socket.localPort];
    assert.deepEqual(await caller.ask({ do: 'kill', target: ['127.0.0.1', port], spare }), {
      ok: true,
      ended: 1,
    });
    assert.equal(await two.ended, 'ECONNABORTED');
    assert.equal(one.isOver(), false);
  });

  it('does not end the connections of the server itself, nor what listens', async () => {
    const mine = keep(await established('127.0.0.1', port));
    // Its other end has the server's port as its own.
    const answer = await caller.ask({ do: 'kill', target: ['127.0.0.1', port] });
    assert.deepEqual(answer, { ok: true, ended: 1 });
    await mine.ended;
    const again = await established('127.0.0.1', port);
    keep(again);
    assert.equal(again.isOver(), false);
  });

  for (const [kind, address] of [
    ['IPv4', SILENT.ipv4],
    ['IPv6', SILENT.ipv6],
    ['v4-mapped', `::ffff:${SILENT.ipv4}`],
  ] as const) {
    it(`cuts off attempts to connect to a server that does not answer while it is swept, ${kind}`, async () => {
      const early = keep(session(address, port));
      const elsewhere = keep(session(address, otherPort));
      const target = [address, port];
      assert.deepEqual(await caller.ask({ do: 'sweep', target, on: true }), { ok: true });
      assert.equal(await early.ended, 'ECONNABORTED');
      for (let round = 0; round < 3; round += 1) {
        const begun = performance.now();
        assert.equal(await keep(session(address, port)).ended, 'ECONNABORTED');
        assert.ok(performance.now() - begun < 500, 'within half a second');
      }
      assert.deepEqual(await caller.ask({ do: 'sweep', target, on: false }), { ok: true, ended: 4 });
      assert.equal(elsewhere.isOver(), false);
    });
  }

  it('lets attempts live again when the server is no longer lost, or conmgr is gone', async () => {
    const target = [SILENT.ipv4, port];
    await caller.ask({ do: 'sweep', target, on: true });
    assert.equal(await keep(session(SILENT.ipv4, port)).ended, 'ECONNABORTED');
    await caller.ask({ do: 'sweep', target, on: false });
    const attempt = keep(session(SILENT.ipv4, port));
    await eventually(
      async () => (await caller.ask({ do: 'kill', target: [SILENT.ipv4, port] }))['ended'] === 1,
      {
        what: 'the attempt in the list of the kernel',
      },
    );
    assert.equal(await attempt.ended, 'ECONNABORTED');
  });

  it('counts the connections that stand', async () => {
    keep(await established('127.0.0.1', port));
    keep(await established('::ffff:127.0.0.1', port));
    keep(await established('127.0.0.1', otherPort));
    assert.deepEqual(await caller.ask({ do: 'count', targets: [['127.0.0.1', port]] }), {
      ok: true,
      counts: [2],
      came: [],
    });
  });
});
