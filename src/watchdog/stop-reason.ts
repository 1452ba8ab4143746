/** Why the watchdog stops, which decides what the conmgrs make of its goodbye. */
import type { GoodbyeReason } from '../core/protocol/messages.js';

/** Signals that stop the watchdog. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** SIGUSR2 announces a restart: links are remembered, and conmgrs wait for watchdog.restart_grace. */
export function stopReason(signal: StopSignal): Extract<GoodbyeReason, 'stop' | 'restart'> {
  return signal === 'SIGUSR2' ? 'restart' : 'stop';
}
