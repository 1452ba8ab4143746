/** A directory is registered with one service manager: with two, whichever starts it later could never do so. */
import { readUnitState, UNIT_PROPERTIES } from '../core/ctl/unit-state.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { Systemctl } from '../io/systemctl.js';
import { unitsOfDirectory } from '../io/unit-links.js';
import type { Account } from '../io/user-lookup.js';
import { isEnabledByUser } from '../io/user-units.js';
import type { Call } from './call.js';
import { commandLine, type Registry } from './registry.js';

/** Rejects with MessageError when the manager of the owner has it, or that of the host. */
export async function refuseTwoManagers(
  { world, options }: Call,
  { scope }: Registry,
  directory: string,
  { name, home }: Account,
): Promise<void> {
  const refuse = (unit: string, who: readonly string[]): never => {
    const command = commandLine(...who, 'cm_ctl', 'unregister', '-D', directory);
    throw new MessageError(CTL_MESSAGES.registeredElsewhere, { directory, unit, command });
  };
  if (scope === 'system') {
    if (home === undefined) return;
    for (const unit of await unitsOfDirectory(directory, { user: true, home })) {
      if (await isEnabledByUser(home, unit)) refuse(`${unit} of user ${name}`, ['sudo', '-u', name]);
    }
    return;
  }
  // Without --manager the host's was looked at before, and is the one that is meant then.
  if (options.manager === undefined) return;
  const systemctl = new Systemctl({ scope: 'system', environment: world.environment });
  for (const unit of await unitsOfDirectory(directory, { user: false })) {
    const shown = await systemctl.show(unit, UNIT_PROPERTIES).catch(() => ({}));
    if (readUnitState(shown).registered) refuse(`${unit} of the host`, ['sudo']);
  }
}
