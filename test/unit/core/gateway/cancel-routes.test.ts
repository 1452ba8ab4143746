import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CancelRoutes } from '../../../../src/core/gateway/cancel-routes.js';

const [A, B, C] = ['a', 'b', 'c'].map((host) => ({ host, port: 5432 }));
const key = (text: string): Buffer => Buffer.from(text);

describe('a CancelRequest', () => {
  it('goes to the server that issued the key, whoever sends it', () => {
    const routes = new CancelRoutes();
    routes.add(1, { place: A!, listener: 1, peer: 'x' });
    routes.add(2, { place: B!, listener: 1, peer: 'x' });
    routes.learn(1, key('k1'));
    routes.learn(2, key('k2'));
    assert.deepEqual(routes.find(key('k2'), 9, 'y'), [B]);
  });

  it('with a key that was not read goes to the servers of unread sessions of that port and peer, each once', () => {
    const routes = new CancelRoutes();
    routes.add(1, { place: A!, listener: 1, peer: 'x' });
    routes.add(2, { place: A!, listener: 1, peer: 'x' });
    routes.add(3, { place: B!, listener: 1, peer: 'y' });
    routes.add(4, { place: C!, listener: 2, peer: 'x' });
    assert.deepEqual(routes.find(key('?'), 1, 'x'), [A]);
    assert.deepEqual(routes.find(key('?'), 1, 'z'), [A, B]);
    assert.deepEqual(routes.find(key('?'), 3, 'x'), []);
  });

  it('is forgotten with its session; the key of a later one that is the same stays', () => {
    const routes = new CancelRoutes();
    routes.add(1, { place: A!, listener: 1, peer: 'x' });
    routes.learn(1, key('k'));
    routes.add(2, { place: B!, listener: 1, peer: 'x' });
    routes.learn(2, key('k'));
    routes.remove(1);
    assert.deepEqual(routes.find(key('k'), 1, 'x'), [B]);
    routes.remove(2);
    assert.deepEqual(routes.find(key('k'), 1, 'x'), []);
  });
});
