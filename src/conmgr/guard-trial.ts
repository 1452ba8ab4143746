/** A look at conmgr-helper before a conmgr takes over from one that runs: what could keep it from starting is seen then. */
import type { ConmgrConfig } from '../core/config/types.js';
import type { Clock } from '../core/time.js';
import { type Abilities, assertGuard, probeHelper } from '../io/helper-abilities.js';
import { HelperClient, HelperUnreachable, REFUSED } from '../io/helper-client.js';
import { START_PATIENCE_MS } from './kernel.js';

/** With guard = on: rejects with MessageError (guardImpossible) when sockets cannot be ended at this moment. `path`: socket
 *  of the helper. */
export async function tryGuard(path: string, config: ConmgrConfig, clock: Clock): Promise<void> {
  if (!config.guard) return;
  let cause = new HelperUnreachable('no answer');
  const found = await new Promise<Abilities | HelperUnreachable>((resolve) => {
    const patience = clock.setTimer(START_PATIENCE_MS, () => end(cause));
    const end = (outcome: Abilities | HelperUnreachable): void => {
      patience.cancel();
      client.close();
      resolve(outcome);
    };
    const probe = async (): Promise<void> => {
      const ask = (request: object) => client.ask(request).catch((error: Error) => error);
      end((await probeHelper(ask, config, [])) ?? cause);
    };
    const client = new HelperClient({
      path,
      clock,
      onUp: () => void probe(),
      onDown: (error) => {
        cause = error;
        // One that is being started may listen in a moment; one that refuses will go on to.
        if (error.code === 'EACCES' || error.code === REFUSED) end(error);
      },
    });
    client.start();
  });
  assertGuard(found);
}
