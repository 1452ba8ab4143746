import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ConmgrProcess, conmgrConf, failedStart } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { HeartbeatPeer } from '../support/heartbeat-peer.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { built } from '../support/programs.js';
import { isThere, sessionFrom } from '../support/sql-client.js';
import { temporaryDirectory } from '../support/tree.js';
import { TestWatchdog } from '../support/watchdog.js';

const ADMIN_SHUTDOWN = '57P01';
const OTHER = 'b2'.repeat(32);

let server: Server;
let watchdog: TestWatchdog;
let directory: string;
let file: string;
let secret: string;

function cmCtl(...words: string[]): string {
  return execFileSync(process.execPath, [built('bin/cm_ctl.js'), ...words], { encoding: 'utf8' });
}

/** A file beside the others; its name. */
function secretFile(name: string, ...secrets: string[]): string {
  const path = join(directory, name);
  writeFileSync(path, secrets.map((one) => `${one}\n`).join(''), { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
}

async function reload(settings: Readonly<Record<string, string>>): Promise<void> {
  const from = watchdog.running.lines.length;
  await server.append(
    Object.fromEntries(Object.entries(settings).map(([name, value]) => [`watchdog.${name}`, value])),
  );
  process.kill(watchdog.running.pid, 'SIGHUP');
  await watchdog.running.waitForLine(/LOG: {2}.*reload/, { after: from });
}

function conmgr(path: string | undefined): Promise<ConmgrProcess> {
  const { host, port: backendPort } = server;
  return ConmgrProcess.start({
    instances: [{ host, backendPort, watchdogPort: watchdog.port }],
    settings: { heartbeat_secret_file: path },
  });
}

before(async () => {
  directory = temporaryDirectory('secrets-');
  file = join(directory, 'heartbeat');
  server = await startPrimary();
  const said = cmCtl('secret', file);
  secret = readFileSync(file, 'utf8').trim();
  assert.ok(!said.includes(secret));
  watchdog = await TestWatchdog.start(server, { settings: { secret_file: file, restart_grace: '300ms' } });
  await eventually(async () => (await watchdog.status()).instance.state === 'up', { what: 'up' });
});
after(async () => {
  await watchdog?.stop();
  await server?.end();
});

describe('cm_ctl secret', () => {
  it('makes a file of 256 bits that only its owner may read', () => {
    assert.match(readFileSync(file, 'utf8'), /^[0-9a-f]{64}\n$/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it('does not write over a file, and no two are the same', () => {
    assert.throws(() => cmCtl('secret', file), /could not create ".*heartbeat"/);
    assert.equal(readFileSync(file, 'utf8').trim(), secret);
    const another = join(directory, 'another');
    cmCtl('secret', '-s', another);
    assert.notEqual(readFileSync(another, 'utf8').trim(), secret);
  });
});

describe('a watchdog with a secret', () => {
  it('links conmgrs that know it, and the loss of such a link ends sessions', async () => {
    const session = await sessionFrom(server, '127.0.0.2');
    const peer = await watchdog.connect({ localAddress: '127.0.0.2', timeoutMs: 600, secret });
    await peer.prove();
    const view = join(server.dataDir, 'pg_stat_tmp', 'pgx_stat_watchdog');
    const row = /^127\.0\.0\.2\t.*\ttrue\ttrue\t/m;
    await eventually(() => existsSync(view) && row.test(readFileSync(view, 'latin1')), {
      what: 'the view shows it as encrypted and authenticated',
    });
    peer.fallSilent();
    assert.equal(await session.ended, ADMIN_SHUTDOWN);
  });

  it('tells a conmgr without the secret what it needs, and its end ends no session', async () => {
    const session = await sessionFrom(server, '127.0.0.3');
    const peer = await watchdog.open({ localAddress: '127.0.0.3' });
    peer.hello();
    const { text } = await peer.next('reject');
    assert.match(text, /^links need the secret of watchdog\.secret_file; set heartbeat_secret_file/);
    await peer.closed;
    await watchdog.line(/refused heartbeat link from 127\.0\.0\.3: links need the secret/);
    assert.ok(await isThere(server, session.pid));
    await session.client.end();
  });

  it('closes one with another secret before it can say anything', async () => {
    const opening = watchdog.open({ localAddress: '127.0.0.4', secret: OTHER });
    await assert.rejects(opening);
    await watchdog.line(
      /refused heartbeat link from 127\.0\.0\.4:\d+: it does not know the secret of watchdog\.secret_file/,
    );
    assert.ok((await watchdog.status()).links.every(({ address }) => address !== '127.0.0.4'));
  });

  it('at most four handshakes of one address wait at a time; links that are up do not suffer', async () => {
    const peer = await watchdog.connect({ secret, timeoutMs: 1000 });
    const silent = Array.from({ length: 20 }, () => {
      const socket = net.connect({ port: watchdog.port, host: '127.0.0.1', localAddress: '127.0.0.5' });
      socket.on('error', () => {});
      return socket;
    });
    await eventually(() => silent.filter(({ destroyed }) => !destroyed).length === 4, {
      what: 'the others are closed',
    });
    await watchdog.line(/closed connection from 127\.0\.0\.5:\d+: too many connections wait/);
    await peer.prove();
    for (const socket of silent) socket.destroy();
    await peer.end();
  });
});

describe('a secret is exchanged without loss of a link', () => {
  it('both are good while the file has both, then only the new one; links that are up stay', async () => {
    const old = await watchdog.connect({ localAddress: '127.0.0.6', secret });
    const { length } = old.arrivals;
    await reload({ secret_file: secretFile('both', OTHER, secret) });
    const [one, two] = await Promise.all([watchdog.connect({ secret }), watchdog.connect({ secret: OTHER })]);
    await reload({ secret_file: secretFile('new', OTHER) });
    await assert.rejects(watchdog.open({ secret }));
    const fresh = await watchdog.connect({ secret: OTHER });
    await old.next('beat', () => true, { from: length });
    const session = await sessionFrom(server, '127.0.0.6');
    await old.prove();
    old.fallSilent();
    assert.equal(await session.ended, ADMIN_SHUTDOWN, 'it had proven a secret that was good then');
    await Promise.all([one.end(), two.end(), fresh.end()]);
    await reload({ secret_file: file });
  });

  it('a link of before the first secret stays, and its end ends no session', async () => {
    await reload({ secret_file: '' });
    const session = await sessionFrom(server, '127.0.0.7');
    const peer = await watchdog.connect({ localAddress: '127.0.0.7' });
    await peer.prove();
    await reload({ secret_file: file });
    await watchdog.line(/heartbeat links without protection that are up: 1/);
    await peer.prove();
    const link = (await watchdog.status()).links.find(({ address }) => address === '127.0.0.7');
    assert.equal(
      link?.spared,
      'it proved neither a secret nor a certificate (watchdog.secret_file, watchdog.ssl)',
    );
    await peer.goodbye('stop');
    await watchdog.line(/127\.0\.0\.7.*it proved neither a secret nor a certificate/);
    assert.ok(await isThere(server, session.pid));
    await session.client.end();
  });

  it('a file that others may read closes the port until it is mended', async () => {
    const open = secretFile('open', secret);
    chmodSync(open, 0o644);
    await reload({ secret_file: open });
    await watchdog.line(
      /heartbeat port stays closed: watchdog\.secret_file: secret file ".*open" may be used by group or others \(mode 0644\)/,
    );
    await assert.rejects(HeartbeatPeer.open({ port: watchdog.port }), { code: 'ECONNREFUSED' });
    chmodSync(open, 0o600);
    const from = watchdog.running.lines.length;
    await reload({ secret_file: open });
    await watchdog.running.waitForLine(/listening for heartbeat links/, { after: from });
    const peer = await watchdog.connect({ secret });
    await peer.end();
    await reload({ secret_file: file });
  });
});

describe('conmgr with a secret', () => {
  it('is linked to a watchdog with the same one, and nothing it shows has the secret', async () => {
    const one = await conmgr(file);
    await one.linked();
    const shown = [
      JSON.stringify(await one.status()),
      JSON.stringify(await watchdog.status()),
      cmCtl('status', '-D', one.directory, '--json'),
      cmCtl('check', '-D', one.directory),
      readFileSync(`/proc/${one.pid}/cmdline`, 'latin1') + readFileSync(`/proc/${one.pid}/environ`, 'latin1'),
    ];
    const pg = await import('pg');
    const client = new pg.default.Client({
      host: '127.0.0.1',
      port: one.port,
      database: 'conmgr',
      user: 'any',
    });
    await client.connect();
    shown.push(JSON.stringify((await client.query('show config')).rows));
    await client.end();
    const folder = join(server.dataDir, 'pg_stat_tmp');
    for (const name of readdirSync(folder)) {
      if (statSync(join(folder, name)).isFile()) shown.push(readFileSync(join(folder, name), 'latin1'));
    }
    shown.push(...one.running.lines, ...watchdog.running.lines);
    assert.ok(
      shown.some((text) => text.includes(file)),
      'the name of the file is shown',
    );
    assert.ok(!shown.some((text) => text.includes(secret)));
    await one.stop();
  });

  it('reports a watchdog with another one, once, and what to do', async () => {
    const one = await conmgr(secretFile('other', OTHER));
    await one.logged(
      /watchdog does not know the secret; the files of heartbeat_secret_file and watchdog\.secret_file/,
    );
    await one.stop();
  });

  it('reports a watchdog that has none, and one that needs one', async () => {
    const without = await conmgr(undefined);
    await without.logged(
      /links need the secret of watchdog\.secret_file; set heartbeat_secret_file in conmgr\.conf/,
    );
    await without.stop();
    await reload({ secret_file: '' });
    const withOne = await conmgr(file);
    await withOne.logged(/watchdog broke off the TLS handshake; its log says why/);
    await watchdog.line(/the peer speaks TLS, but this end does not/);
    await withOne.stop();
    await reload({ secret_file: file });
  });

  it('reports that its host is not in allowed_clients', async () => {
    await reload({ allowed_clients: '127.0.0.99' });
    const one = await conmgr(file);
    await one.logged(/refused: this host is not in watchdog\.allowed_clients/);
    await one.stop();
    await reload({ allowed_clients: '127.0.0.0/8' });
  });

  it('does not start with a file that others may read, and a reload with one changes nothing', async () => {
    const open = secretFile('readable', secret);
    chmodSync(open, 0o640);
    const place = temporaryDirectory('cm-');
    const lines = [{ backendPort: 1, watchdogPort: 2 }];
    writeFileSync(join(place, 'conmgr.conf'), conmgrConf(lines, { heartbeat_secret_file: open }));
    const { code, stderr } = await failedStart(place);
    assert.equal(code, 78);
    assert.match(
      stderr,
      /FATAL: {2}parameter "heartbeat_secret_file": secret file ".*readable" may be used by group/,
    );
    const one = await conmgr(open.replace('readable', 'heartbeat'));
    await one.linked();
    const conf = join(one.directory, 'conmgr.conf');
    writeFileSync(conf, readFileSync(conf, 'utf8').replace('/heartbeat', '/readable'));
    const { problems } = await one.reload();
    assert.match(problems.join(), /^heartbeat_secret_file: secret file/);
    await one.linked();
    await one.stop();
  });
});

describe('a frozen peer on a link with a secret', () => {
  it('a watchdog that hangs is lost after heartbeat_timeout, and linked again when it goes on', async () => {
    const one = await conmgr(file);
    await one.linked();
    const { mark } = one;
    const from = performance.now();
    process.kill(watchdog.running.pid, 'SIGSTOP');
    try {
      await one.logged(/link to instance 0 .*no packet|instance 0 .* is lost/, mark);
      const tookMs = performance.now() - from;
      assert.ok(tookMs > 1500 && tookMs < 4000, `${Math.round(tookMs)} ms with a time-out of 2 s`);
    } finally {
      process.kill(watchdog.running.pid, 'SIGCONT');
    }
    await one.linked();
    await one.stop();
  });

  it('a conmgr that hangs has the sessions of its address ended after its time-out', async () => {
    const one = await conmgr(file);
    await one.linked();
    const links = async () => (await watchdog.status()).links;
    await eventually(async () => (await links()).some(({ spared }) => spared === ''), { what: 'it counts' });
    const session = await sessionFrom(server, '127.0.0.1');
    process.kill(one.pid, 'SIGSTOP');
    try {
      assert.equal(await session.ended, ADMIN_SHUTDOWN);
    } finally {
      process.kill(one.pid, 'SIGCONT');
    }
    await one.linked();
    await one.stop();
  });
});

describe('what checks say of a secret', () => {
  function check(...words: string[]): { status: number | null; output: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [built('bin/cm_ctl.js'), ...words], {
      encoding: 'utf8',
    });
    return { status, output: stdout + stderr };
  }

  it('cm_ctl check ends with 78 for a file that others may read, and tries no link for a credential', () => {
    const place = temporaryDirectory('cm-');
    const open = secretFile('open-too', secret);
    chmodSync(open, 0o604);
    const lines = [{ backendPort: server.port, host: server.host, watchdogPort: watchdog.port }];
    const write = (path: string): void =>
      writeFileSync(join(place, 'conmgr.conf'), conmgrConf(lines, { heartbeat_secret_file: path }));
    write(open);
    const bad = check('check', '-D', place);
    assert.equal(bad.status, 78);
    assert.match(bad.output, /secret file ".*open-too" may be used by group or others \(mode 0604\)/);
    write('%d/heartbeat');
    const credential = check('check', '-D', place);
    assert.equal(credential.status, 1);
    assert.match(credential.output, /not tried: only the systemd unit has the credential/);
    write(file);
    assert.equal(check('check', '-D', place).status, 0);
  });

  it('cm_ctl watchdog check names a file that cannot be used', async () => {
    await server.append({ 'watchdog.secret_file': join(directory, 'nowhere') });
    const { status, output } = check('watchdog', 'check', '-D', server.dataDir);
    assert.notEqual(status, 0);
    assert.match(output, /parameter "watchdog\.secret_file": secret file ".*nowhere" could not be read/);
    await server.append({ 'watchdog.secret_file': file });
  });
});
