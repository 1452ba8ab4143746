import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { encodeStartup } from '../../src/core/protocol/startup.js';
import { eventually } from '../support/eventually.js';
import { gatewayScenes } from '../support/gateway-scene.js';
import { CLIENT_HELLO, GSSENC_REQUEST, SSL_REQUEST, startup } from '../support/raw-driver.js';
import { greeting } from '../support/scripted-sql-server.js';

const EPS_MS = 500;

const start = gatewayScenes();

describe('a stock driver is forwarded from its first octet on', () => {
  it('in plain text: the start-up packet reaches the server as it was sent, and the answer comes back as it was given', async () => {
    const { servers, drive } = await start(['serves']);
    const packet = startup();
    const driver = drive(packet);
    const expected = greeting(servers[0]!.key);
    assert.deepEqual(await driver.until(expected.length), expected);
    const end = await servers[0]!.end();
    assert.deepEqual(end.received, packet);
    driver.send(Buffer.from('query'));
    await eventually(() => end.said.toString() === 'query', { what: 'the query is there' });
  });

  it('a start-up packet in single octets is one packet to the server', async () => {
    const { servers, drive } = await start(['serves']);
    const packet = startup();
    const driver = drive();
    for (const octet of packet) {
      driver.send(Buffer.from([octet]));
      await new Promise((next) => setImmediate(next));
    }
    await driver.until(greeting(servers[0]!.key).length);
    assert.deepEqual((await servers[0]!.end()).received, packet);
  });

  it('encryption that is asked for in single octets is asked of the server once', async () => {
    const { servers, drive } = await start(['encrypts']);
    const driver = drive();
    for (const octet of SSL_REQUEST) {
      driver.send(Buffer.from([octet]));
      await new Promise((next) => setImmediate(next));
    }
    assert.equal((await driver.until(1)).toString(), 'S');
    assert.deepEqual((await servers[0]!.end()).received, SSL_REQUEST);
  });

  it('a newer minor version of the protocol is for the server to answer', async () => {
    const { servers, drive } = await start(['serves']);
    const packet = encodeStartup([['user', 'app']], 0x0003_0002);
    await drive(packet).until(greeting(servers[0]!.key).length);
    assert.deepEqual((await servers[0]!.end()).received, packet);
  });

  it('under TLS: once the server has said S nothing is read any more, either way', async () => {
    const { servers, drive } = await start(['encrypts']);
    const driver = drive(SSL_REQUEST);
    assert.equal((await driver.until(1)).toString(), 'S');
    // Octets that would mean something in plain text.
    const there = Buffer.concat([CLIENT_HELLO, startup(), randomBytes(50_000)]);
    const back = Buffer.concat([Buffer.from('E'), randomBytes(50_000)]);
    driver.send(there);
    const end = await servers[0]!.end();
    end.socket.write(back);
    await eventually(() => end.said.length === there.length, { what: 'all is there' });
    assert.deepEqual(end.said, there);
    assert.deepEqual((await driver.until(1 + back.length)).subarray(1), back);
  });

  it('with direct TLS, from its very first octet', async () => {
    const { servers, drive } = await start(['serves']);
    const driver = drive(CLIENT_HELLO);
    const end = await servers[0]!.end();
    await eventually(() => end.received.length === CLIENT_HELLO.length, { what: 'the hello is there' });
    end.socket.write('server hello');
    assert.equal((await driver.until(12)).toString(), 'server hello');
  });

  it('GSS and TLS are asked of the server itself, and the start-up packet goes to the same connection', async () => {
    const { servers, drive } = await start(['serves']);
    const driver = drive(GSSENC_REQUEST);
    assert.equal((await driver.until(1)).toString(), 'N');
    driver.send(SSL_REQUEST);
    assert.equal((await driver.until(2)).toString(), 'NN');
    driver.send(startup());
    await driver.until(2 + greeting(servers[0]!.key).length);
    assert.deepEqual(servers[0]!.ends.length, 1);
    assert.deepEqual(servers[0]!.ends[0]!.received, Buffer.concat([GSSENC_REQUEST, SSL_REQUEST, startup()]));
  });
});

describe('when the chosen instance refuses or is gone, the next one is tried before the driver notices', () => {
  const anyTarget = { gateway_target_session_attrs: 'prefer-standby' };
  for (const [what, behaviour] of [
    ['nothing listens', undefined],
    ['it closes the connection', 'closes'],
    ['it cannot take connections now', { refuses: '57P03' }],
    ['it is full', { refuses: '53300' }],
  ] as const) {
    it(`${what}: the driver is served by the other, and the log says why`, async () => {
      const { set, servers, drive } = await start(['serves', behaviour], anyTarget);
      const driver = drive(startup());
      const expected = greeting(servers[0]!.key);
      assert.deepEqual(await driver.until(expected.length), expected);
      assert.deepEqual((await servers[0]!.end()).received, startup());
      await set.conmgr.logged(/LOG: +could not forward a connection to instance 1 \(.*\): \S/);
    });
  }

  it('also after it has declined encryption', async () => {
    const { servers, drive } = await start(['serves', { refuses: '57P03' }], anyTarget);
    const driver = drive(SSL_REQUEST);
    assert.equal((await driver.until(1)).toString(), 'N');
    driver.send(startup());
    await driver.until(1 + greeting(servers[0]!.key).length);
    assert.deepEqual((await servers[0]!.end()).received, startup());
  });

  it('encryption declined, the driver has 3 s for its start-up packet, as for a first one; then its server is given up', async () => {
    const { set, servers, drive } = await start(['serves']);
    const [silent, slow] = [drive(SSL_REQUEST), drive(SSL_REQUEST)];
    const begunMs = performance.now();
    await Promise.all([silent.until(1), slow.until(1)]);
    slow.send(startup());
    await slow.until(1 + greeting(servers[0]!.key).length);
    await silent.ended();
    const tookMs = performance.now() - begunMs;
    assert.ok(tookMs > 3000 - 50 && tookMs < 3000 + 250 + EPS_MS, `after ${tookMs} ms`);
    await set.conmgr.logged(/no complete start-up packet within 3 s/);
    await eventually(() => servers[0]!.ends.filter(({ closedBy }) => closedBy !== undefined).length === 1, {
      what: 'its server is free',
    });
    assert.equal(slow.closedBy, undefined);
    await set.conmgr.untilInstance(0, 'has one session', ({ sessions }) => sessions === 1);
  });

  it('a loss while it does not answer moves the driver on at once', async () => {
    const { set, servers, drive } = await start(['serves', 'silent'], anyTarget);
    const driver = drive(startup());
    await servers[1]!.end();
    const begunMs = performance.now();
    set.watchdog(1).tell({ state: 'down' });
    await driver.until(greeting(servers[0]!.key).length);
    assert.ok(performance.now() - begunMs < 100 + EPS_MS);
  });

  it("an error that is the driver's own is passed on as it is", async () => {
    const { servers, drive } = await start(['serves', { refuses: '28P01' }], anyTarget);
    const error = await drive(startup()).refusal();
    assert.equal(error.get('M'), 'scripted refusal 28P01');
    assert.equal(servers[0]!.ends.length, 0);
  });
});

describe('when no instance fits', () => {
  const noStandby = { gateway_target_session_attrs: 'standby' };

  it('a start-up packet is answered with 57P03 and what is known of each instance', async () => {
    const { drive } = await start(['serves'], noStandby);
    const error = await drive(startup()).refusal();
    assert.equal(error.get('C'), '57P03');
    assert.match(error.get('M') ?? '', /^conmgr: no instance is available for target_session_attrs=standby$/);
    assert.match(error.get('D') ?? '', /^Instance 0 \(.*\): up, primary\.$/);
  });

  it('servers that were tried in vain are named with their reasons', async () => {
    const { drive } = await start([{ refuses: '57P03' }]);
    const error = await drive(startup()).refusal();
    assert.equal(error.get('C'), '57P03');
    assert.match(error.get('D') ?? '', /Instance 0 \(.*\) was tried: scripted refusal 57P03\.$/);
  });

  it('SSLRequest and GSSENCRequest are answered with N, the start-up packet behind them with 57P03', async () => {
    const { drive } = await start(['serves'], noStandby);
    const driver = drive(GSSENC_REQUEST);
    await driver.until(1);
    driver.send(SSL_REQUEST);
    assert.equal((await driver.until(2)).toString(), 'NN');
    driver.send(startup());
    assert.equal((await driver.refusal(2)).get('C'), '57P03');
  });

  it('having said N for want of a server it does not forward in plain text what might have been encrypted', async () => {
    const { set, servers, drive } = await start(['encrypts'], { gateway_target_session_attrs: 'primary' });
    set.watchdog(0).tell({ state: 'down' });
    await set.conmgr.untilInstance(0, 'is down', ({ state }) => state === 'down');
    const driver = drive(SSL_REQUEST);
    assert.equal((await driver.until(1)).toString(), 'N');
    set.watchdog(0).tell({ state: 'up' });
    await set.conmgr.untilInstance(0, 'is up', ({ state }) => state === 'up');
    driver.send(startup());
    assert.equal((await driver.refusal(1)).get('C'), '57P03');
    assert.equal(servers[0]!.ends.length, 0);
  });

  it('direct TLS is closed, for nothing can be said', async () => {
    const { drive } = await start(['serves'], noStandby);
    const driver = drive(CLIENT_HELLO);
    assert.equal((await driver.ended()).length, 0);
  });

  it('every kind is held up to resolve_wait, and served when one fits meanwhile', async () => {
    const { set, servers, drive } = await start(['serves'], {
      gateway_target_session_attrs: 'primary',
      resolve_wait: '30s',
    });
    set.watchdog(0).tell({ state: 'down' });
    await set.conmgr.untilInstance(0, 'is down', ({ state }) => state === 'down');
    const drivers = [SSL_REQUEST, startup(), CLIENT_HELLO].map((packet) => drive(packet));
    await set.conmgr.until('all wait', ({ applications }) => applications.length === 3);
    assert.deepEqual(
      drivers.map(({ received }) => received.length),
      [0, 0, 0],
    );
    set.watchdog(0).tell({ state: 'up' });
    await servers[0]!.end(3);
    assert.equal((await drivers[0]!.until(1)).toString(), 'N');
    await drivers[1]!.until(greeting(servers[0]!.key).length);
  });

  it('resolve_wait over: told as without it', async () => {
    const { drive } = await start(['serves'], { ...noStandby, resolve_wait: '300ms' });
    const begunMs = performance.now();
    const error = await drive(startup()).refusal();
    const tookMs = performance.now() - begunMs;
    assert.equal(error.get('C'), '57P03');
    assert.ok(tookMs > 280 && tookMs < 300 + EPS_MS, `after ${tookMs} ms`);
  });
});

describe('a start-up packet in plain text', () => {
  it('may name the target, which wins over that of the port', async () => {
    const { servers, drive } = await start(['serves', 'serves']);
    const packet = startup('-c conmgr.target_session_attrs=standby');
    await drive(packet).until(1);
    assert.deepEqual((await servers[1]!.end()).received, packet);
    const behindN = drive(SSL_REQUEST);
    await behindN.until(1);
    behindN.send(packet);
    await behindN.until(2);
    assert.deepEqual((await servers[1]!.end(2)).received, packet);
  });

  it('with a target that there is not is refused with 22023', async () => {
    const { servers, drive } = await start(['serves']);
    const error = await drive(startup('-c conmgr.target_session_attrs=master')).refusal();
    assert.equal(error.get('C'), '22023');
    assert.match(
      error.get('M') ?? '',
      /^conmgr: invalid value for parameter "conmgr.target_session_attrs": "master"$/,
    );
    assert.equal(servers[0]!.ends.length, 0);
  });
});
