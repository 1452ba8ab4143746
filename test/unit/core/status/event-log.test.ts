import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CONMGR_MESSAGES } from '../../../../src/core/messages/conmgr.js';
import { EventLog } from '../../../../src/core/status/event-log.js';
import { NOW } from '../../../support/status-report.js';

const MINUTE = 60_000;
const { linkUp, listening, cannotListen, instanceLost } = CONMGR_MESSAGES;

describe('the events of the last hour', () => {
  it('are the messages with a kind, and warnings and errors; plain reports are not', () => {
    const log = new EventLog([CONMGR_MESSAGES]);
    log.record(linkUp, { instance: 0 }, NOW);
    log.record(listening, { address: 'a', port: 1 }, NOW);
    log.record(cannotListen, { port: 1, reason: 'taken' }, NOW + 1);
    assert.deepEqual(
      log.recent(NOW + 2).map(({ code }) => code),
      [cannotListen.code, linkUp.code],
    );
  });

  it('end after an hour', () => {
    const log = new EventLog([CONMGR_MESSAGES]);
    log.record(cannotListen, { port: 1, reason: 'a' }, NOW);
    assert.equal(log.recent(NOW + 60 * MINUTE - 1).length, 1);
    assert.equal(log.recent(NOW + 60 * MINUTE).length, 0);
  });

  it('are one where a text is repeated, with the number and the last moment', () => {
    const log = new EventLog([CONMGR_MESSAGES]);
    for (const at of [1, 2, 3]) log.record(cannotListen, { port: 1, reason: 'a' }, NOW + at);
    log.record(cannotListen, { port: 1, reason: 'b' }, NOW + 4);
    assert.deepEqual(
      log.recent(NOW + 5).map(({ at, count }) => [at, count]),
      [
        [NOW + 4, 1],
        [NOW + 3, 3],
      ],
    );
  });

  it('are bounded; many of one kind do not drive out another', () => {
    const log = new EventLog([CONMGR_MESSAGES]);
    log.record(instanceLost, {}, NOW);
    for (let i = 0; i < 1000; i++) log.record(cannotListen, { port: i, reason: 'a' }, NOW + i);
    const held = log.recent(NOW + 1000);
    assert.equal(held.length, 200);
    assert.equal(held.at(-1)?.code, instanceLost.code);
    assert.equal(log.counts.levels.get('FATAL'), 1000);
  });

  it('cannot steer a terminal or forge a line', () => {
    const log = new EventLog([CONMGR_MESSAGES]);
    log.record(cannotListen, { port: 1, reason: 'a\n\u001b[2J' }, NOW);
    assert.match(log.recent(NOW)[0]?.text ?? '', /a\\n\\x1b\[2J$/);
  });
});
