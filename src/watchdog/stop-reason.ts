/** Why the watchdog stops, which decides what the conmgrs make of its goodbye. */
import type { GoodbyeReason } from '../core/protocol/messages.js';

/** Signals that stop the watchdog. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];
export type StopReason = Extract<GoodbyeReason, 'stop' | 'restart' | 'hostShutdown'>;

/**
 * SIGUSR2 announces a restart: links are remembered, and conmgrs wait for watchdog.restart_grace. SIGTERM comes from a
 * service manager as a rule, which knows whether it restarts the unit or the host goes down.
 */
export async function stopReason(
  signal: StopSignal,
  intent: () => Promise<'restart' | 'hostShutdown' | 'unknown'>,
): Promise<StopReason> {
  if (signal === 'SIGUSR2') return 'restart';
  if (signal === 'SIGINT') return 'stop';
  const intended = await intent();
  return intended === 'unknown' ? 'stop' : intended;
}
