import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, it } from 'node:test';
import tls from 'node:tls';
import { encodeHeartbeat } from '../../../src/core/protocol/codec.js';
import type { HeartbeatMessage } from '../../../src/core/protocol/messages.js';
import { identityOf, type LinkSecurity, SECRET_TLS } from '../../../src/io/link-security.js';
import { FramedSocket } from '../../../src/io/tcp-frames.js';
import { TEST_CERTIFICATE } from '../../support/certificate.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-ports.js';
import { GateScene } from '../../support/gate-scene.js';

const SECRET = 'a1'.repeat(32);
const OTHER = 'b2'.repeat(32);
const BEAT: HeartbeatMessage = { name: 'beat', seq: 1, echoSeq: 0, echoDelayUs: 0, attrVersion: 0 };
const knowing = (secret: string): LinkSecurity => ({ kind: 'secret', secrets: [secret] });

const scene = new GateScene();

describe('a link with a secret on both ends', () => {
  it('carries messages both ways, and both ends know its addresses', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const { framed, heard, closed } = scene.call(knowing(SECRET));
    await scene.isTold('secured');
    framed.send(BEAT);
    await scene.isTold('message beat');
    scene.links[0]?.send(BEAT);
    await eventually(() => heard.includes('message beat'), { what: 'the answer is read' });
    assert.deepEqual(heard, ['connected', 'message beat']);
    assert.equal(framed.remoteAddress, '127.0.0.1');
    assert.equal(framed.localAddress, '127.0.0.1');
    framed.end();
    await closed;
    await scene.isTold('closed: connection closed by peer');
  });

  it('is made with any secret that the watchdog has, while it is being exchanged', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET, OTHER] });
    for (const secret of [OTHER, SECRET]) {
      const { framed, heard, closed } = scene.call(knowing(secret));
      await eventually(() => heard.includes('connected'), { what: 'connected' });
      framed.destroy();
      await closed;
    }
  });

  it('a reset of one end is seen by the other', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const { closed } = scene.call(knowing(SECRET));
    await scene.isTold('secured');
    scene.links[0]?.destroy();
    // Node.js 22 tells some resets below TLS as an end.
    assert.match(await closed, /(reset|closed) by peer/i);
    await scene.isTold('closed: connection closed');
  });

  it('that does not read is closed, not waited for', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const raw = net.connect(scene.port, '127.0.0.1');
    const frozen = tls.connect({
      ...SECRET_TLS,
      socket: raw,
      pskCallback: () => ({ identity: identityOf(SECRET), psk: Buffer.from(SECRET) }),
      checkServerIdentity: () => new Error(),
    });
    frozen.on('error', () => {});
    await once(frozen, 'secureConnect');
    await scene.isTold('secured');
    raw.pause();
    // The handle below is what TLS reads from.
    (raw as unknown as { _handle: { readStop(): void } })._handle.readStop();
    const bytes = encodeHeartbeat({ name: 'goodbye', reason: 0, retryAfterMs: 0, text: 'x'.repeat(400) });
    const full = (): boolean => scene.told.some((text) => text.startsWith('closed: '));
    await eventually(
      () => {
        for (let count = 0; count < 1000; count += 1) scene.links[0]?.sendEncoded(bytes);
        return full();
      },
      { everyMs: 1, what: 'the link is closed' },
    );
    assert.ok(
      scene.told.includes('closed: peer does not read: too much is waiting to be sent'),
      scene.told.join(),
    );
    frozen.destroy();
  });

  it('the secret does not go over the wire', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const seen: Buffer[] = [];
    const relay = net.createServer((near) => {
      const far = net.connect(scene.port, '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('data', (chunk) => {
          seen.push(chunk);
          to.write(chunk);
        });
        from.on('error', () => {});
        from.on('close', () => to.destroy());
      }
    });
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
    const { framed, closed } = scene.call(knowing(SECRET), (relay.address() as net.AddressInfo).port);
    await scene.isTold('secured');
    framed.send(BEAT);
    await scene.isTold('message beat');
    framed.destroy();
    await closed;
    relay.close();
    const wire = Buffer.concat(seen);
    assert.ok(wire.includes(identityOf(SECRET)), 'the handshake was seen');
    assert.ok(!wire.includes(SECRET) && !wire.includes(Buffer.from(SECRET, 'hex')));
    assert.ok(!wire.includes(encodeHeartbeat(BEAT)), 'nor does a message in clear');
  });
});

describe('ends that do not fit each other make no link, and both say why', () => {
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
  const UNKNOWN =
    'watchdog does not know the secret; the files of heartbeat_secret_file and watchdog.secret_file must be the same';

  it('two secrets', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const { heard, closed } = scene.call(knowing(OTHER));
    assert.equal(await closed, UNKNOWN);
    assert.deepEqual(heard, []);
    await scene.isTold('failed: it does not know the secret of watchdog.secret_file');
    assert.equal(scene.told.includes('secured'), false);
  });

  it('a peer that names the secret without knowing it', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const liar = tls.connect({
      ...SECRET_TLS,
      port: scene.port,
      host: '127.0.0.1',
      pskCallback: () => ({ identity: identityOf(SECRET), psk: Buffer.from(OTHER) }),
      checkServerIdentity: () => new Error(),
    });
    await once(liar, 'error');
    await scene.isTold('failed: it does not know the secret of watchdog.secret_file');
    assert.equal(scene.told.includes('secured'), false);
  });

  it('a TLS client without a secret', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const client = tls.connect({ port: scene.port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(client, 'error');
    await eventually(() => scene.told.some((text) => text.startsWith('failed: TLS handshake failed: ')), {
      what: 'told',
    });
    assert.equal(scene.told.includes('secured'), false);
  });

  it('a conmgr without TLS', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const { framed, closed } = scene.call({ kind: 'none' });
    framed.send(BEAT);
    await closed;
    await scene.isTold('plain');
  });

  it('a watchdog without TLS that answers, or closes', async () => {
    const answering = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () =>
        socket.end(encodeHeartbeat({ name: 'reject', code: 5, retryAfterMs: 0, text: 'no' })),
      );
    });
    const { closed } = scene.call(knowing(SECRET), await listening(answering));
    assert.equal(
      await closed,
      'watchdog answered in plain text; set watchdog.secret_file there, or see its log',
    );
    for (const way of ['end', 'resetAndDestroy'] as const) {
      const closing = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', () => socket[way]());
      });
      const { closed: ended } = scene.call(knowing(SECRET), await listening(closing));
      assert.match(await ended, /^watchdog broke off the TLS handshake; its log says why/);
    }
  });

  it('a watchdog with a certificate in place of the secret, even one that is signed', async () => {
    const { cert, key } = TEST_CERTIFICATE;
    const impostor = tls.createServer({ cert, key });
    impostor.on('tlsClientError', () => {});
    const { heard, closed } = scene.call(knowing(SECRET), await listening(impostor));
    assert.match(await closed, /TLS handshake|does not know the secret/);
    assert.deepEqual(heard, []);
  });

  it('an end without a secret says so to a peer that speaks TLS', async () => {
    const texts: string[] = [];
    const plain = net.createServer((socket) => {
      const framed = new FramedSocket(socket, {
        message: () => {},
        violated: (text) => texts.push(text),
        closed: () => framed.destroy(),
      });
    });
    const { closed } = scene.call(knowing(SECRET), await listening(plain));
    assert.match(await closed, /^watchdog broke off the TLS handshake/);
    assert.deepEqual(texts, [
      'the peer speaks TLS, but this end does not (watchdog.secret_file or watchdog.ssl, heartbeat_secret_file or heartbeat_sslmode)',
    ]);
  });

  it('nobody listens: the reason is that of the network', async () => {
    const { closed } = scene.call(knowing(SECRET), await freePort());
    assert.equal(await closed, 'connection refused');
  });

  it('a peer that says nothing is closed after three seconds, one that says half a ClientHello too', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const silent = net.connect(scene.port, '127.0.0.1');
    const halfway = net.connect(scene.port, '127.0.0.1', () => halfway.write(Buffer.from('160301', 'hex')));
    silent.on('error', () => {});
    halfway.on('error', () => {});
    const from = performance.now();
    await Promise.all([once(silent, 'close'), once(halfway, 'close')]);
    const tookMs = performance.now() - from;
    assert.ok(tookMs > 2500 && tookMs < 5000, `${tookMs} ms`);
    assert.deepEqual(scene.told, Array(2).fill('failed: no TLS handshake within 3000 ms'));
  });

  it('a gate that is closed breaks off what has not come through', async () => {
    scene.open({ kind: 'secret', secrets: [SECRET] });
    const accepted = once(scene.server, 'connection');
    const silent = net.connect(scene.port, '127.0.0.1');
    silent.on('error', () => {});
    await accepted;
    scene.gate?.close();
    await once(silent, 'close');
    assert.deepEqual(scene.told, ['failed: ']);
  });
});
