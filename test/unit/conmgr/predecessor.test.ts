/** docs/decisions/0035-hand-over.md, "What cannot be handed over": which refusals cost sessions, and which do not. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { succeed } from '../../../src/conmgr/predecessor.js';
import { resolveConmgrConfig } from '../../../src/core/config/resolve.js';
import { renderMessage } from '../../../src/core/messages/message.js';
import { MessageError } from '../../../src/core/messages/message-error.js';
import { serveControl } from '../../../src/io/control-socket.js';
import { temporaryDirectory } from '../../support/tree.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** What a successor does whose predecessor, which has ended as soon as it has answered, refuses with this. */
async function refused(
  code: string,
): Promise<{ readonly ordered: readonly string[]; readonly came: string }> {
  const directory = temporaryDirectory();
  const ordered: string[] = [];
  const control = await serveControl({
    directory,
    name: 'conmgr.sock',
    maxRequestBytes: 4096,
    onLine: (line, client) => {
      const { command, mode } = JSON.parse(line) as { command: string; mode?: string };
      if (command === 'handOver') client.send({ ok: false, error: { code, message: 'the reason' } });
      else {
        ordered.push(`${command} ${mode}`);
        client.send({ ok: true, accepted: mode });
      }
    },
  });
  ends.push(() => control.close());
  const { config } = resolveConmgrConfig('backend_host0 = 127.0.0.1\n');
  assert.ok(config);
  try {
    const { lock, inheritance } = await succeed({
      directory,
      conmgrId: '0123456789abcdef0123456789abcdef',
      config,
      log: { write: () => {} },
    });
    ends.push(() => lock.release());
    assert.equal(inheritance, undefined);
    return { ordered, came: 'started' };
  } catch (error) {
    assert.ok(error instanceof MessageError);
    return { ordered, came: renderMessage(error.spec, error.params).text };
  }
}

describe('a successor that is refused', () => {
  const restarts: readonly (readonly [code: string, why: string])[] = [
    ['55000', 'can pass no descriptors'],
    ['08P01', 'does not know the command'],
    ['0A000', 'writes another version only'],
  ];
  for (const [code, why] of restarts) {
    it(`has a predecessor restart that ${why}`, async () => {
      assert.deepEqual(await refused(code), { ordered: ['stop restart'], came: 'started' });
    });
  }

  it('waits for one that ends already, and orders nothing', async () => {
    assert.deepEqual(await refused('57P01'), { ordered: [], came: 'started' });
  });

  const fails: readonly (readonly [code: string, why: string])[] = [
    ['57P03', 'starts, or waits in a smart stop'],
    ['55006', 'is being taken over'],
    ['XX000', 'has failed within'],
    ['', 'says nothing'],
  ];
  for (const [code, why] of fails) {
    it(`ends, and leaves a predecessor as it is that ${why}`, async () => {
      assert.deepEqual(await refused(code), {
        ordered: [],
        came: 'could not take over from the conmgr that runs: the reason',
      });
    });
  }
});
