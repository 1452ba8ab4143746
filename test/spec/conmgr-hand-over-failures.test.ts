/** docs/decisions/0035-hand-over.md, "What cannot be handed over": nothing is worse than without it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { type ConmgrProcess, failedStart } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { type GatewayScene, gatewayScenes } from '../support/gateway-scene.js';
import { replace, served } from '../support/hand-over-scene.js';
import { built } from '../support/programs.js';
import type { RawDriver } from '../support/raw-driver.js';
import type { ServerEnd } from '../support/scripted-sql-server.js';
import { stockClient } from '../support/stock-client.js';
import { temporaryDirectory } from '../support/tree.js';

const start = gatewayScenes();

describe('a conmgr that goes on because nobody takes over', () => {
  /** Everything works as before: sessions, new ones, links. */
  async function unharmed(scene: GatewayScene, driver: RawDriver, end: ServerEnd): Promise<void> {
    const { conmgr } = scene.set;
    await conmgr.linked();
    const already = end.said.length;
    driver.send(Buffer.from('going on'));
    await eventually(() => end.said.subarray(already).toString() === 'going on', {
      everyMs: 1,
      what: 'it arrives',
    });
    const length = driver.log.length;
    end.socket.write('as ever');
    assert.equal((await driver.until(length + 7)).subarray(length).toString(), 'as ever');
    const [another] = await served(scene);
    another.socket.destroy();
    assert.deepEqual(await conmgr.ask().offered(), [0]);
  }

  /** Asks as a successor does; what becomes of it then is the test's affair. */
  async function asks({ directory }: ConmgrProcess, version = 1): Promise<Socket> {
    const socket = connect(join(directory, 'conmgr.sock'));
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(`${JSON.stringify({ command: 'handOver', version })}\n`);
    return socket;
  }

  it('the successor has a wrong configuration: it is never asked', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    const [driver, end] = await served(scene);
    const mark = conmgr.mark;
    conmgr.rewriteText('port = wrong\n');
    const { code, stderr } = await failedStart(conmgr.directory, { takesOver: true });
    assert.equal(code, 78);
    assert.match(stderr, /conmgr\.conf:1: /);
    await unharmed(scene, driver, end);
    assert.deepEqual(conmgr.linesLike(/LOG: +received/, mark), []);
  });

  it('the successor cannot listen on a port that is new to it', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    const [driver, end] = await served(scene);
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address() as AddressInfo;
    const mark = conmgr.mark;
    conmgr.rewrite(scene.set.lines, { listener_port0: port, listener_target_session_attrs0: 'any' });
    const { code, stderr } = await failedStart(conmgr.directory, { takesOver: true });
    blocker.close();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`FATAL: +could not listen on port ${port}: `));
    await conmgr.logged(/WARNING: +could not hand over to the next process, going on/, mark);
    await unharmed(scene, driver, end);
  });

  it('the successor has too few open files for the sessions', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    const [driver, end] = await served(scene);
    for (let i = 0; i < 40; i += 1) await served(scene);
    const { code, stderr } = await failedStart(conmgr.directory, { takesOver: true, openFiles: 60 });
    assert.equal(code, 1);
    assert.match(stderr, /FATAL: +could not take over from the conmgr that runs: only \d+ of 82 sockets/);
    await unharmed(scene, driver, end);
  });

  /** A successor asks, and then does this. */
  async function untaken(leave: (socket: Socket) => void): Promise<void> {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    const [driver, end] = await served(scene);
    const mark = conmgr.mark;
    const socket = await asks(conmgr);
    await conmgr.logged(/LOG: +received restart request/, mark);
    leave(socket);
    await conmgr.logged(/WARNING: +could not hand over to the next process, going on/, mark);
    await unharmed(scene, driver, end);
    // And can still be replaced.
    await replace(conmgr);
    driver.send(Buffer.from('!'));
    await eventually(() => end.said.toString() === 'going on!', { everyMs: 1, what: 'it arrives' });
  }

  it('the successor is killed before it is answered', () => untaken((socket) => socket.destroy()));

  it('the successor does not answer', () => untaken(() => {}));

  it('a successor is refused that reads another version only', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    const [driver, end] = await served(scene);
    const mark = conmgr.mark;
    const socket = await asks(conmgr, 99);
    const [answer] = await once(socket, 'data');
    assert.equal(JSON.parse(String(answer)).error.code, '0A000');
    await unharmed(scene, driver, end);
    assert.deepEqual(conmgr.linesLike(/LOG: +received/, mark), []);
  });

  it('a second successor is refused while one takes over', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    scene.set.watchdog(0).acknowledges = false;
    const [first, second] = [await asks(conmgr), await asks(conmgr)];
    const [answer] = await once(second, 'data');
    assert.equal(JSON.parse(String(answer)).error.code, '55006');
    first.destroy();
    await conmgr.logged(/WARNING: +could not hand over/);
  });

  it('the lock file was removed: the successor could not lock the directory', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    const [driver, end] = await served(scene);
    const mark = conmgr.mark;
    rmSync(join(conmgr.directory, 'conmgr.pid'));
    const { code, stderr } = await failedStart(conmgr.directory, { takesOver: true });
    assert.equal(code, 1);
    assert.match(stderr, /FATAL: .*conmgr\.pid/);
    await conmgr.logged(/WARNING: +could not hand over to the next process, going on/, mark);
    await unharmed(scene, driver, end);
  });

  it('a smart stop that comes meanwhile changes nothing: no session ends', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    const [driver, end] = await served(scene);
    const watchdog = scene.set.watchdog(0);
    watchdog.acknowledges = false;
    const mark = conmgr.mark;
    const successor = await asks(conmgr);
    await conmgr.logged(/LOG: +received restart request/, mark);
    conmgr.running.kill('SIGUSR1');
    successor.destroy();
    await conmgr.logged(/WARNING: +could not hand over to the next process, going on/, mark);
    watchdog.acknowledges = true;
    await unharmed(scene, driver, end);
  });

  it('a restart during a smart stop that waits fails: no session ends, and the stop goes on', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    const [driver, end] = await served(scene);
    conmgr.running.kill('SIGUSR1');
    await conmgr.logged(/LOG: +waiting for/);
    const { code, stderr } = await failedStart(conmgr.directory, { takesOver: true });
    assert.equal(code, 1);
    assert.match(stderr, /FATAL: +could not take over from the conmgr that runs: conmgr is shutting down/);
    driver.send(Buffer.from('going on'));
    await eventually(() => end.said.toString() === 'going on', { everyMs: 1, what: 'it arrives' });
    driver.socket.destroy();
    assert.deepEqual(await conmgr.running.exit, { code: 0, signal: null });
  });

  it('a stop that comes meanwhile is one', async () => {
    const scene = await start(['serves']);
    const { conmgr } = scene.set;
    scene.set.watchdog(0).acknowledges = false;
    const app = await conmgr.bound();
    await asks(conmgr);
    await conmgr.logged(/LOG: +received restart request/);
    conmgr.running.kill('SIGTERM');
    assert.equal((await app.next('bye')).bye, 'stop');
    assert.deepEqual(await conmgr.running.exit, { code: 0, signal: null });
  });
});

describe('what cannot be handed over', () => {
  it('a predecessor that cannot: aware sessions are told to come back, forwarded ones end, and the next one starts', async () => {
    // Without koffi.node beside it a conmgr can pass no descriptors.
    const program = join(temporaryDirectory(), 'a', 'b', 'conmgr.js');
    mkdirSync(dirname(program), { recursive: true });
    copyFileSync(built('bin/conmgr.js'), program);
    const scene = await start(['serves'], {}, { program });
    const { conmgr } = scene.set;
    await conmgr.logged(/koffi\.node/);
    const [driver] = await served(scene);
    const app = await conmgr.bound();
    const next = await replace(conmgr);
    assert.equal((await app.next('bye')).bye, 'restart');
    await driver.ended();
    await next.logged(/LOG: +the running conmgr does not hand over its sessions: koffi/);
    assert.deepEqual(await conmgr.running.exit, { code: 0, signal: null });
    assert.deepEqual(await next.ask().offered(), [0]);
  });

  it('a connection to the console ends, and no warning is given for it', async () => {
    const { set } = await start(['serves']);
    const client = await stockClient(set.conmgr.port, { database: 'conmgr' });
    await client.query('SHOW INSTANCES');
    await replace(set.conmgr);
    await client.lost;
    assert.deepEqual(set.conmgr.linesLike(/WARNING/), []);
  });
});
