import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newSession, SESSION_PHASES, type SessionState } from '../../../../src/core/session/session.js';
import { SessionStore } from '../../../../src/core/session/session-store.js';
import { NEVER } from '../../../../src/core/time.js';

/** Every field has a value of its own. */
function filled(seed: number): SessionState {
  return {
    phase: SESSION_PHASES[seed % SESSION_PHASES.length]!,
    data: {
      phaseEndsAt: seed % 2 === 0 ? NEVER : seed + 0.25,
      caller: { conmgrId: String(seed), software: 'conmgr 1', label: `app${seed}` },
      intervalMs: seed + 1,
      timeoutMs: seed + 2,
      upSince: seed + 3.5,
      nextBeatAt: seed % 3 === 0 ? NEVER : seed + 4.5,
      lastReceivedAt: seed + 5.5,
      silentAt: seed + 6.5,
      doubted: seed % 2 === 1,
      seq: 0xffff_ffff - seed,
      echoSeq: seed + 7,
      echoAt: seed + 8.5,
      sent: Array.from({ length: seed % 5 }, (_none, at) => ({ seq: seed + 10 - at, at: seed + at + 0.5 })),
      rttMs: seed % 4 === 0 ? undefined : seed / 3,
      packetsReceived: 2 ** 40 + seed,
      beats: seed + 20,
      told: { serial: seed + 21, version: seed + 22 },
    },
  };
}

describe('the store of states', () => {
  it('gives every state back as it was put in, whatever is put in besides', () => {
    const store = new SessionStore();
    const states = Array.from({ length: 1000 }, (_none, seed) => filled(seed));
    const rows = states.map((state) => store.add(state));
    assert.equal(new Set(rows).size, states.length);
    for (const [at, row] of rows.entries()) assert.deepEqual(store.get(row), states[at]);
    for (const [at, row] of rows.entries()) store.put(row, filled(at + 5000));
    for (const [at, row] of rows.entries()) assert.deepEqual(store.get(row), filled(at + 5000));
  });

  it('tells when the peer of a link that is up is silent too long, and never of one that is not up', () => {
    const store = new SessionStore();
    for (const [seed, phase] of SESSION_PHASES.entries()) {
      const state = filled(seed);
      assert.equal(store.silentAt(store.add(state)), phase === 'up' ? state.data.silentAt : NEVER);
    }
  });

  it('has room for every member of a state', () => {
    const store = new SessionStore();
    assert.deepEqual(store.get(store.add(newSession(7.5))), newSession(7.5));
  });

  it('gives a released row to the next one, with nothing of the one before', () => {
    const store = new SessionStore();
    const row = store.add(filled(3));
    store.release(row);
    assert.equal(store.add(newSession(1)), row);
    assert.deepEqual(store.get(row), newSession(1));
  });
});
