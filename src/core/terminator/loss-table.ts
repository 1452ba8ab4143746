/** Transition table of a loss (see loss.ts for the data and the deeds). */
import { type Machine, type Row, rowsOf, step } from '../fsm.js';
import { type MonotonicMs, NEVER } from '../time.js';
import {
  beginPass,
  digest,
  failPass,
  grantGrace,
  isFinished,
  LOSS_EVENTS,
  LOSS_PHASES,
  type LossData,
  type LossEffect,
  type LossEvent,
  type LossPhase,
  type LossState,
  PASS_INTERVAL_MS,
} from './loss.js';

const row = rowsOf<LossPhase, LossData, LossEvent, LossEffect>();
const every = LOSS_PHASES;

const ROWS: readonly Row<LossPhase, LossData, LossEvent, LossEffect>[] = [
  // Waiting for the conmgr
  row({
    from: ['waiting'],
    on: 'woke',
    to: 'same',
    why: 'Woken early: the conmgr still has time to come back.',
    when: (data, _event, now) => now < data.dueAt,
  }),
  row({
    from: ['waiting'],
    on: 'woke',
    to: 'same',
    why: 'A process that was itself late may not have heard the conmgr knock: it gets that time, once.',
    when: (data, { lateMs }) => !data.doubted && lateMs > data.settings.graceMs / 4,
    act: (data, { lateMs }, now) => grantGrace(data, lateMs, now),
  }),
  row({
    from: ['waiting'],
    on: 'woke',
    to: 'over',
    why: 'Another conmgr of the same address is alive, so the host is, and its sessions are left alone.',
    when: (_data, event) => event.otherLink,
    act: (data) => ({ data: { ...data, dueAt: NEVER }, effects: [{ do: 'reportOmitted' }] }),
  }),
  row({
    from: ['waiting'],
    on: 'woke',
    to: 'over',
    why: 'With terminate_on = never it is only said what would have been ended.',
    when: (data) => data.settings.logOnly,
    act: (data) => ({ data: { ...data, dueAt: NEVER }, effects: [{ do: 'reportLogOnly' }] }),
  }),
  row({
    from: ['waiting'],
    on: 'woke',
    to: 'same',
    why: 'An operator has suspended the terminator.',
    when: (_data, event) => event.paused,
    act: (data) => ({
      data: { ...data, held: true, dueAt: NEVER },
      effects: [{ do: 'reportHeld' }],
    }),
  }),
  row({
    from: ['waiting'],
    on: 'woke',
    to: 'passing',
    why: 'The conmgr is lost: the sessions of its address are ended.',
    act: (data, _event, now) => beginPass(data, now),
  }),
  row({
    from: ['waiting'],
    on: 'back',
    to: 'over',
    why: 'The same conmgr is back, so nothing was lost.',
    act: (data, _event, now) => ({
      data: { ...data, dueAt: NEVER },
      effects: [{ do: 'reportBack', afterMs: Math.round(now - data.since) }],
    }),
  }),
  row({
    from: ['waiting'],
    on: 'addressBack',
    to: 'same',
    why: 'Whether another conmgr speaks for the address is asked when the time has come.',
  }),
  row({
    from: ['waiting'],
    on: 'resumed',
    to: 'same',
    why: 'What was held back is due now.',
    when: (data) => data.held,
    act: (data, _event, now) => ({ data: { ...data, held: false, dueAt: now } }),
  }),
  row({
    from: ['waiting'],
    on: 'instanceDown',
    to: 'same',
    why: 'The sessions are gone, but the instance may be back before the conmgr.',
  }),

  // Ending sessions
  row({
    from: ['passing'],
    on: 'passed',
    to: 'over',
    why: 'Nothing is left to come back for.',
    when: (data, { result }, now) => isFinished(data, result, now),
    act: (data, { result }, now) => {
      const last = digest(data, result, now);
      const ended = (last.data ?? data).ended;
      return { ...last, effects: [...(last.effects ?? []), { do: 'reportOver', ended }] };
    },
  }),
  row({
    from: ['passing'],
    on: 'passed',
    to: 'resting',
    why: 'Sessions that are still authenticating cannot be seen, and those that wait for synchronous replication must wait.',
    act: (data, { result }, now) => digest(data, result, now),
  }),
  row({
    from: ['passing'],
    on: 'passFailed',
    to: 'resting',
    why: 'What could not be done now is tried again.',
    act: (data, { text }, now) => failPass(data, text, now),
  }),
  row({
    from: ['resting'],
    on: 'woke',
    to: 'same',
    why: 'Woken early: the next pass is not due.',
    when: (data, _event, now) => now < data.dueAt,
  }),
  row({
    from: ['resting'],
    on: 'woke',
    to: 'same',
    why: 'An operator has suspended the terminator.',
    when: (_data, event) => event.paused,
    act: (data, _event, now) => ({ data: { ...data, dueAt: now + PASS_INTERVAL_MS } }),
  }),
  row({
    from: ['resting'],
    on: 'woke',
    to: 'over',
    why: 'Nobody can be authenticating since before the loss any more, and nobody waits.',
    when: (data, _event, now) => (data.narrow || now >= data.repeatEndsAt) && data.deferred.length === 0,
    act: (data) => over(data),
  }),
  row({
    from: ['resting'],
    on: 'woke',
    to: 'passing',
    why: 'The pass is repeated.',
    act: (data, _event, now) => beginPass(data, now),
  }),
  row({
    from: ['resting'],
    on: 'back',
    to: 'over',
    why: 'The address is back and nobody waits: new sessions are none of the loss.',
    when: (data) => data.deferred.length === 0 && data.notAfter !== undefined,
    act: (data) => over(data),
  }),
  row({
    from: ['resting'],
    on: 'addressBack',
    to: 'over',
    why: 'The address is back and nobody waits: new sessions are none of the loss.',
    when: (data) => data.deferred.length === 0 && data.notAfter !== undefined,
    act: (data) => over(data),
  }),
  row({
    from: ['passing', 'resting'],
    on: 'back',
    to: 'same',
    why: 'The address is back: only what waits for synchronous replication is still ended.',
    act: (data) => ({ data: { ...data, narrow: true } }),
  }),
  row({
    from: ['passing', 'resting'],
    on: 'addressBack',
    to: 'same',
    why: 'The address is back: only what waits for synchronous replication is still ended.',
    act: (data) => ({ data: { ...data, narrow: true } }),
  }),
  row({
    from: ['passing', 'resting'],
    on: 'instanceDown',
    to: 'over',
    why: 'All sessions ended with the instance.',
    act: (data) => over(data),
  }),

  // What has no meaning in a phase
  row({
    from: ['passing', 'over'],
    on: 'woke',
    to: 'same',
    why: 'Nothing is due until the pass is done.',
  }),
  row({ from: every, on: 'resumed', to: 'same', why: 'Nothing was held back.' }),
  row({
    from: ['waiting', 'resting', 'over'],
    on: 'passed',
    to: 'same',
    why: 'A pass that was given up.',
  }),
  row({
    from: ['waiting', 'resting', 'over'],
    on: 'passFailed',
    to: 'same',
    why: 'A pass that was given up.',
  }),
  row({ from: ['over'], on: 'back', to: 'same', why: 'The loss is over.' }),
  row({ from: ['over'], on: 'addressBack', to: 'same', why: 'The loss is over.' }),
  row({ from: ['over'], on: 'instanceDown', to: 'same', why: 'The loss is over.' }),
];

function over(data: LossData) {
  return {
    data: { ...data, dueAt: NEVER },
    effects: [{ do: 'reportOver', ended: data.ended } as const],
  };
}

export const LOSS_MACHINE: Machine<LossPhase, LossData, LossEvent, LossEffect> = {
  name: 'loss',
  phases: LOSS_PHASES,
  events: LOSS_EVENTS,
  rows: ROWS,
};

/** One step of a loss. */
export function stepLoss(state: LossState, event: LossEvent, now: MonotonicMs) {
  return step(LOSS_MACHINE, state, event, now);
}
