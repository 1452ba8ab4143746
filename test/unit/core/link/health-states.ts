/** An instance's health driven into each of its phases, and the events that can meet it there. */
import {
  type HealthEffect,
  type HealthEvent,
  type HealthState,
  newHealth,
  stepHealth,
} from '../../../../src/core/link/health.js';
import { GOODBYE_REASONS } from '../../../../src/core/protocol/messages.js';
import type { MonotonicMs } from '../../../../src/core/time.js';

export const SETTINGS = { intervalMs: 1000, timeoutMs: 3000 };
export const FRESH = newHealth(SETTINGS);

/** Steps through events at their moments; the effects are those of the last step. */
export function drive(
  state: HealthState,
  ...steps: readonly (readonly [now: MonotonicMs, event: HealthEvent])[]
): { readonly state: HealthState; readonly effects: readonly HealthEffect[] } {
  let stepped: { state: HealthState; effects: readonly HealthEffect[] } = { state, effects: [] };
  for (const [now, event] of steps) stepped = stepHealth(stepped.state, event, now);
  return stepped;
}

export const linkLost = (end: 'timeout' | 'closed' | 'protocol'): HealthEvent => ({
  type: 'linkLost',
  end,
  text: 'reset',
});
export const goodbyeOf = (reason: (typeof GOODBYE_REASONS)[number], graceMs = 0): HealthEvent => ({
  type: 'goodbye',
  reason,
  graceMs,
  text: 'bye',
});
export const probed = (answered: boolean): HealthEvent => ({
  type: 'probed',
  answered,
  text: answered ? '' : 'refused',
});
export const WOKE: HealthEvent = { type: 'woke' };

const MONITORED = drive(FRESH, [0, { type: 'start' }], [50, { type: 'linkUp' }]).state;

/** The last sign of life came between 50 and 100 in almost every one of these. */
export const STATES = {
  'not started': FRESH,
  unseen: drive(FRESH, [100, { type: 'start' }]).state,
  monitored: MONITORED,
  down: drive(MONITORED, [100, { type: 'instanceDown', text: 'stopped' }]).state,
  checking: drive(MONITORED, [100, linkLost('closed')]).state,
  // The process was awake all the time.
  'checking, nearly over': drive(MONITORED, [100, linkLost('closed')], [350, WOKE], [600, WOKE], [850, WOKE])
    .state,
  grace: drive(MONITORED, [100, goodbyeOf('restart', 2500)]).state,
  'grace, nearly over': drive(
    MONITORED,
    [100, goodbyeOf('restart', 2500)],
    [1100, WOKE],
    [1110, probed(true)],
    [2100, WOKE],
    [2110, probed(true)],
  ).state,
  unmonitored: drive(MONITORED, [90, linkLost('closed')], [100, probed(true)]).state,
  // The probe that went out at 1 s is still unanswered, and the process was never late.
  'unseen, silent': drive(FRESH, [60, { type: 'start' }], [1060, WOKE], [2060, WOKE]).state,
  'unmonitored, silent': drive(
    MONITORED,
    [50, linkLost('closed')],
    [60, probed(true)],
    [1060, WOKE],
    [2060, WOKE],
  ).state,
  'grace, silent': drive(MONITORED, [60, goodbyeOf('restart', 30_000)], [1060, WOKE], [2060, WOKE]).state,
  leaving: drive(MONITORED, [100, goodbyeOf('hostShutdown')]).state,
  'leaving, answered': drive(MONITORED, [100, goodbyeOf('hostShutdown')], [100, probed(true)]).state,
  lost: drive(MONITORED, [100, linkLost('timeout')]).state,
} satisfies Record<string, HealthState>;
export type StateName = keyof typeof STATES;

/** Everything that can happen to an instance, with the moment. */
export const EVENTS: Readonly<Record<string, readonly [now: MonotonicMs, event: HealthEvent]>> = {
  start: [200, { type: 'start' }],
  adopted: [200, { type: 'adopted' }],
  'link up': [200, { type: 'linkUp' }],
  'link timed out': [200, linkLost('timeout')],
  'link closed': [200, linkLost('closed')],
  'link broken by protocol': [200, linkLost('protocol')],
  ...Object.fromEntries(
    GOODBYE_REASONS.map((reason) => [`goodbye ${reason}`, [200, goodbyeOf(reason, 2500)] as const]),
  ),
  'instance runs': [200, { type: 'instanceRuns' }],
  'instance down': [200, { type: 'instanceDown', text: 'stopped' }],
  'probe answered': [200, probed(true)],
  'probe unanswered': [200, probed(false)],
  'probe unanswered after 1 s': [1100, probed(false)],
  'woken early': [150, WOKE],
  'woken after 250 ms': [350, WOKE],
  'woken after 1 s': [1100, WOKE],
  'woken after 2 s': [2100, WOKE],
  'woken after 2.5 s': [2600, WOKE],
  'woken after 3 s': [3100, WOKE],
  'woken after 60 s': [60_100, WOKE],
  configured: [200, { type: 'configured', settings: { intervalMs: 500, timeoutMs: 1500 } }],
};

/** One effect in few words. */
export function inWords(effect: HealthEffect): string {
  switch (effect.do) {
    case 'probe':
      return `probe within ${effect.timeoutMs}`;
    case 'dropSessions':
      return `drop sessions: ${effect.reason}`;
    case 'reportLost':
      return `report lost: ${effect.text}`;
    default:
      return effect.do;
  }
}
