/** What systemd does for the descriptors of conmgr's unit, for a conmgr that runs as another account. */
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { ServiceManager } from '../../support/service-manager.js';
import type { Trial } from './trial.js';

/** A manager, and the end of its unit, which comes with the end of the row at the latest. */
export function managerOf(trial: Trial): { readonly manager: ServiceManager; readonly unitDown: () => void } {
  const manager = new ServiceManager();
  const socket = manager.start().env['NOTIFY_SOCKET'] ?? '';
  chmodSync(dirname(socket), 0o711);
  chmodSync(socket, 0o666);
  let up = true;
  const unitDown = (): void => {
    if (up) manager.close();
    up = false;
  };
  trial.atEnd(unitDown);
  return { manager, unitDown };
}
