import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { decodeErrorResponse, encodeStartup } from '../../src/core/protocol/startup.js';
import { PRIMARY } from '../support/scripted-watchdog.js';
import { ANSWERING } from './place.js';
import { KernelScene } from './scene.js';

/** The first that is answered to a start-up packet for this database. */
async function answerTo(host: string, port: number, database: string): Promise<Buffer> {
  const socket = connect({ host, port });
  socket.write(
    encodeStartup([
      ['user', 'app'],
      ['database', database],
    ]),
  );
  const [first] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return first;
}

describe("conmgr's console where conmgr listens beyond its host", () => {
  it('is open to this host only; others are told so, and are forwarded to their databases', async () => {
    const scene = await KernelScene.start({
      attributes: [PRIMARY],
      settings: { listen_addresses: '*' },
      helper: false,
      programs: false,
    });
    try {
      const { port } = scene.conmgr;
      for (const host of [ANSWERING.ipv4, ANSWERING.ipv6]) {
        const refused = await answerTo(host, port, 'conmgr');
        assert.equal(refused.toString('latin1', 0, 1), 'E');
        const fields = decodeErrorResponse(refused.subarray(5));
        assert.deepEqual(
          [fields.get('C'), fields.get('M')],
          ['28000', 'conmgr: the console is open to this host only'],
        );
        assert.equal((await answerTo(host, port, 'app')).toString('latin1', 0, 1), 'R');
      }
      for (const host of ['127.0.0.1', '::1']) {
        assert.equal((await answerTo(host, port, 'conmgr')).toString('latin1', 0, 1), 'R');
      }
    } finally {
      await scene.end();
    }
  });
});
