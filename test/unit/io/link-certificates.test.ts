import assert from 'node:assert/strict';
import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import tls from 'node:tls';
import { encodeHeartbeat } from '../../../src/core/protocol/codec.js';
import type { HeartbeatMessage } from '../../../src/core/protocol/messages.js';
import { readCertificates } from '../../../src/io/certificates.js';
import type { CertificateSecurity, GateSecurity, LinkSecurity } from '../../../src/io/link-security.js';
import { Authority, type CertificateWish, type Issued } from '../../support/authority.js';
import { eventually } from '../../support/eventually.js';
import { GateScene } from '../../support/gate-scene.js';
import { temporaryDirectory } from '../../support/tree.js';

const SECRET = 'a1'.repeat(32);
const BEAT: HeartbeatMessage = { name: 'beat', seq: 1, echoSeq: 0, echoDelayUs: 0, attrVersion: 0 };

const own = new Authority('own');
const foreign = new Authority('foreign');
const serverCertificate = own.issue('db1');
const clientCertificate = own.issue('app1');

async function certificates({ cert, key }: Issued, ca: string | undefined, crl?: string) {
  const file = (path: string) => ({ parameter: 'x', path });
  const files = {
    cert: file(cert),
    key: file(key),
    ca: ca === undefined ? undefined : file(ca),
    crl: crl === undefined ? undefined : file(crl),
  };
  return readCertificates(files, { base: '/', owner: process.getuid?.() ?? 0, env: {} });
}

/** conmgr's end, with sslmode verify-full unless said otherwise. */
async function client(
  issued: Issued = clientCertificate,
  ca: string | undefined = own.cert,
  ownName = true,
): Promise<CertificateSecurity> {
  return { kind: 'certificate', certificates: await certificates(issued, ca), ownName };
}

/** The watchdog's end. */
async function watchdog(issued: Issued = serverCertificate, crl?: string): Promise<GateSecurity> {
  return { kind: 'certificate', certificates: await certificates(issued, own.cert, crl) };
}

const scene = new GateScene();

/** What a client of TLS says first, and waits for an answer to. */
async function clientHello(): Promise<Buffer> {
  const listener = net.createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const speaker = tls.connect({ port: (listener.address() as net.AddressInfo).port, host: '127.0.0.1' });
  speaker.on('error', () => {});
  const [socket] = (await once(listener, 'connection')) as [net.Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  speaker.destroy();
  socket.destroy();
  listener.close();
  return bytes;
}

describe('a link with certificates on both ends', () => {
  for (const [host, what] of [
    ['localhost', 'a name of the certificate'],
    [undefined, 'the address, where there is no name'],
  ] as const) {
    it(`carries messages both ways, verified by ${what}`, async () => {
      scene.open(await watchdog());
      const { framed, heard, closed } = scene.call(await client(), undefined, host);
      await scene.isTold('secured');
      scene.links[0]?.send(BEAT);
      framed.send(BEAT);
      await scene.isTold('message beat');
      await eventually(() => heard.join() === 'connected,message beat', { what: 'both have it' });
      framed.end();
      await closed;
    });
  }

  it('is made with a certificate that a root signed by way of another authority, if the file has both', async () => {
    const middle = new Authority('middle');
    const between = own.sign(middle);
    const leaf = middle.issue('app2');
    const chain = join(temporaryDirectory('chain-'), 'chain.crt');
    writeFileSync(chain, readFileSync(leaf.cert, 'utf8') + readFileSync(between, 'utf8'));
    scene.open(await watchdog());
    const whole = scene.call(await client({ cert: chain, key: leaf.key }));
    await scene.isTold('secured');
    whole.framed.destroy();
    await whole.closed;
    scene.open(await watchdog());
    const half = scene.call(await client(leaf));
    await scene.isTold('unproven: has a certificate that is not signed by an authority of ssl_ca_file');
    await half.closed;
  });
});

describe('what a watchdog takes of a conmgr', () => {
  const refused: readonly (readonly [string, () => Issued, string])[] = [
    [
      'of another authority',
      () => foreign.issue('app1'),
      'has a certificate that is not signed by an authority of ssl_ca_file',
    ],
    [
      'that has expired',
      () => own.issue('app1', { fromDays: -20, toDays: -1 }),
      'has a certificate that has expired, or that of an authority above it',
    ],
    [
      'that is not valid yet',
      () => own.issue('app1', { fromDays: 1, toDays: 20 }),
      'has a certificate that is not valid yet',
    ],
    [
      'that is made for servers',
      () => own.issue('app1', { usage: 'serverAuth' }),
      'has a certificate that is not made for this purpose (extendedKeyUsage: serverAuth of a watchdog, clientAuth of a conmgr)',
    ],
  ];
  it('certificates that are not good are refused, each for what it is', async () => {
    for (const [what, issue, text] of refused) {
      scene.open(await watchdog());
      const { closed } = scene.call(await client(issue()));
      await scene.isTold(`unproven: ${text}`);
      assert.equal(scene.told.includes('secured'), false, what);
      await closed;
    }
  });

  it('not one without a certificate', async () => {
    scene.open(await watchdog());
    const socket = tls.connect({ port: scene.port, host: '127.0.0.1', ca: readFileSync(own.cert) });
    socket.on('error', () => {});
    socket.resume();
    const gone = once(socket, 'close');
    await scene.isTold('unproven: shows no certificate');
    await gone;
    assert.equal(scene.told.includes('secured'), false);
  });

  it('not a certificate that was revoked, nor any while the list of its authority is another', async () => {
    const authority = new Authority('revoking');
    const [good, bad, db] = [authority.issue('app1'), authority.issue('app2'), authority.issue('db1')];
    authority.revoke(bad);
    const gateWith = async (crl: string): Promise<GateSecurity> => ({
      kind: 'certificate',
      certificates: await certificates(db, authority.cert, crl),
    });
    scene.open(await gateWith(authority.crl));
    const first = scene.call(await client(bad, authority.cert));
    await scene.isTold('unproven: has a certificate that was revoked');
    await first.closed;
    const second = scene.call(await client(good, authority.cert));
    await scene.isTold('secured');
    second.framed.destroy();
    await second.closed;
    foreign.revoke();
    scene.open(await gateWith(foreign.crl));
    const third = scene.call(await client(good, authority.cert));
    await scene.isTold(
      'unproven: has a certificate that cannot be checked: the list of revoked certificates of its authority is missing',
    );
    await third.closed;
  });

  it('not one that speaks TLS 1.2 at most', async () => {
    scene.open(await watchdog());
    const { cert, key } = clientCertificate;
    const socket = tls.connect({
      ...{ port: scene.port, host: '127.0.0.1', ca: readFileSync(own.cert), maxVersion: 'TLSv1.2' as const },
      ...{ cert: readFileSync(cert), key: readFileSync(key) },
    });
    await once(socket, 'error');
    await scene.isTold('failed: it does not speak TLS 1.3');
  });

  it('not a session that is taken up again: nobody comes back without its certificate', async () => {
    scene.open(await watchdog());
    const { cert, key } = clientCertificate;
    const options = { port: scene.port, host: '127.0.0.1', ca: readFileSync(own.cert) };
    const first = tls.connect({ ...options, cert: readFileSync(cert), key: readFileSync(key) });
    let session: Buffer | undefined;
    first.on('session', (ticket: Buffer) => {
      session = ticket;
    });
    first.on('error', () => {});
    await scene.isTold('secured');
    scene.links[0]?.send(BEAT);
    await once(first, 'data');
    const kept = session ?? first.getSession();
    first.destroy();
    scene.told.length = 0;
    const second = tls.connect({ ...options, ...(kept === undefined ? {} : { session: kept }) });
    second.on('error', () => {});
    await scene.isTold('unproven: shows no certificate');
  });

  it('not one that knows some secret, nor one without TLS', async () => {
    scene.open(await watchdog());
    const knowing = scene.call({ kind: 'secret', secrets: [SECRET] });
    assert.equal(
      await knowing.closed,
      'watchdog shows a certificate and does not know the secret; with watchdog.ssl there, set heartbeat_sslmode',
    );
    const plain = scene.call({ kind: 'none' });
    plain.framed.send(BEAT);
    await plain.closed;
    await scene.isTold('plain');
    assert.equal(scene.told.includes('secured'), false);
  });

  it('a handshake that stops half-way is ended after three seconds', async () => {
    scene.open(await watchdog());
    const silent = net.connect(scene.port, '127.0.0.1');
    silent.on('error', () => {});
    const hello = await clientHello();
    const frozen = net.connect(scene.port, '127.0.0.1', () => frozen.write(hello));
    frozen.on('error', () => {});
    frozen.resume();
    const from = performance.now();
    await once(silent, 'close');
    await eventually(() => scene.told.length === 2, { what: 'both are ended' });
    const tookMs = performance.now() - from;
    assert.ok(tookMs > 2500 && tookMs < 5000, `${tookMs} ms`);
    assert.deepEqual(scene.told, Array(2).fill('failed: no TLS handshake within 3000 ms'));
    frozen.destroy();
  });
});

describe('what conmgr takes of a watchdog', () => {
  async function failure(issued: Issued, security: LinkSecurity, host = 'localhost'): Promise<string> {
    scene.open(await watchdog(issued));
    const { heard, closed } = scene.call(security, undefined, host);
    const text = await closed;
    assert.deepEqual(heard, [], 'nothing was said to it');
    return text;
  }
  const wrong = (wish: CertificateWish): Issued => own.issue('db1', wish);

  it('not a certificate of another authority', async () => {
    const text = "watchdog's certificate is not signed by an authority of heartbeat_sslrootcert";
    assert.equal(await failure(foreign.issue('db1'), await client()), text);
    assert.equal(await failure(foreign.issue('db1'), await client(undefined, undefined, false)), text);
  });

  it('not one that has expired, or is made for clients', async () => {
    assert.equal(
      await failure(wrong({ fromDays: -20, toDays: -1 }), await client()),
      "watchdog's certificate has expired, or that of an authority above it",
    );
    assert.match(
      await failure(wrong({ usage: 'clientAuth' }), await client()),
      /is not made for this purpose/,
    );
  });

  it('with verify-full not one that is made out to another host, and its names are told', async () => {
    assert.equal(
      await failure(wrong({ names: 'DNS:db9,DNS:db9.example.com' }), await client()),
      'watchdog\'s certificate is for "DNS:db9, DNS:db9.example.com", not for "localhost"',
    );
    assert.match(
      await failure(wrong({ names: 'DNS:localhost' }), await client(), '127.0.0.1'),
      /^watchdog's certificate is for "DNS:localhost", not for "127\.0\.0\.1"$/,
    );
  });

  it('with verify-ca one that is made out to another host', async () => {
    scene.open(await watchdog(wrong({ names: 'DNS:db9' })));
    const { framed, closed } = scene.call(await client(undefined, undefined, false));
    await scene.isTold('secured');
    framed.destroy();
    await closed;
  });

  it('with require and no authority any certificate', async () => {
    scene.open(await watchdog(foreign.issue('db1', { names: 'DNS:db9' })));
    const security: LinkSecurity = {
      kind: 'certificate',
      certificates: await certificates(clientCertificate, undefined),
      ownName: false,
    };
    const { framed, closed } = scene.call(security);
    await scene.isTold('secured');
    framed.destroy();
    await closed;
  });
});

describe('ends that do not fit a conmgr with a certificate', () => {
  const lone: net.Server[] = [];
  afterEach(() => {
    for (const one of lone.splice(0)) one.close();
  });
  async function listening(one: net.Server): Promise<number> {
    lone.push(one);
    one.listen(0, '127.0.0.1');
    await once(one, 'listening');
    return (one.address() as net.AddressInfo).port;
  }

  it('a watchdog with a secret', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const { closed } = scene.call(await client());
    assert.equal(
      await closed,
      'watchdog has no certificate; set watchdog.ssl there, not watchdog.secret_file',
    );
    assert.equal(scene.told.includes('secured'), false);
  });

  it('one that speaks TLS 1.2 at most', async () => {
    const { cert, key } = serverCertificate;
    const old = tls.createServer({
      ...{ cert: readFileSync(cert), key: readFileSync(key), maxVersion: 'TLSv1.2' as const },
    });
    old.on('tlsClientError', () => {});
    const { closed } = scene.call(await client(), await listening(old), 'localhost');
    assert.equal(await closed, 'watchdog does not speak TLS 1.3');
  });

  it('one that answers in plain text, or closes', async () => {
    const answering = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => socket.end(encodeHeartbeat(BEAT)));
    });
    assert.equal(
      await scene.call(await client(), await listening(answering), 'localhost').closed,
      'watchdog answered in plain text; set watchdog.ssl there, or see its log',
    );
    const closing = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => socket.resetAndDestroy());
    });
    assert.equal(
      await scene.call(await client(), await listening(closing), 'localhost').closed,
      'watchdog broke off the TLS handshake; its log says why (does it have watchdog.ssl?)',
    );
  });
});
