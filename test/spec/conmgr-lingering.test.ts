import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ASK_OPTION } from '../../src/core/protocol/ask.js';
import { encodeMessage, encodeStartup } from '../../src/core/protocol/startup.js';
import { ScriptedSet } from '../support/scripted-set.js';
import { PRIMARY } from '../support/scripted-watchdog.js';

const CANCEL_REQUEST = Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2]);

/** Connects and never closes its own end. */
async function holdOn(port: number, first: Buffer): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {}).resume();
  await once(socket, 'connect');
  socket.write(first);
  return socket;
}

describe('a connection that conmgr has ended', () => {
  let set: ScriptedSet;
  before(async () => {
    set = await ScriptedSet.start([PRIMARY]);
  });
  after(() => set.end());

  const question = encodeStartup([[ASK_OPTION, '1 target_session_attrs=primary']]);
  const cases: readonly (readonly [what: string, bytes: Buffer])[] = [
    ['its application has said goodbye', Buffer.concat([question, encodeMessage('X', Buffer.alloc(0))])],
    ['it was refused', encodeStartup([['user', 'somebody']])],
    ['it asked for a cancel', CANCEL_REQUEST],
  ];
  for (const [what, bytes] of cases) {
    it(`is gone after a second although the other end stays open and sends on: ${what}`, async () => {
      const { conmgr } = set;
      const socket = await holdOn(conmgr.port, bytes);
      const gone = new Promise((resolve) => socket.once('close', resolve));
      const dribble = setInterval(() => socket.write('x'), 200);
      try {
        await once(socket, 'end');
        // What is sent to a socket that is gone is answered with a reset.
        await Promise.race([
          gone,
          delay(4000, undefined, { ref: false }).then(() => assert.fail('it is kept')),
        ]);
        assert.deepEqual((await conmgr.status()).applications, []);
      } finally {
        clearInterval(dribble);
        socket.destroy();
      }
    });
  }
});
