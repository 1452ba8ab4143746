import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { MessageError } from '../../src/core/messages/message-error.js';
import { Guard } from '../../src/helper/guard.js';
import { serveRequests } from '../../src/helper/serve.js';
import { systemClock } from '../../src/io/clock.js';
import { assertNotRoot } from '../../src/io/identity.js';
import { loadNative } from '../../src/io/native.js';
import { ConmgrProcess, conmgrConf, failedStart, launchConmgr } from '../support/conmgr-process.js';
import { DatagramReceiver } from '../support/datagram-receiver.js';
import { freePort } from '../support/free-ports.js';
import { built, runProgram } from '../support/programs.js';
import { type Running, startCommand } from '../support/running.js';
import { temporaryDirectory } from '../support/tree.js';
import { FakeKernel } from '../unit/helper/fake-kernel.js';

const started: Running[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop('SIGKILL')));
});

function launched(...args: Parameters<typeof launchConmgr>): Running {
  const running = launchConmgr(...args);
  started.push(running);
  return running;
}

async function startedConmgr(
  settings: Record<string, string | number | undefined> = {},
  directory = temporaryDirectory(),
): Promise<ConmgrProcess> {
  const conmgr = await ConmgrProcess.start({ instances: [await nobody()], settings, directory });
  started.push(conmgr.running);
  return conmgr;
}

/** An instance where nothing listens. */
async function nobody(): Promise<{ backendPort: number; watchdogPort: number }> {
  return { backendPort: await freePort(), watchdogPort: await freePort() };
}

/** A fresh directory with a conmgr.conf. */
function directoryWith(text: string): string {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'conmgr.conf'), text);
  return directory;
}

async function soundDirectory(settings: Record<string, string | number> = {}): Promise<string> {
  return directoryWith(conmgrConf([await nobody()], { port: await freePort(), ...settings }));
}

function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host });
    const settle = (open: boolean) => () => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', settle(true)).once('error', settle(false));
  });
}

describe('the start of conmgr', () => {
  it('READY=1 does not wait for a server, and comes when the port is open', async () => {
    const directory = temporaryDirectory();
    const port = await freePort();
    writeFileSync(join(directory, 'conmgr.conf'), conmgrConf([await nobody()], { port }));
    const systemd = new DatagramReceiver(join(directory, 'notify'));
    const running = launched(directory, { env: { NOTIFY_SOCKET: join(directory, 'notify') } });
    let first = await systemd.next();
    while (!/^READY=1$/m.test(first.bytes.toString())) first = await systemd.next();
    assert.equal(await accepts(port), true);
    assert.equal(first.senderPid, running.pid);
    systemd.close();
  });

  it('one LOG line names version, directory, port and instances', async () => {
    const conmgr = await startedConmgr({ log_min_messages: undefined });
    const lines = conmgr.linesLike(/ LOG: +starting conmgr /);
    assert.equal(lines.length, 1);
    const version = (await runProgram('conmgr', ['--version'])).stdout.trim();
    const { instances } = await conmgr.status();
    assert.ok(
      lines[0]?.endsWith(
        `starting ${version} in directory "${conmgr.directory}", port ${conmgr.port}, ` +
          `instances 0 (127.0.0.1:${instances[0]?.port})`,
      ),
      lines[0],
    );
  });

  it('localhost, the default, means both loopback addresses', async () => {
    const conmgr = await startedConmgr({ listen_addresses: undefined });
    const { listenAddresses } = await conmgr.status();
    const hasV6 = await canListenOn('::1');
    assert.deepEqual(listenAddresses, hasV6 ? ['127.0.0.1', '::1'] : ['127.0.0.1']);
    for (const host of listenAddresses) assert.equal(await accepts(conmgr.port, host), true);
  });

  it('never runs as root: exit status 77, with the cure', async () => {
    const directory = await soundDirectory();
    const command = [process.execPath, built('bin/conmgr.js'), '-D', directory];
    if (
      process.getuid?.() === 0 ||
      (await startCommand('unshare', ['-r', 'true']).exit.catch(() => undefined))?.code === 0
    ) {
      // Root of a user namespace is root as far as geteuid(2) tells.
      const { code, stderr } = await startCommand('unshare', ['-r', ...command]).done;
      assert.equal(code, 77, stderr);
      assert.match(stderr, /FATAL: +"root" execution of conmgr is not permitted/);
      assert.match(stderr, /HINT: +Start it as an unprivileged user/);
      assert.deepEqual(readdirSync(directory), ['conmgr.conf']);
    } else {
      assert.throws(
        () => assertNotRoot('conmgr', 'conmgr@DIRECTORY.service', 0),
        (error) => error instanceof MessageError && error.spec.exit === 77 && error.spec.hint !== undefined,
      );
    }
  });

  it('all errors of conmgr.conf are reported at once with file and line; exit status 78, nothing touched', async () => {
    const port = await freePort();
    const directory = directoryWith(
      `port = ${port}\nheartbeat_intervall = 3\nbackend_host0 = 'db1'\nbackend_port0 = 70000\n\nmax_connections = many\nbackend_port2 = 5432\n`,
    );
    const { code, stderr } = await failedStart(directory);
    assert.equal(code, 78);
    assert.match(
      stderr,
      /ERROR: +conmgr\.conf:2: .*"heartbeat_intervall"; did you mean "heartbeat_interval"\?/,
    );
    assert.match(stderr, /ERROR: +conmgr\.conf:4: .*70000/);
    assert.match(stderr, /ERROR: +conmgr\.conf:6: .*max_connections/);
    assert.match(stderr, /ERROR: +conmgr\.conf:7: .*instance 2/);
    assert.match(stderr, /FATAL: +configuration file ".*conmgr\.conf" contains errors/);
    assert.deepEqual(readdirSync(directory), ['conmgr.conf']);
    assert.equal(await accepts(port), false);
  });

  it('a time-out not above the interval loads with a WARNING', async () => {
    const conmgr = await startedConmgr({ heartbeat_interval: '2s', heartbeat_timeout: '2s' });
    await conmgr.logged(/WARNING: +conmgr\.conf:\d+: heartbeat_timeout \(2s\) is not greater than/);
  });

  it('a directory that is missing or no directory: exit status 78, with the cure', async () => {
    const missing = await failedStart(join(temporaryDirectory(), 'nowhere'));
    assert.equal(missing.code, 78);
    assert.match(missing.stderr, /FATAL: +cannot use directory ".*nowhere": no such file or directory/);
    assert.match(missing.stderr, /HINT: .*cm_ctl init -D/);
    const file = await failedStart(join(directoryWith(''), 'conmgr.conf'));
    assert.equal(file.code, 78);
    assert.match(file.stderr, /FATAL: .*not a directory/);
  });

  for (const [lacking, mode] of [
    ['readable', 0o300],
    ['writable', 0o500],
    ['searchable', 0o600],
  ] as const) {
    it(`a directory that is not ${lacking}: exit status 78, nothing touched`, async () => {
      const directory = await soundDirectory();
      chmodSync(directory, mode);
      try {
        const { code, stderr } = await failedStart(directory);
        assert.equal(code, 78, stderr);
        assert.match(stderr, /FATAL: +cannot use directory ".*": permission denied/);
      } finally {
        chmodSync(directory, 0o700);
      }
      assert.deepEqual(readdirSync(directory), ['conmgr.conf']);
    });
  }

  it('a configuration file that is missing, unreadable or no file: exit status 78', async () => {
    const missing = await failedStart(temporaryDirectory());
    assert.equal(missing.code, 78);
    assert.match(missing.stderr, /FATAL: +could not read configuration file ".*": no such file/);
    const unreadable = await soundDirectory();
    chmodSync(join(unreadable, 'conmgr.conf'), 0);
    assert.equal((await failedStart(unreadable)).code, 78);
    const folder = temporaryDirectory();
    mkdirSync(join(folder, 'conmgr.conf'));
    const { code, stderr } = await failedStart(folder);
    assert.equal(code, 78);
    assert.match(stderr, /not a regular file/);
    const fifo = temporaryDirectory();
    await startCommand('mkfifo', [join(fifo, 'conmgr.conf')]).done;
    assert.equal((await failedStart(fifo)).code, 78);
  });

  it('preflight: a descriptor limit below 9 + 2 x instances + max_connections is FATAL with figure, formula and cure', async () => {
    const directory = await soundDirectory({ max_connections: 100 });
    const { code, stderr } = await failedStart(directory, { openFiles: 110 });
    assert.equal(code, 78);
    assert.match(stderr, /FATAL: +limit of 110 open files is too low: at least 111 are needed/);
    assert.match(stderr, /DETAIL: +9 \+ 2 x 1 instances \+ max_connections of 100 = 111\./);
    assert.match(stderr, /HINT: .*LimitNOFILE=111.*ulimit -n 111/);
    assert.deepEqual(readdirSync(directory), ['conmgr.conf']);
  });

  it('preflight: a descriptor limit that suffices exactly is taken', async () => {
    const conmgr = await ConmgrProcess.start({
      instances: [await nobody()],
      settings: { max_connections: 100, gateway: 'off' },
      openFiles: 111,
    });
    started.push(conmgr.running);
    assert.equal((await conmgr.status()).descriptors.limit, 111);
    assert.deepEqual(conmgr.linesLike(/open files/), []);
  });

  it('where connections are forwarded, which take two descriptors each, no figure is exact: a LOG line says how many fit', async () => {
    const directory = await soundDirectory({ max_connections: 100 });
    const running = launched(directory, { openFiles: 211 });
    await running.waitForLine(
      / LOG: +limit of 211 open files allows about 200 application connections, or 100 that conmgr forwards/,
    );
  });

  it('max_connections = 0: a LOG line says how many application connections the limit allows', async () => {
    const directory = await soundDirectory();
    const running = launched(directory, { openFiles: 200 });
    const [, connections] = await running.waitForLine(
      / LOG: +limit of 200 open files allows about (\d+) application connections/,
    );
    assert.ok(Number(connections) > 100 && Number(connections) < 200);
  });

  it('configuration is read before the descriptors are counted, and those before the directory is locked', async () => {
    const conmgr = await startedConmgr({ max_connections: 100 });
    assert.equal((await failedStart(conmgr.directory, { openFiles: 100 })).code, 78);
    conmgr.rewriteText('port = zero\n');
    const { code, stderr } = await failedStart(conmgr.directory, { openFiles: 100 });
    assert.equal(code, 78);
    assert.doesNotMatch(stderr, /open files|in use/);
  });

  it('one process per directory: a live one is named with its pid and goes on undisturbed', async () => {
    const conmgr = await startedConmgr();
    const link = join(temporaryDirectory(), 'link');
    symlinkSync(conmgr.directory, link);
    for (const path of [conmgr.directory, link]) {
      const { code, stderr } = await failedStart(path);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`FATAL: .* is in use by another process \\(PID ${conmgr.pid}\\)`));
    }
    assert.equal((await conmgr.status()).pid, conmgr.pid);
  });

  it('the files of a crashed process never block the next start', async () => {
    const first = await startedConmgr();
    await first.stop('SIGKILL');
    assert.deepEqual(readdirSync(first.directory).sort(), ['conmgr.conf', 'conmgr.pid', 'conmgr.sock']);
    const second = await startedConmgr({}, first.directory);
    assert.equal((await second.status()).pid, second.pid);
    assert.equal(
      readFileSync(join(first.directory, 'conmgr.pid'), 'utf8').split('\n')[0],
      String(second.pid),
    );
  });

  it('the control socket is for its owner only, also in a directory with a long path and blanks', async () => {
    const directory = join(temporaryDirectory(), 'a directory with a name', 'x'.repeat(120));
    mkdirSync(directory, { recursive: true });
    const conmgr = await startedConmgr({}, directory);
    assert.equal(statSync(join(directory, 'conmgr.sock')).mode & 0o777, 0o600);
    assert.equal((await conmgr.status()).directory, directory);
  });

  it('a port in use: FATAL names it, exit status 1; once it is free the same directory starts', async () => {
    const port = await freePort();
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
    const directory = await soundDirectory({ port });
    const { code, stderr } = await failedStart(directory);
    assert.equal(code, 1);
    assert.match(
      stderr,
      new RegExp(`FATAL: +could not listen on port ${port}: 127\\.0\\.0\\.1: address already in use`),
    );
    assert.match(stderr, new RegExp(`HINT: .*ss -ltnp sport = :${port}`));
    assert.doesNotMatch(stderr, /unexpected/);
    await new Promise((resolve) => squatter.close(resolve));
    const running = launched(directory);
    await running.waitForLine(/listening on 127\.0\.0\.1/);
  });
});

describe('the port of a listener', () => {
  it('in use: FATAL names it, exit status 1, and port itself is let go', async () => {
    const [port, listener] = [await freePort(), await freePort()];
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(listener, '127.0.0.1', resolve));
    const { code, stderr } = await failedStart(await soundDirectory({ port, listener_port0: listener }));
    await new Promise((resolve) => squatter.close(resolve));
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`FATAL: +could not listen on port ${listener}: .*already in use`));
    assert.match(stderr, new RegExp(`HINT: .*ss -ltnp sport = :${listener}`));
  });
});

describe('the command line of conmgr', () => {
  it('prints help and version, and refuses what it does not know with exit status 2', async () => {
    const help = await runProgram('conmgr', ['--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /conmgr -D DIRECTORY/);
    assert.match((await runProgram('conmgr', ['-V'])).stdout, /^conmgr \d+\.\d+\.\d+\n$/);
    for (const args of [['--nonsense'], ['-D'], ['start']]) {
      const { code, stderr } = await runProgram('conmgr', args, { env: { CMDATA: undefined } });
      assert.equal(code, 2);
      assert.match(stderr, /^conmgr: .*\nTry "conmgr --help" for more information\.\n$/);
    }
    assert.equal((await runProgram('conmgr', [], { env: { CMDATA: undefined } })).code, 2);
  });

  it('takes the directory from CMDATA when -D is not given', async () => {
    const directory = await soundDirectory();
    const running = startCommand(process.execPath, [built('bin/conmgr.js')], { env: { CMDATA: directory } });
    started.push(running);
    await running.waitForLine(/listening on/);
  });
});

async function canListenOn(host: string): Promise<boolean> {
  const port = await freePort();
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

describe('guard = on', () => {
  it('conmgr-helper is asked by one connection at a start that takes nothing over', async () => {
    const directory = temporaryDirectory();
    const lists = join(directory, 'targets.d');
    mkdirSync(lists);
    chmodSync(lists, 0o755);
    const server = await nobody();
    const self = process.getuid?.() ?? 0;
    writeFileSync(join(lists, 'a.conf'), `user ${self}\ntarget 127.0.0.1 ${server.backendPort}\n`);
    chmodSync(join(lists, 'a.conf'), 0o644);
    const [native, log] = [loadNative(), { write: () => {} }];
    assert.ok(native);
    const helper = await serveRequests({
      socket: join(directory, 'helper'),
      targets: lists,
      listOwner: self,
      native,
      abilities: {
        guard: new Guard<object>(new FakeKernel(), systemClock, log),
        guardProblem: '',
        routes: undefined,
        redirectProblem: 'not here',
      },
      clock: systemClock,
      log,
    });
    let connections = 0;
    const counting = createServer((socket) => {
      connections += 1;
      const onward = createConnection(join(directory, 'helper'));
      for (const one of [socket, onward]) one.on('error', () => {});
      socket.pipe(onward).pipe(socket);
    }).listen(join(directory, 'counted'));
    try {
      const conmgr = await ConmgrProcess.start({
        instances: [{ hostaddr: '127.0.0.1', ...server }],
        settings: { guard: 'on' },
        env: { ...process.env, CONMGR_HELPER_SOCKET: join(directory, 'counted') },
      });
      started.push(conmgr.running);
      assert.equal(connections, 1);
      await conmgr.running.stop('SIGTERM');
    } finally {
      counting.close();
      await helper.close();
    }
  });
});
