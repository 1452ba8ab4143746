import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  ATTACHMENT,
  ATTACHMENT_PHASES,
  type AttachmentEffect,
  type AttachmentEvent,
  type AttachmentState,
  LONGEST_GRACE_MS,
  newAttachment,
  REATTACH_LAST_MS,
} from '../../../../src/core/client/attachment.js';
import { missingRows, step } from '../../../../src/core/fsm.js';
import { BYE_KINDS, DOWN_REASONS } from '../../../../src/core/protocol/first-phase.js';

const GRACE_MS = 5000;
const BIND: AttachmentEvent = { type: 'bind', instance: 2 };
const CLOSED: AttachmentEvent = { type: 'closed' };
const FAILED: AttachmentEvent = { type: 'reattach-failed' };
const bye = (kind: (typeof BYE_KINDS)[number], graceMs = 0): AttachmentEvent => ({
  type: 'bye',
  bye: kind,
  graceMs,
});
const down = (instance: number, action: 'drop' | 'advice' = 'drop'): AttachmentEvent => ({
  type: 'down',
  instance,
  action,
  reason: 'heartbeat timeout',
  text: 'no packet for 3 s',
});

/** Runs events at given moments (or all at 0) and returns the last state and the effects of the last event. */
function run(events: readonly (AttachmentEvent | readonly [AttachmentEvent, number])[], keep = false) {
  let state: AttachmentState = newAttachment(GRACE_MS, keep);
  let effects: readonly AttachmentEffect[] = [];
  for (const event of events) {
    const [what, now] = 'type' in event ? [event, 0] : event;
    ({ state, effects } = step(ATTACHMENT, state, what, now));
  }
  return { phase: state.phase, effects, types: effects.map((effect) => effect.type) };
}

const waitOf = (effects: readonly AttachmentEffect[]) =>
  effects.find((effect): effect is Extract<AttachmentEffect, { type: 'wait' }> => effect.type === 'wait');

describe('an attachment to conmgr', () => {
  it('has a row for every event in every phase', () => {
    assert.deepEqual(missingRows(ATTACHMENT), []);
  });

  it('tells conmgr where the SQL connection goes', () => {
    const { phase, effects } = run([BIND]);
    assert.equal(phase, 'bound');
    assert.deepEqual(effects, [{ type: 'send-bound', instance: 2 }]);
  });

  it("loses the session when conmgr says so of its instance, with conmgr's reason and text", () => {
    const { phase, effects } = run([BIND, down(2)]);
    assert.equal(phase, 'over');
    assert.deepEqual(effects[0], { type: 'lose', reason: 'heartbeat timeout', text: 'no packet for 3 s' });
  });

  it('does so whatever conmgrLost says', () => {
    assert.equal(run([BIND, down(2)], true).phase, 'over');
  });

  it('keeps the session on advice, and on word of another instance', () => {
    assert.deepEqual(run([BIND, down(2, 'advice')]).types, []);
    assert.deepEqual(run([BIND, down(1)]).types, []);
  });

  it('loses the session when conmgr vanishes without a word', () => {
    const { effects } = run([BIND, CLOSED]);
    assert.deepEqual(effects[0], { type: 'lose', reason: 'conmgr gone', text: '' });
  });

  it('loses the session when conmgr stops, at once', () => {
    for (const kind of ['stop', 'limit', 'other'] as const) {
      const { phase, effects } = run([BIND, bye(kind)]);
      assert.equal(phase, 'over', kind);
      assert.deepEqual(effects[0], { type: 'lose', reason: 'conmgr stopped', text: '' });
    }
  });

  it('keeps the session without a conmgr when conmgrLost is "keep"', () => {
    assert.deepEqual(run([BIND, bye('stop')], true), {
      phase: 'unwatched',
      effects: [{ type: 'close' }],
      types: ['close'],
    });
  });

  it('keeps the session while conmgr restarts, and knocks with back-off', () => {
    const { phase, types } = run([BIND, bye('restart'), CLOSED]);
    assert.equal(phase, 'reattaching');
    assert.deepEqual(types, ['close', 'wait']);
    assert.deepEqual(run([BIND, bye('restart'), CLOSED, { type: 'timer' }]).effects, [
      { type: 'reattach', instance: 2 },
    ]);
  });

  it('seeks a vanished conmgr too when conmgrLost is "keep"', () => {
    assert.equal(run([BIND, CLOSED], true).phase, 'reattaching');
  });

  it('begins to knock at once, and knocks for the grace that came with the goodbye', () => {
    const restarting = [BIND, bye('restart', 60_000), CLOSED];
    assert.deepEqual(waitOf(run(restarting).effects), { type: 'wait', fromMs: 50, toMs: 100 });
    assert.equal(run([...restarting, [FAILED, 59_999]]).phase, 'reattaching');
    assert.equal(run([...restarting, [FAILED, 60_000]]).phase, 'over');
  });

  it('tells the new conmgr where the SQL connection goes', () => {
    const { phase, effects } = run([
      BIND,
      bye('restart'),
      CLOSED,
      { type: 'timer' },
      { type: 'reattached', graceMs: 1 },
    ]);
    assert.equal(phase, 'bound');
    assert.deepEqual(effects, [{ type: 'send-bound', instance: 2 }]);
  });

  it('forgets an announced restart once it is over: the next silent end is a loss', () => {
    const back: AttachmentEvent[] = [
      BIND,
      bye('restart'),
      CLOSED,
      { type: 'timer' },
      { type: 'reattached', graceMs: 1 },
    ];
    assert.equal(run([...back, CLOSED]).types[0], 'lose');
  });

  it('doubles the wait from 0.1 to 2 s, and uses the grace to its end', () => {
    let state: AttachmentState = newAttachment(GRACE_MS, false);
    let now = 0;
    const waits: number[] = [];
    const go = (event: AttachmentEvent) => {
      const taken = step(ATTACHMENT, state, event, now);
      state = taken.state;
      const wait = waitOf(taken.effects);
      if (wait === undefined) return;
      assert.ok(wait.fromMs <= wait.toMs && wait.fromMs >= 0);
      waits.push(wait.toMs);
      now += wait.toMs;
    };
    for (const event of [BIND, bye('restart'), CLOSED]) go(event);
    while (state.phase === 'reattaching') {
      go({ type: 'timer' });
      go(FAILED);
    }
    assert.deepEqual(waits.slice(0, 5), [100, 200, 400, 800, 1600]);
    assert.ok(Math.max(...waits) <= REATTACH_LAST_MS);
    assert.equal(now, GRACE_MS);
  });

  it('gives conmgr up after its grace: a loss, or with "keep" a session without a conmgr', () => {
    const late = [FAILED, GRACE_MS] as const;
    assert.deepEqual(run([BIND, bye('restart'), CLOSED, late]).effects[0], {
      type: 'lose',
      reason: 'conmgr gone',
      text: '',
    });
    assert.equal(run([BIND, CLOSED, late], true).phase, 'unwatched');
  });

  it('waits no longer than an hour, whatever grace it was told', () => {
    let { state } = step(ATTACHMENT, newAttachment(0xffff_ffff, false), BIND, 0);
    ({ state } = step(ATTACHMENT, state, bye('restart'), 0));
    ({ state } = step(ATTACHMENT, state, CLOSED, 0));
    assert.equal(step(ATTACHMENT, state, FAILED, LONGEST_GRACE_MS).state.phase, 'over');
  });

  it('does not wait for an instance that conmgr calls down before the SQL connection stands', () => {
    assert.deepEqual(run([down(2)]).effects, [
      { type: 'doubt', instance: 2, reason: 'heartbeat timeout', text: 'no packet for 3 s' },
    ]);
    assert.deepEqual(run([down(2, 'advice')]).types, []);
    assert.equal(run([down(2), BIND]).phase, 'bound');
  });

  it('is not begun when conmgr left while the SQL connection was being made', () => {
    assert.deepEqual(run([CLOSED, BIND]).types, ['lose', 'close']);
    assert.equal(run([bye('restart'), CLOSED, BIND]).phase, 'reattaching');
    assert.equal(run([CLOSED, BIND], true).phase, 'reattaching');
  });

  it('says goodbye when the SQL connection is at its end', () => {
    for (const before of [[BIND], [], [BIND, bye('restart'), CLOSED], [CLOSED]]) {
      assert.deepEqual(run([...before, { type: 'end' }]), {
        phase: 'over',
        effects: [{ type: 'close' }],
        types: ['close'],
      });
    }
  });

  it('closes a connection that comes back to a session that is over', () => {
    const { phase, types } = run([BIND, { type: 'end' }, { type: 'reattached', graceMs: 1 }]);
    assert.equal(phase, 'over');
    assert.deepEqual(types, ['close']);
  });

  it('loses a session at most once, and does nothing more after the end, whatever comes', () => {
    const event: fc.Arbitrary<AttachmentEvent> = fc.oneof(
      fc.constantFrom<AttachmentEvent>(BIND, CLOSED, FAILED, { type: 'timer' }, { type: 'end' }),
      fc.record({ type: fc.constant('reattached' as const), graceMs: fc.nat() }),
      fc.record({
        type: fc.constant('down' as const),
        instance: fc.constantFrom(1, 2),
        action: fc.constantFrom('drop' as const, 'advice' as const),
        reason: fc.constantFrom(...DOWN_REASONS),
        text: fc.string(),
      }),
      fc.record({
        type: fc.constant('bye' as const),
        bye: fc.constantFrom(...BYE_KINDS),
        graceMs: fc.nat(0xffff_ffff),
      }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(event, fc.nat(10_000)), { maxLength: 30 }),
        fc.boolean(),
        (events, keep) => {
          let state = newAttachment(GRACE_MS, keep);
          let losses = 0;
          let now = 0;
          for (const [what, later] of events) {
            const before = state.phase;
            now += later;
            const taken = step(ATTACHMENT, state, what, now);
            state = taken.state;
            losses += taken.effects.filter((effect) => effect.type === 'lose').length;
            assert.ok(ATTACHMENT_PHASES.includes(state.phase));
            if (before === 'over') assert.equal(state.phase, 'over');
          }
          assert.ok(losses <= 1);
        },
      ),
    );
  });
});
