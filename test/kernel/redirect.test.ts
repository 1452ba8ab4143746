import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-ports.js';
import { type Running, startCommand } from '../support/running.js';
import { inTree, temporaryDirectory } from '../support/tree.js';
import { type Caller, callHelper } from './caller.js';
import {
  controlGroup,
  helperCommand,
  loadPrograms,
  NOBODY,
  OBJECT,
  pinFileSystem,
  setUpNetwork,
  socketPath,
  startHelper,
  targetLists,
  unloadPrograms,
} from './place.js';

const ONE = '127.0.0.2';
const TWO = '127.0.0.3';
const SIX = '::1';

describe('the redirect, in the kernel', () => {
  const servers: Server[] = [];
  let group: ReturnType<typeof controlGroup>;
  let pins: string;
  let helper: Running;
  let caller: Caller;
  let args: string[];
  let lists: string;
  let socket: string;
  let serverPort: number;
  let listener: number;
  let ask: string;

  /** A server that says its name. */
  const serve = async (name: string, host: string, port: number): Promise<void> => {
    const server = createServer((connection) => {
      connection.on('error', () => {});
      connection.end(name);
    });
    servers.push(server);
    server.listen({ host, port, ipv6Only: host === '::1' });
    await once(server, 'listening');
  };
  /** Who answers a program of the control group that connects to the listener. */
  const whoAnswers = async (host = '127.0.0.1', port = listener): Promise<string> => {
    const [command = '', ...words] = group.run([ask, host, String(port)]);
    const { stdout, stderr } = await startCommand(command, words).done;
    return stdout + stderr;
  };
  const route = async (...hosts: string[]) =>
    assert.deepEqual(
      await caller.ask({ do: 'route', listener, targets: hosts.map((host) => [host, serverPort]) }),
      { ok: true },
    );
  const load = async (pinned = pins, cgroup = group.path) => {
    await loadPrograms(pinned, cgroup);
  };
  const unload = async (pinned = pins, cgroup = group.path) => {
    await unloadPrograms(pinned, cgroup);
  };

  before(async () => {
    setUpNetwork();
    ask = join(temporaryDirectory(), 'ask');
    execFileSync('clang', ['-static', '-O1', '-o', ask, inTree('test/kernel/ask.c')]);
    [serverPort, listener] = [await freePort(), await freePort()];
    await serve('one', ONE, serverPort);
    await serve('two', TWO, serverPort);
    await serve('six', SIX, serverPort);
    await serve('conmgr', '127.0.0.1', listener);
    await serve('conmgr', '::1', listener);
    group = controlGroup('redirect');
    pins = join(pinFileSystem(), 'conmgr');
    await load();
    socket = socketPath();
    const targets = [ONE, TWO, SIX].map((host) => `target ${host} ${serverPort}\n`).join('');
    lists = targetLists(`user 0\n${targets}listener ${listener}\n`);
    args = ['--socket', socket, '--targets', lists, '--pins', pins];
    helper = startHelper(args);
    caller = await callHelper(socket);
  });

  afterEach(() => caller.ask({ do: 'clear' }));

  after(async () => {
    caller.close();
    helper.kill();
    await helper.done;
    await unload();
    for (const server of servers) server.close();
  });

  it('leads to conmgr itself as long as there is no route', async () => {
    assert.deepEqual((await caller.ask({ do: 'probe' }))['redirect'], null);
    assert.deepEqual([await whoAnswers(), await whoAnswers('::1')], ['conmgr', 'conmgr']);
  });

  it('leads a static program of either family straight to the server, and back at once when it is taken back', async () => {
    await route(ONE);
    assert.deepEqual(
      [await whoAnswers(), await whoAnswers('::1'), await whoAnswers('::ffff:127.0.0.1')],
      ['one', 'one', 'one'],
    );
    await route(TWO);
    assert.equal(await whoAnswers(), 'two');
    await route();
    assert.equal(await whoAnswers(), 'conmgr');
  });

  it('leads IPv6 programs to a server of IPv6, and IPv4 programs past it', async () => {
    await route(SIX);
    assert.deepEqual([await whoAnswers('::1'), await whoAnswers()], ['six', 'conmgr']);
    await route(SIX, ONE);
    for (let round = 0; round < 8; round += 1) assert.equal(await whoAnswers(), 'one');
  });

  it('spreads connections over all destinations', async () => {
    await route(ONE, TWO);
    const answers: string[] = [];
    // Each of 40 at random: that one of two is missing has a chance of 2 in 2^40.
    for (let round = 0; round < 40; round += 1) answers.push(await whoAnswers());
    assert.deepEqual([...new Set(answers)].sort(), ['one', 'two']);
  });

  it('leaves other ports, other addresses and other control groups alone', async () => {
    await route(ONE);
    assert.equal(await whoAnswers(TWO, serverPort), 'two');
    const { stdout } = await startCommand(ask, ['127.0.0.1', String(listener)]).done;
    assert.equal(stdout, 'conmgr');
  });

  it("leaves a container's own loopback alone", async () => {
    await route(ONE);
    const inside = `ip link set lo up
      ${process.execPath} -e 'require("net").createServer((s) => s.end("own")).listen(${listener}, "127.0.0.1", () => {
        require("child_process").execFile("${ask}", ["127.0.0.1", "${listener}"], (e, out) => { console.log(out); process.exit(); });
      })'`;
    const [command = '', ...words] = group.run(['unshare', '--net', '--', 'sh', '-c', inside]);
    assert.equal((await startCommand(command, words).done).stdout, 'own\n');
  });

  it('lasts for existing sessions when the route changes, and evicts those that came by the listener', async () => {
    const program = `const s = require('node:net').connect(${listener}, '127.0.0.1');
      s.on('connect', () => console.log(s.remoteAddress, s.remotePort)); s.on('error', (e) => console.log(e.code));`;
    const patient = createServer((connection) => connection.on('error', () => {}).resume());
    const port = await freePort();
    patient.listen(port, '127.0.0.4');
    await once(patient, 'listening');
    const list = targetLists(`user 0\ntarget 127.0.0.4 ${port}\nlistener ${listener}\n`);
    const path = socketPath();
    const second = startHelper(['--socket', path, '--targets', list, '--pins', pins]);
    const other = await callHelper(path);
    const target = ['127.0.0.4', port];
    assert.deepEqual(await other.ask({ do: 'route', listener, targets: [target] }), { ok: true });
    const [command = '', ...words] = group.run([process.execPath, '-e', program]);
    const came = startCommand(command, words);
    // What the program sees as its peer is the server.
    await came.waitForLine(new RegExp(`^127\\.0\\.0\\.4 ${port}$`));
    const direct = startCommand(process.execPath, [
      '-e',
      program.replace(String(listener), `${port}`).replace('127.0.0.1', '127.0.0.4'),
    ]);
    await direct.waitForLine(new RegExp(`^127\\.0\\.0\\.4 ${port}$`));
    await other.ask({ do: 'route', listener, targets: [] });
    assert.deepEqual(await other.ask({ do: 'count', targets: [target] }), {
      ok: true,
      counts: [2],
      came: [],
    });
    assert.deepEqual(await other.ask({ do: 'evict', listener, target }), { ok: true, ended: 1 });
    await came.waitForLine(/^ECONNABORTED$/);
    assert.deepEqual(await other.ask({ do: 'count', targets: [target] }), {
      ok: true,
      counts: [1],
      came: [],
    });
    direct.kill('SIGKILL');
    other.close();
    second.kill();
    await second.done;
    patient.close();
  });

  it('falls back to conmgr when the helper is killed: at once by "clear", by itself within 5 s', async () => {
    await route(ONE);
    helper.kill('SIGKILL');
    await helper.done;
    assert.equal(await whoAnswers(), 'one');
    const clear = startHelper(['clear', '--pins', pins], '');
    assert.equal((await clear.exit).code, 0);
    assert.equal(await whoAnswers(), 'conmgr');

    helper = startHelper(args);
    await helper.waitForLine(/guard on, redirect on/);
    caller = await callHelper(socket);
    await route(ONE);
    const killed = performance.now();
    helper.kill('SIGKILL');
    await eventually(async () => (await whoAnswers()) === 'conmgr', { what: 'the end of the route' });
    assert.ok(performance.now() - killed < 6500, 'within its time');
    helper = startHelper(args);
    await helper.waitForLine(/guard on, redirect on/);
    caller = await callHelper(socket);
  });

  it('works beside other programs of the same control group, which outlive it', async () => {
    const others = join(pinFileSystem(), 'others');
    await load(others);
    await route(ONE);
    assert.equal(await whoAnswers(), 'one');
    await unload(others);
    assert.equal(await whoAnswers(), 'one');
    assert.equal(existsSync(others), false);
  });

  it('is replaced by loading it again, and gone after unloading it', async () => {
    const own = join(pinFileSystem(), 'own');
    await load(own);
    await load(own);
    const names = ['cgroup', 'connect4', 'connect6', 'routes', 'sessions', 'sock_release'];
    assert.deepEqual(readdirSync(own).sort(), names);
    await unload(own);
    assert.equal(existsSync(own), false);
    await unload(own);
  });

  it('gives the maps to the helper and nothing else: programs and directory stay with root', async () => {
    const owners = (path: string): string => {
      const { uid, mode } = statSync(join(pins, path));
      return `${uid} ${(mode & 0o777).toString(8)}`;
    };
    assert.equal(owners('.'), '0 711');
    for (const map of ['routes', 'sessions']) assert.equal(owners(map), `${NOBODY} 600`);
    for (const program of ['connect4', 'connect6', 'sock_release']) assert.equal(owners(program), '0 600');
  });

  it('is gone from the control group it was loaded for, also when the unit names another one by then', async () => {
    const own = join(pinFileSystem(), 'own');
    const other = controlGroup('moved');
    const answers = async (): Promise<string> => {
      const [command = '', ...words] = other.run([ask, '127.0.0.1', String(listener)]);
      return (await startCommand(command, words).done).stdout;
    };
    await load(own, other.path);
    const path = socketPath();
    const second = startHelper(['--socket', path, '--targets', lists, '--pins', own]);
    const asking = await callHelper(path);
    await asking.ask({ do: 'route', listener, targets: [[ONE, serverPort]] });
    assert.equal(await answers(), 'one');
    await unload(own, 'none');
    assert.equal(await answers(), 'conmgr');
    asking.close();
    second.kill();
    await second.done;
  });

  it('only pins its programs for units that opt in', async () => {
    const own = join(pinFileSystem(), 'own');
    await load(own, 'none');
    assert.ok(existsSync(join(own, 'connect4')));
    await unload(own, 'none');
  });

  it('is refused with the cure where the right is missing, and leaves nothing behind', async () => {
    const own = join(pinFileSystem(), 'own');
    const { code, stderr } = await startHelper(
      ['load', '--pins', own, '--cgroup', group.path, '--object', OBJECT, '--user', String(NOBODY)],
      '',
    ).done;
    assert.equal(code, 78);
    assert.match(stderr, /FATAL: {2}could not load the redirect programs: /);
    assert.match(stderr, /HINT: {2}\S/);
    assert.equal(existsSync(own), false);
  });

  it('is refused on a host without control groups of version 2 at that place', async () => {
    const own = join(pinFileSystem(), 'own');
    const { code, stderr } = await helperCommand(
      'load',
      '--pins',
      own,
      '--cgroup',
      '/nowhere',
      '--object',
      OBJECT,
      '--user',
      String(NOBODY),
    ).done;
    assert.equal(code, 78);
    assert.match(stderr, /could not load the redirect programs: no such file or directory/);
    assert.equal(existsSync(own), false, 'what was pinned until then is gone');
  });
});
