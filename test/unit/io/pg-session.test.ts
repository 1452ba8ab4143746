import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { encodeErrorResponse, encodeMessage } from '../../../src/core/protocol/startup.js';
import { PgSession, type SessionTarget, SqlError, SqlUnreachable } from '../../../src/io/pg-session.js';
import { freePort } from '../../support/free-ports.js';

const AUTHENTICATION_OK = encodeMessage('R', Buffer.from([0, 0, 0, 0]));
const COMPLETE = encodeMessage('C', Buffer.from('SELECT 0\0'));
const READY = encodeMessage('Z', Buffer.from('I'));

/** A server that lets everybody in and answers queries as it is told. */
class Backend {
  /** What the next queries get; undefined is silence. */
  answer: Buffer | undefined = Buffer.concat([COMPLETE, READY]);
  readonly queries: string[] = [];
  readonly sockets = new Set<Socket>();
  readonly #server: Server = createServer((socket) => this.#serve(socket));

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  close(): void {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.sockets.add(socket);
    let begun = false;
    socket.on('error', () => {}).on('close', () => this.sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      if (!begun) {
        begun = true;
        socket.write(Buffer.concat([AUTHENTICATION_OK, READY]));
        return;
      }
      this.queries.push(chunk.toString('utf8', 5, chunk.length - 1));
      if (this.answer !== undefined) socket.write(this.answer);
    });
  }
}

describe("the watchdog's SQL connection", () => {
  const backend = new Backend();
  let port: number;
  before(async () => {
    port = await freePort();
    await backend.listen(port);
  });
  after(() => backend.close());

  const target = (at: number): SessionTarget => ({
    host: '127.0.0.1',
    port: at,
    user: 'w',
    database: 'postgres',
    applicationName: 'test',
    major: 17,
  });
  const connect = (onEnd: (error: Error | undefined) => void = () => {}): Promise<PgSession> =>
    PgSession.connect(target(port), onEnd);

  it('undoes first what the role or the database may have set', async () => {
    backend.queries.length = 0;
    const session = await connect();
    const [first = ''] = backend.queries;
    for (const name of [
      'idle_session_timeout',
      'statement_timeout',
      'synchronous_commit',
      'default_transaction_read_only',
    ]) {
      assert.match(first, new RegExp(`'${name}'`));
    }
    await session.close();
  });

  it('is dropped when a statement has no answer by its deadline, and says so', async () => {
    let ended: (error: Error | undefined) => void = () => {};
    const end = new Promise<Error | undefined>((resolve) => {
      ended = resolve;
    });
    const session = await connect(ended);
    backend.answer = undefined;
    const asked = session.query('SELECT 1', [], 50);
    await assert.rejects(asked, (error) => {
      assert.ok(error instanceof SqlUnreachable);
      assert.match(error.message, /^no answer within 50 ms$/);
      return true;
    });
    assert.match((await end)?.message ?? '', /no answer within 50 ms/);
    assert.equal(session.isOpen, false);
    await assert.rejects(session.query('SELECT 2'), SqlUnreachable);
    backend.answer = Buffer.concat([COMPLETE, READY]);
  });

  it('tells an error of the server from nobody being there, and lives on after it', async () => {
    const session = await connect();
    const error = { severity: 'ERROR', sqlState: '42501', message: 'permission denied' } as const;
    backend.answer = Buffer.concat([encodeErrorResponse(error), READY]);
    await assert.rejects(session.query('SELECT 1'), (thrown) => {
      assert.ok(thrown instanceof SqlError);
      assert.equal(thrown.sqlState, '42501');
      return true;
    });
    backend.answer = Buffer.concat([COMPLETE, READY]);
    assert.deepEqual(await session.query('SELECT 1'), []);
    await session.close();
    await assert.rejects(
      PgSession.connect(target(await freePort()), () => {}),
      SqlUnreachable,
    );
  });

  it('asks one thing after the other, each with a deadline of its own', async () => {
    const session = await connect();
    backend.queries.length = 0;
    backend.answer = undefined;
    const first = session.query('SELECT 1', [], 10_000);
    const second = session.query('SELECT 2', [], 50);
    await new Promise<void>((resolve) => {
      const [socket] = backend.sockets;
      socket?.once('data', () => resolve());
    });
    assert.deepEqual(backend.queries, ['SELECT 1']);
    backend.answer = Buffer.concat([COMPLETE, READY]);
    for (const socket of backend.sockets) socket.write(backend.answer);
    assert.deepEqual(await first, []);
    assert.deepEqual(await second, []);
    assert.deepEqual(backend.queries, ['SELECT 1', 'SELECT 2']);
    await session.close();
  });
});
