import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEPARTURES } from '../../../../src/core/session/session.js';
import { DEPARTURE_VERDICTS, reasonAgainst, verdictOf } from '../../../../src/core/terminator/verdict.js';

/** departure: with terminate_on = any, with lost. */
const EXPECTED: Readonly<Record<(typeof DEPARTURES)[number], readonly [string, string]>> = {
  timeout: ['now', 'now'],
  closed: ['afterGrace', 'afterGrace'],
  restart: ['afterGrace', 'afterGrace'],
  stop: ['now', 'spare'],
  hostShutdown: ['now', 'spare'],
  protocol: ['spare', 'spare'],
  released: ['spare', 'spare'],
  replaced: ['spare', 'spare'],
};

describe('what the end of a link means', () => {
  for (const departure of DEPARTURES) {
    const [any, lost] = EXPECTED[departure];
    it(`${departure}: ${any} with any, ${lost} with lost, and with never the same as any but only logged`, () => {
      assert.deepEqual(verdictOf(departure, 'any'), { verdict: any, logOnly: false });
      assert.deepEqual(verdictOf(departure, 'lost'), { verdict: lost, logOnly: false });
      assert.deepEqual(verdictOf(departure, 'never'), { verdict: any, logOnly: true });
      assert.notEqual(DEPARTURE_VERDICTS[departure].why, '');
    });
  }
});

describe('which link may cause an end', () => {
  const GOOD = {
    welcomed: true,
    beats: 3,
    allowed: true,
    disputed: false,
    untold: false,
    authenticated: true,
  };

  it('one that was welcomed, had three BEATs, is allowed, and has no double', () => {
    assert.equal(reasonAgainst(GOOD), undefined);
  });

  for (const [lack, against] of [
    [{ welcomed: false }, 'it was never accepted'],
    [{ beats: 2 }, 'it had sent only 2 heartbeats'],
    [{ allowed: false }, 'its address is not in watchdog.allowed_clients'],
    [
      { authenticated: false },
      'it proved neither a secret nor a certificate (watchdog.secret_file, watchdog.ssl)',
    ],
    [{ disputed: true }, 'another conmgr with the same identity tried to connect from a different address'],
    [
      { untold: true },
      'it has not told which sessions it watches, and watchdog.terminate_scope is "monitored"',
    ],
  ] as const) {
    it(`not one of which holds: ${against}`, () => {
      assert.equal(reasonAgainst({ ...GOOD, ...lack }), against);
    });
  }
});
