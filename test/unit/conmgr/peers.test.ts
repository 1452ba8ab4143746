import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PeerProcesses } from '../../../src/conmgr/peers.js';
import type { PeerProcess } from '../../../src/io/peer-process.js';
import { FakeClock } from '../../support/fake-clock.js';

/** Looks that end when the test says so; the process of a connection has the number of its port. */
function scene() {
  const clock = new FakeClock();
  const looks: (() => void)[] = [];
  const peers = new PeerProcesses(
    (session) => ({ localPort: 1, remotePort: session }),
    clock,
    (connections) =>
      new Promise<PeerProcess[]>((resolve) => {
        looks.push(() =>
          resolve(connections.map(({ localPort: pid }) => ({ pid, program: 'psql', user: 'app' }))),
        );
      }),
  );
  return { clock, looks, peers };
}

describe('the processes behind the sessions', () => {
  it('are not waited for longer than 2 s; what a look finds later is there at the next one', async () => {
    const { clock, looks, peers } = scene();
    const first = peers.look([7]);
    await new Promise(setImmediate);
    clock.advance(2000);
    assert.equal((await first).size, 0);
    const second = peers.look([7]);
    looks[0]?.();
    assert.equal((await second).get(7)?.pid, 7);
    assert.equal((await peers.look([7])).get(7)?.pid, 7);
    assert.equal(looks.length, 1);
  });

  it('are looked up once for all who ask at the same time', async () => {
    const { looks, peers } = scene();
    const asked = [peers.look([7, 8]), peers.look([7, 8]), peers.look([8])];
    await new Promise(setImmediate);
    looks[0]?.();
    const [one, two, three] = await Promise.all(asked);
    assert.deepEqual([one?.get(7)?.pid, two?.get(8)?.pid, three?.get(8)?.pid], [7, 8, 8]);
    assert.equal(looks.length, 1);
  });

  it('are forgotten with their sessions', async () => {
    const { looks, peers } = scene();
    const first = peers.look([7]);
    await new Promise(setImmediate);
    looks[0]?.();
    await first;
    assert.equal((await peers.look([])).size, 0);
    void peers.look([7]);
    await new Promise(setImmediate);
    assert.equal(looks.length, 2);
  });
});
