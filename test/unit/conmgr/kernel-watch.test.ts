import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { KernelWatch } from '../../../src/conmgr/kernel-watch.js';
import type { Destination } from '../../../src/core/conmgr/kernel-wishes.js';
import { encodeEnds } from '../../../src/core/guard/local-ends.js';
import { parseTarget } from '../../../src/core/guard/target.js';
import type { Abilities } from '../../../src/io/helper-abilities.js';
import { type HelperAnswer, HelperRefusal, HelperUnreachable } from '../../../src/io/helper-client.js';
import { FakeClock } from '../../support/fake-clock.js';

const ABLE: Abilities = {
  guard: '',
  redirect: '',
  refused: [],
  refusedTargets: [],
  refusedListeners: new Set(),
};
const place = (instance: number): Destination => {
  const target = parseTarget(`192.0.2.${instance}`, 5432);
  assert.ok(target);
  return { instance, target };
};
const HERE = parseTarget('10.0.0.1', 1)!.bytes;

describe('conmgr and the connections that pass it by', () => {
  let clock: FakeClock;
  let watch: KernelWatch;
  let guarded: readonly Destination[];
  let redirected: readonly Destination[];
  let helper: Abilities | Error;
  /** What the helper answers to each request; undefined: what it lists. */
  let refusal: Error | undefined;
  let ports: number[];
  let left: number;
  let asked: Record<string, unknown>[];
  /** The helper has come to the answer. */
  let ready: Promise<void>;
  let known: Map<number, number[]>;
  let said: unknown[];

  beforeEach(() => {
    clock = new FakeClock();
    [guarded, redirected, helper, refusal] = [[place(1)], [], ABLE, undefined];
    [ports, left, asked, known, said] = [[1, 2], 0, [], new Map(), []];
    ready = Promise.resolve();
    watch = new KernelWatch({
      clock,
      intervalMs: () => 200,
      watched: () => ({ guarded, redirected, listeners: [27547] }),
      seen: (instance, ends) =>
        known.set(
          instance,
          ends.map(({ port }) => port),
        ),
      helper: () => helper,
      ask: async (request): Promise<HelperAnswer | Error> => {
        const fields = request as Record<string, unknown>;
        asked.push(fields);
        const sockets = (fields['targets'] as unknown[]).map(() =>
          ports.map((localPort) => ({ localAddress: HERE, localPort })),
        );
        await ready;
        return refusal ?? { ok: true, ...encodeEnds(sockets), left };
      },
      refused: (reason) => said.push(reason),
      cut: (count) => said.push(count),
    });
    watch.start();
  });

  /** One look, and all that follows from it. */
  const look = async (): Promise<void> => {
    clock.advance(1000);
    await settled();
  };
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };

  it('asks no more often than each second, and not at all while nobody wants to know', async () => {
    guarded = [];
    await look();
    assert.deepEqual(asked, []);
    guarded = [place(1)];
    await look();
    clock.advance(900);
    assert.equal(asked.length, 1);
    assert.deepEqual(known.get(1), [1, 2]);
  });

  it('takes no more than a twentieth of the time of the helper', async () => {
    let answer = (): void => {};
    ready = new Promise((resolve) => {
      answer = resolve;
    });
    clock.advance(1000);
    clock.advance(500);
    answer();
    await settled();
    for (let second = 0; second < 9; second += 1) await look();
    assert.equal(asked.length, 1);
    await look();
    assert.equal(asked.length, 2);
  });

  it('asks of those that are redirected only what came by a listener', async () => {
    redirected = [place(2)];
    await look();
    assert.deepEqual(asked, [
      { do: 'ends', targets: [['192.0.2.1', 5432]], listeners: [] },
      { do: 'ends', targets: [['192.0.2.2', 5432]], listeners: [27547] },
    ]);
  });

  it('knows of none while the helper cannot be reached or does not answer, and of all when it does again', async () => {
    await look();
    for (const failure of ['state', 'answer']) {
      if (failure === 'state') helper = new HelperUnreachable('away');
      else refusal = new HelperUnreachable('no answer');
      await look();
      assert.deepEqual(known.get(1), []);
      [helper, refusal] = [ABLE, undefined];
      await look();
      assert.deepEqual(known.get(1), [1, 2]);
    }
    assert.deepEqual(said, []);
  });

  it('asks a helper that refuses, as an older one does, no second time, until it may be another one', async () => {
    refusal = new HelperRefusal('unknown request');
    await look();
    await look();
    assert.deepEqual([asked.length, said], [1, ['unknown request']]);
    refusal = undefined;
    watch.tryAgain();
    await look();
    assert.deepEqual(known.get(1), [1, 2]);
  });

  it('asks for nothing that no list allows', async () => {
    redirected = [place(2)];
    helper = { ...ABLE, refusedTargets: ['192.0.2.1:5432'], refusedListeners: new Set([27547]) };
    await look();
    assert.deepEqual(asked, []);
  });

  it('says how many found no room', async () => {
    left = 7;
    await look();
    assert.deepEqual(said, [7]);
  });

  it('asks no more once it is stopped', async () => {
    await look();
    watch.stop();
    await look();
    assert.equal(asked.length, 1);
  });
});
