/** Why a daemon stops, which decides what its peers make of its goodbye. */
import type { GoodbyeReason } from '../core/protocol/messages.js';
import { managerIntent } from './systemd-job.js';

export type StopReason = Extract<GoodbyeReason, 'stop' | 'restart' | 'hostShutdown'>;

/** What a service manager may have in mind; 'unknown' where there is none. */
export type Intent = () => Promise<'restart' | 'hostShutdown' | 'unknown'>;

/**
 * SIGUSR2 announces a restart, SIGINT comes from a person. SIGTERM comes from a service manager as a rule, which knows
 * whether it restarts the unit or the host goes down; where it does not answer, it is a stop. Never rejects.
 */
export async function stopReason(signal: NodeJS.Signals, intent: Intent): Promise<StopReason> {
  if (signal === 'SIGUSR2') return 'restart';
  if (signal !== 'SIGTERM') return 'stop';
  const intended = await intent().catch(() => 'unknown' as const);
  return intended === 'unknown' ? 'stop' : intended;
}

/** Asks systemd, if it is what started this process. */
export function intentOfManager(managed: boolean): Intent {
  return async () => (managed ? managerIntent() : 'unknown');
}

/** Acts on the signals of one process: what a SIGTERM means is asked once, and nothing else waits for the answer. */
export function stopsAsMeant(
  intent: Intent,
): (signal: NodeJS.Signals, act: (reason: StopReason) => void) => void {
  let asked = false;
  return (signal, act) => {
    if (signal === 'SIGTERM') {
      // The answer to the first one holds for all.
      if (asked) return;
      asked = true;
    }
    void stopReason(signal, intent).then(act);
  };
}
