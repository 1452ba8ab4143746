/**
 * The steps of a hand-over as they are reached, for whoever wants to know where the time goes: a channel of Node.js
 * (diagnostics_channel) that nobody listens to unless a program was preloaded that does, as bench/restart.bench.ts has it.
 */
import { channel } from 'node:diagnostics_channel';

export const HAND_OVER_CHANNEL = 'conmgr:hand-over';

const steps = channel(HAND_OVER_CHANNEL);

/** In their order (docs/decisions/0035-hand-over.md); the predecessor's first, in parts at the same time as the successor's. */
export type HandOverStep =
  | 'asked'
  | 'watchdogs told'
  | 'stopped'
  | 'packed'
  | 'sent'
  | 'answered'
  | 'asking'
  | 'received'
  | 'opened'
  | 'predecessor gone'
  | 'adopting'
  | 'adopted'
  | 'listening';

/** Says that a step is done. */
export function reached(step: HandOverStep): void {
  steps.publish(step);
}
