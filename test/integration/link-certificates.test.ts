import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readLinkSecurity } from '../../src/io/link-protection.js';
import type { LinkSecurity } from '../../src/io/link-security.js';
import { Authority, type Issued, install } from '../support/authority.js';
import { ConmgrProcess, type ConmgrSettings, conmgrConf, failedStart } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import { HeartbeatPeer } from '../support/heartbeat-peer.js';
import { type Server, startPrimary } from '../support/postgres.js';
import { built } from '../support/programs.js';
import { isThere, sessionFrom } from '../support/sql-client.js';
import { temporaryDirectory } from '../support/tree.js';
import { TestWatchdog } from '../support/watchdog.js';

const ADMIN_SHUTDOWN = '57P01';

const own = new Authority('own');
const foreign = new Authority('foreign');
const serverCertificate = own.issue('db1');
const clientCertificate = own.issue('app1');

let server: Server;
let watchdog: TestWatchdog;

/** What a conmgr.conf sets for a certificate; default: verify-full with the good ones. */
function ssl({ cert, key }: Issued = clientCertificate, more: ConmgrSettings = {}): ConmgrSettings {
  return {
    heartbeat_sslmode: 'verify-full',
    heartbeat_sslrootcert: own.cert,
    heartbeat_sslcert: cert,
    heartbeat_sslkey: key,
    ...more,
  };
}

function conmgr(settings: ConmgrSettings, host = 'localhost'): Promise<ConmgrProcess> {
  return ConmgrProcess.start({
    instances: [{ host, hostaddr: '127.0.0.1', backendPort: server.port, watchdogPort: watchdog.port }],
    settings,
  });
}

/** The same for a peer that a test plays. */
function security({ cert, key }: Issued = clientCertificate): Promise<LinkSecurity> {
  return readLinkSecurity(
    {
      heartbeatSecretFile: undefined,
      heartbeatSslmode: 'verify-full',
      heartbeatSslrootcert: own.cert,
      heartbeatSslcert: cert,
      heartbeatSslkey: key,
    },
    own.directory,
  );
}

async function reload(settings: Readonly<Record<string, string>> = {}): Promise<void> {
  const from = watchdog.running.lines.length;
  await server.append(settings);
  process.kill(watchdog.running.pid, 'SIGHUP');
  await watchdog.running.waitForLine(/LOG: {2}.*reload/, { after: from });
}

function cmCtl(...words: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [built('bin/cm_ctl.js'), ...words], {
    encoding: 'utf8',
  });
  return { status, output: stdout + stderr };
}

before(async () => {
  server = await startPrimary();
  install(serverCertificate, server.dataDir);
  copyFileSync(own.cert, join(server.dataDir, 'root.crt'));
  await server.append({ ssl_ca_file: 'root.crt' });
  watchdog = await TestWatchdog.start(server, { settings: { ssl: 'on', restart_grace: '300ms' } });
  await eventually(async () => (await watchdog.status()).instance.state === 'up', { what: 'up' });
});
after(async () => {
  await watchdog?.stop();
  await server?.end();
});

describe('a watchdog with watchdog.ssl', () => {
  it('links conmgrs with a certificate of ssl_ca_file, and the loss of such a link ends sessions', async () => {
    const session = await sessionFrom(server, '127.0.0.2');
    const peer = await watchdog.connect({
      localAddress: '127.0.0.2',
      timeoutMs: 600,
      security: await security(),
    });
    await peer.prove();
    const view = join(server.dataDir, 'pg_stat_tmp', 'pgx_stat_watchdog');
    const row = /^127\.0\.0\.2\t.*\ttrue\ttrue\t/m;
    await eventually(() => existsSync(view) && row.test(readFileSync(view, 'latin1')), {
      what: 'the view shows it as encrypted and authenticated',
    });
    const link = (await watchdog.status()).links.find(({ address }) => address === '127.0.0.2');
    assert.equal(link?.protection, 'certificate');
    peer.fallSilent();
    assert.equal(await session.ended, ADMIN_SHUTDOWN);
  });

  it('tells a conmgr without one what it needs, and its end ends no session', async () => {
    const session = await sessionFrom(server, '127.0.0.3');
    const peer = await watchdog.open({ localAddress: '127.0.0.3' });
    peer.hello();
    const { text } = await peer.next('reject');
    assert.match(
      text,
      /^links need a certificate, as watchdog\.ssl is on; set heartbeat_sslmode and the files/,
    );
    await peer.closed;
    await watchdog.line(/refused heartbeat link from 127\.0\.0\.3: links need a certificate/);
    assert.ok(await isThere(server, session.pid));
    await session.client.end();
  });

  for (const [what, issue, words] of [
    [
      'of another authority',
      () => foreign.issue('app1'),
      /this conmgr has a certificate that is not signed by an authority of ssl_ca_file/,
    ],
    [
      'that has expired',
      () => own.issue('app1', { fromDays: -9, toDays: -1 }),
      /this conmgr has a certificate that has expired/,
    ],
    [
      'that is made for servers only',
      () => own.issue('db9', { usage: 'serverAuth' }),
      /this conmgr has a certificate that is not made for this purpose/,
    ],
  ] as const) {
    it(`refuses a conmgr with a certificate ${what}, and both ends say so`, async () => {
      const from = watchdog.running.lines.length;
      const one = await conmgr(ssl(issue()));
      const link = async () => (await one.status()).instances[0]!.link;
      await eventually(async () => words.test((await link()).failure), { what: 'conmgr knows why' });
      assert.equal((await link()).protection, null);
      await one.logged(words);
      await watchdog.running.waitForLine(
        new RegExp(`refused heartbeat link from 127.0.0.1: ${words.source}`),
        {
          after: from,
        },
      );
      assert.equal((await watchdog.status()).links.length, 0);
      await one.stop();
    });
  }

  it('with ssl_crl_file refuses a certificate from the reload on after it was revoked; the link that is up stays', async () => {
    const revoked = own.issue('app2');
    own.revoke();
    const crl = join(server.dataDir, 'root.crl');
    copyFileSync(own.crl, crl);
    await reload({ ssl_crl_file: 'root.crl' });
    const peer = await watchdog.connect({ localAddress: '127.0.0.4', security: await security(revoked) });
    own.revoke(revoked);
    copyFileSync(own.crl, crl);
    await reload();
    const late = await watchdog.open({ localAddress: '127.0.0.5', security: await security(revoked) });
    const { text } = await late.next('reject');
    assert.equal(text, 'this conmgr has a certificate that was revoked');
    const good = await watchdog.connect({ security: await security() });
    await peer.prove();
    await Promise.all([peer.end(), good.end()]);
    await reload({ ssl_crl_file: '' });
  });

  it('refuses who is not in allowed_clients in words that a conmgr understands, with TLS and without', async () => {
    await reload({ 'watchdog.allowed_clients': '127.0.0.99' });
    const one = await conmgr(ssl());
    await one.logged(/refused: this host is not in watchdog\.allowed_clients/);
    await watchdog.line(
      /refused heartbeat link from 127\.0\.0\.1: 127\.0\.0\.1 is not in watchdog\.allowed_clients/,
    );
    await one.stop();
    const plain = await watchdog.open();
    plain.hello();
    assert.equal((await plain.next('reject')).text, '127.0.0.1 is not in watchdog.allowed_clients');
    await plain.closed;
    await reload({ 'watchdog.allowed_clients': '127.0.0.0/8' });
  });
});

describe('certificates are exchanged without loss of a link', () => {
  it("the watchdog's and its authorities: new links see the new ones from a reload on, and those that are up stay", async () => {
    const next = new Authority('next');
    const old = await watchdog.connect({ localAddress: '127.0.0.6', security: await security() });
    const root = join(server.dataDir, 'root.crt');
    writeFileSync(root, readFileSync(own.cert, 'utf8') + readFileSync(next.cert, 'utf8'));
    await reload();
    const [one, two] = await Promise.all([
      watchdog.connect({ security: await security() }),
      watchdog.connect({ security: await security(next.issue('app1')) }),
    ]);
    install(own.issue('db1', { names: 'DNS:db7' }), server.dataDir);
    copyFileSync(next.cert, root);
    await reload();
    const { length } = old.arrivals;
    await old.next('beat', () => true, { from: length });
    const renamed = await conmgr(ssl());
    await renamed.logged(/watchdog's certificate is for "DNS:db7", not for "localhost"/);
    await renamed.stop();
    install(serverCertificate, server.dataDir);
    await reload();
    const late = await watchdog.open({ security: await security() });
    assert.match((await late.next('reject')).text, /is not signed by an authority of ssl_ca_file/);
    const session = await sessionFrom(server, '127.0.0.6');
    await old.prove();
    old.fallSilent();
    assert.equal(await session.ended, ADMIN_SHUTDOWN, 'it had a certificate that was good then');
    await Promise.all([one.end(), two.end()]);
    copyFileSync(own.cert, root);
    await reload();
  });

  it("conmgr's: a reload reads them again, and its next link is made with the new ones", async () => {
    const directory = temporaryDirectory('certs-');
    const place = { cert: join(directory, 'server.crt'), key: join(directory, 'server.key') };
    install(own.issue('app1', { fromDays: -9, toDays: -1 }), directory);
    const one = await conmgr(ssl(place));
    await one.logged(/certificate of heartbeat_sslcert has expired on \d{4}-\d\d-\d\d, 1 days ago/);
    await one.logged(/this conmgr has a certificate that has expired/);
    install(own.issue('app1'), directory);
    const { changed, problems } = await one.reload();
    assert.deepEqual(problems, []);
    assert.deepEqual(changed, ['the protection of links made from now on']);
    await one.linked();
    await one.stop();
  });

  it('a link of before watchdog.ssl stays, is counted, and its end ends no session', async () => {
    await reload({ 'watchdog.ssl': 'off' });
    const session = await sessionFrom(server, '127.0.0.7');
    const peer = await watchdog.connect({ localAddress: '127.0.0.7' });
    await peer.prove();
    await reload({ 'watchdog.ssl': 'on' });
    await watchdog.line(/heartbeat links without protection that are up: 1/);
    await peer.prove();
    const link = (await watchdog.status()).links.find(({ address }) => address === '127.0.0.7');
    assert.equal(link?.protection, 'none');
    assert.match(link?.spared ?? '', /proved neither a secret nor a certificate/);
    await peer.goodbye('stop');
    await watchdog.line(/127\.0\.0\.7.*it proved neither a secret nor a certificate/);
    assert.ok(await isThere(server, session.pid));
    await session.client.end();
  });
});

describe('what cannot protect the links closes the port until it is mended', () => {
  async function closes(settings: Readonly<Record<string, string>>, words: RegExp): Promise<void> {
    const from = watchdog.running.lines.length;
    await reload(settings);
    await watchdog.running.waitForLine(words, { after: from });
    await assert.rejects(HeartbeatPeer.open({ port: watchdog.port }), { code: 'ECONNREFUSED' });
  }
  async function mended(settings: Readonly<Record<string, string>>): Promise<void> {
    const from = watchdog.running.lines.length;
    await reload(settings);
    await watchdog.running.waitForLine(/listening for heartbeat links/, { after: from });
    const peer = await watchdog.connect({ security: await security() });
    await peer.end();
  }

  it('no ssl_ca_file: anybody could cause an end of sessions', async () => {
    await closes({ ssl_ca_file: '' }, /heartbeat port stays closed: watchdog\.ssl: ssl_ca_file is not set/);
    await mended({ ssl_ca_file: 'root.crt' });
  });

  it('a key that others may read', async () => {
    const key = join(server.dataDir, 'server.key');
    chmodSync(key, 0o644);
    await closes(
      {},
      /ssl_key_file: private key file ".*server\.key" may be used by group or others \(mode 0644\)/,
    );
    chmodSync(key, 0o600);
    await mended({});
  });

  it('a key of another certificate', async () => {
    const key = join(server.dataDir, 'server.key');
    const good = readFileSync(key);
    writeFileSync(key, readFileSync(clientCertificate.key));
    await closes(
      {},
      /ssl_key_file: private key file ".*" does not belong to the certificate in ".*server\.crt"/,
    );
    writeFileSync(key, good);
    await mended({});
  });

  it('a secret besides', async () => {
    const secret = join(own.directory, 'secret');
    writeFileSync(secret, `${'a1'.repeat(32)}\n`, { mode: 0o600 });
    await closes(
      { 'watchdog.secret_file': secret },
      /heartbeat port stays closed: parameters "watchdog\.ssl" and "watchdog\.secret_file" exclude each other/,
    );
    await mended({ 'watchdog.secret_file': '' });
  });
});

describe('conmgr with a certificate', () => {
  it('is linked with verify-full, shows how the link is protected, and nothing of the key', async () => {
    const one = await conmgr(ssl());
    await one.linked();
    const { link } = (await one.status()).instances[0]!;
    assert.equal(link.protection, 'certificate');
    const status = cmCtl('status', '-D', one.directory);
    assert.match(status.output, /certificate/);
    const shown = [
      JSON.stringify(await one.status()),
      JSON.stringify(await watchdog.status()),
      status.output,
      cmCtl('check', '-D', one.directory).output,
      cmCtl('watchdog', 'status', '-D', server.dataDir).output,
      readFileSync(`/proc/${one.pid}/cmdline`, 'latin1') + readFileSync(`/proc/${one.pid}/environ`, 'latin1'),
      ...one.running.lines,
      ...watchdog.running.lines,
    ];
    const folder = join(server.dataDir, 'pg_stat_tmp');
    for (const name of readdirSync(folder)) {
      if (statSync(join(folder, name)).isFile()) shown.push(readFileSync(join(folder, name), 'latin1'));
    }
    assert.ok(
      shown.some((text) => text.includes(clientCertificate.key)),
      'the name of the file is shown',
    );
    for (const { key } of [clientCertificate, serverCertificate]) {
      const secret = readFileSync(key, 'utf8').split('\n')[1]!;
      assert.ok(!shown.some((text) => text.includes(secret)));
    }
    await one.stop();
  });

  it('by an address is linked with verify-full when the certificate is made out to it', async () => {
    const one = await ConmgrProcess.start({
      instances: [{ hostaddr: '127.0.0.1', backendPort: server.port, watchdogPort: watchdog.port }],
      settings: ssl(),
    });
    await one.linked();
    await one.stop();
  });

  it('makes no link to a watchdog that another authority has signed', async () => {
    const one = await conmgr(ssl(clientCertificate, { heartbeat_sslrootcert: foreign.cert }));
    await one.logged(/watchdog's certificate is not signed by an authority of heartbeat_sslrootcert/);
    await one.stop();
  });

  it('reports a watchdog without watchdog.ssl, or with a secret instead', async () => {
    await reload({ 'watchdog.ssl': 'off' });
    const one = await conmgr(ssl());
    await one.logged(
      /watchdog broke off the TLS handshake; its log says why \(does it have watchdog\.ssl\?\)/,
    );
    await watchdog.line(/the peer speaks TLS, but this end does not/);
    const secret = join(own.directory, 'other-secret');
    writeFileSync(secret, `${'a1'.repeat(32)}\n`, { mode: 0o600 });
    await reload({ 'watchdog.secret_file': secret });
    await one.logged(/watchdog has no certificate; set watchdog\.ssl there, not watchdog\.secret_file/);
    await one.stop();
    await reload({ 'watchdog.secret_file': '', 'watchdog.ssl': 'on' });
  });

  it('does not start with a key that others may read, and a reload with one changes nothing', async () => {
    const open = own.issue('app3');
    chmodSync(open.key, 0o644);
    const place = temporaryDirectory('cm-');
    writeFileSync(join(place, 'conmgr.conf'), conmgrConf([{ backendPort: 1, watchdogPort: 2 }], ssl(open)));
    const { code, stderr } = await failedStart(place);
    assert.equal(code, 78);
    assert.match(
      stderr,
      /FATAL: {2}parameter "heartbeat_sslkey": private key file ".*" may be used by group or others/,
    );
    const one = await conmgr(ssl());
    await one.linked();
    const conf = join(one.directory, 'conmgr.conf');
    writeFileSync(conf, readFileSync(conf, 'utf8').replace(clientCertificate.key, open.key));
    assert.match((await one.reload()).problems.join(), /^heartbeat_sslkey: private key file/);
    await one.linked();
    await one.stop();
  });

  it('that hangs has the sessions of its address ended after its time-out', async () => {
    const one = await conmgr(ssl());
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

describe('what checks say of certificates', () => {
  const place = temporaryDirectory('cm-');
  const write = (settings: ConmgrSettings): void =>
    writeFileSync(
      join(place, 'conmgr.conf'),
      conmgrConf([{ host: 'localhost', backendPort: server.port, watchdogPort: watchdog.port }], settings),
    );

  it('cm_ctl check tries the link with them', () => {
    write(ssl());
    const { status, output } = cmCtl('check', '-D', place);
    assert.equal(status, 0, output);
    write(ssl(foreign.issue('app1')));
    const refused = cmCtl('check', '-D', place);
    assert.equal(refused.status, 1);
    assert.match(
      refused.output.replace(/\s+/g, ' '),
      /refused: this conmgr has a certificate that is not signed/,
    );
  });

  it('cm_ctl check says how many days a certificate has left when it expires soon', () => {
    write(ssl(own.issue('app1', { fromDays: -100, toDays: 20.5 })));
    const { status, output } = cmCtl('check', '-D', place);
    assert.equal(status, 0, output);
    assert.match(output, /warning: certificate of heartbeat_sslcert expires in 20 days, on \d{4}-\d\d-\d\d/);
  });

  it('cm_ctl check ends with 78 for files that are missing or wrong, and tries no link for a credential', () => {
    write(ssl({ cert: clientCertificate.cert, key: serverCertificate.key }));
    const mixed = cmCtl('check', '-D', place);
    assert.equal(mixed.status, 78);
    assert.match(
      mixed.output,
      /heartbeat_sslkey": private key file ".*" does not belong to the certificate in/,
    );
    write(ssl({ cert: clientCertificate.cert, key: '%d/conmgr.key' }));
    const credential = cmCtl('check', '-D', place);
    assert.equal(credential.status, 1);
    assert.match(
      credential.output.replace(/\s+/g, ' '),
      /not tried: only the systemd unit has the credential/,
    );
  });

  it('cm_ctl watchdog check names what closes the port, and a certificate that expires soon', async () => {
    install(own.issue('db1', { fromDays: -100, toDays: 5.5 }), server.dataDir);
    const soon = cmCtl('watchdog', 'check', '-D', server.dataDir);
    assert.equal(soon.status, 0, soon.output);
    assert.match(soon.output, /warning: certificate of ssl_cert_file expires in 5 days/);
    await server.append({ ssl_ca_file: '' });
    const { status, output } = cmCtl('watchdog', 'check', '-D', server.dataDir);
    assert.notEqual(status, 0);
    assert.match(output, /parameter "watchdog\.ssl": ssl_ca_file is not set/);
    await server.append({ ssl_ca_file: 'root.crt' });
    install(serverCertificate, server.dataDir);
  });
});
