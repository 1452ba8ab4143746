import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import type { CmError } from '../../../src/client/errors.js';
import { CLIENT_MESSAGES } from '../../../src/core/messages/client.js';
import { TEST_CERTIFICATE } from '../../support/certificate.js';
import { eventually } from '../../support/eventually.js';
import { offering } from '../../support/fake-conmgr.js';
import { conmgr, connected, instance, newClient, offer, portOf, rejection } from './scripted-peers.js';

describe('hosts that are not a conmgr', () => {
  it('are used directly, and asked once in ten minutes', async () => {
    const server = await instance();
    const { client } = await connected([server]);
    assert.equal(await portOf(client), server.port);
    assert.equal(client.cmInstance, undefined);
    assert.equal(client.cmSocket(), undefined);
    assert.equal(server.startups.length, 2);
    await connected([server]);
    assert.equal(server.startups.length, 3);
  });

  it('are used without the option when they choke on it', async () => {
    const pooler = await instance({ onUnknownOption: 'choke' });
    const { client } = await connected([pooler]);
    assert.equal(await portOf(client), pooler.port);
    assert.equal(pooler.startups[1]?.params.has('_pq_.conmgr'), false);
  });

  it('are refused with conmgr: "require"', async () => {
    const server = await instance();
    const error = await rejection(newClient([server], { conmgr: 'require' }).connect());
    assert.equal((error.errors[0] as CmError).cmCode, CLIENT_MESSAGES.notConmgr.code);
  });

  it('are never asked with conmgr: "off", and the list still works', async () => {
    const standby = await instance({ standby: true });
    const primary = await instance();
    const { client } = await connected([standby, primary], {
      conmgr: 'off',
      target_session_attrs: 'primary',
    });
    assert.equal(await portOf(client), primary.port);
    for (const { params } of [...standby.startups, ...primary.startups]) {
      assert.equal(params.has('_pq_.conmgr'), false);
    }
  });

  it('do not get a user name before TLS is there', async () => {
    const server = await instance({ tls: true });
    const { client } = await connected([server], { ssl: { rejectUnauthorized: false } });
    assert.equal(await portOf(client), server.port);
    const [asked, real] = server.startups;
    assert.deepEqual([asked?.overTls, asked?.params.has('user')], [false, false]);
    assert.deepEqual([real?.overTls, real?.params.get('user')], [true, 'me']);
  });

  it('get the real name for TLS when conmgr names them', async () => {
    const server = await instance({ tls: true });
    const offered = { instance: 1, port: server.port, host: 'db.test', hostaddr: '127.0.0.1' };
    const fake = await conmgr(offering([offered]));
    const { client } = await connected([fake], { ssl: { ca: TEST_CERTIFICATE.cert } });
    assert.equal(await portOf(client), server.port);
    assert.equal(server.startups[0]?.serverName, 'db.test');
    assert.equal(fake.sessions[0]?.params.has('user'), false);
    const wrongName = await conmgr(offering([{ ...offered, host: 'other.test' }]));
    const error = await rejection(newClient([wrongName], { ssl: { ca: TEST_CERTIFICATE.cert } }).connect());
    assert.match(error.message, /other\.test/);
  });

  it('keep to the transport that the application brought, without any question', async () => {
    const server = await instance();
    const stream = new Socket() as unknown as () => Duplex;
    const { client } = await connected([server], { stream });
    assert.equal(await portOf(client), server.port);
    assert.equal(server.startups.length, 1);
  });

  it('get a new stream of the application for every attempt', async () => {
    const [first, second] = [await instance({ standby: true }), await instance()];
    const made: unknown[] = [];
    const stream = () => {
      const socket = new Socket();
      made.push(socket);
      return socket;
    };
    const fake = await conmgr(offering(offer(first, second)));
    const { client } = await connected([fake], { stream, target_session_attrs: 'primary' });
    assert.equal(await portOf(client), second.port);
    assert.equal(made.length, 2);
  });
});

describe('the role of the server', () => {
  it('is checked after connecting, and the next candidate tried when conmgr was wrong', async () => {
    const demoted = await instance({ standby: true });
    const primary = await instance();
    const fake = await conmgr(
      offering([
        { instance: 1, port: demoted.port },
        { instance: 2, port: primary.port },
      ]),
    );
    const { client } = await connected([fake], { target_session_attrs: 'read-write' });
    assert.equal(await portOf(client), primary.port);
    assert.deepEqual(demoted.queries, []);
    await eventually(() => demoted.connections === 0, { what: 'the wrong server is left' });
  });

  it('is asked for with a query where the server does not report it', async () => {
    const demoted = await instance({ standby: true, reportsRole: false });
    const primary = await instance({ reportsRole: false });
    const fake = await conmgr(
      offering([
        { instance: 1, port: demoted.port },
        { instance: 2, port: primary.port },
      ]),
    );
    const client = newClient([fake], { target_session_attrs: 'read-write' });
    const queued = portOf(client);
    await client.connect();
    assert.equal(await queued, primary.port);
    assert.equal(demoted.queries.length, 1);
    assert.match(demoted.queries[0] ?? '', /pg_is_in_recovery/);
  });

  it('ends in 57P03 when no server has it', async () => {
    const standby = await instance({ standby: true });
    const error = await rejection(newClient([standby], { target_session_attrs: 'primary' }).connect());
    assert.equal(error.code, '57P03');
    assert.match(error.message, /is a standby, which is not "primary"/);
  });

  it('is any for a session that wants any: nothing is asked', async () => {
    const server = await instance({ reportsRole: false });
    await connected([server], { conmgr: 'off' });
    assert.deepEqual(server.queries, []);
  });

  it('prefer-standby takes a standby behind a primary, and the primary when there is no standby', async () => {
    const primary = await instance();
    const standby = await instance({ standby: true });
    const options = { conmgr: 'off', target_session_attrs: 'prefer-standby' } as const;
    assert.equal(await portOf((await connected([primary, standby], options)).client), standby.port);
    assert.equal(await portOf((await connected([primary], options)).client), primary.port);
  });
});
