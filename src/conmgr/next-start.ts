/**
 * What would keep the next process of this unit from starting, looked at before anything is handed over: the service manager
 * starts it only when this one is gone, and a unit that fails for good (78) loses what was stored for it.
 */
import type { ConmgrConfig } from '../core/config/types.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import type { Clock } from '../core/time.js';
import { nextFileLimit } from '../io/systemd-job.js';
import { tryGuard } from './guard-trial.js';
import { descriptorShortage } from './preflight.js';

export interface NextStart {
  readonly directory: string;
  /** As the next process will read it. */
  readonly config: ConmgrConfig;
  readonly clock: Clock;
  /** Where conmgr-helper listens. */
  readonly helperSocket: string;
  /** RLIMIT_NOFILE of this process, taken for that of the next one where the service manager does not tell. */
  readonly descriptorLimit: number;
  /** Asks the service manager; tests have their own. */
  readonly nextLimit?: () => Promise<number | undefined>;
}

/** One line for each reason; none: it can start. */
export async function whyNotStart({
  nextLimit = nextFileLimit,
  ...next
}: NextStart): Promise<readonly string[]> {
  const { directory, config, clock, helperSocket, descriptorLimit } = next;
  const [guard, limit = descriptorLimit] = await Promise.all([
    tryGuard(helperSocket, config, clock).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof MessageError) return error;
        throw error;
      },
    ),
    nextLimit(),
  ]);
  const shortage = descriptorShortage(directory, config, limit);
  return [
    ...(shortage === undefined ? [] : [new MessageError(PROCESS_MESSAGES.descriptorsTooFew, shortage)]),
    ...(guard === undefined ? [] : [guard]),
  ].map(({ message }) => message);
}
