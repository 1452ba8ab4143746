/** A successor that has asked over the control socket. */
import type { DirectoryLock } from '../io/directory-lock.js';
import { giveThrough } from '../io/hand-over-socket.js';
import type { UnixRights } from '../io/unix-rights.js';
import type { HandOver } from './control.js';
import { REFUSAL } from './hand-over-refusals.js';

/** Hands over to whoever asks, with the lock of the directory. `rights` is undefined where descriptors cannot be passed. */
export function handOverByControl(rights: UnixRights | undefined, lock: DirectoryLock): HandOver {
  return (client, daemon) => {
    if (rights === undefined) {
      return { code: REFUSAL.impossible, message: 'koffi.node could not be loaded' };
    }
    if (daemon.handingOver) return { code: REFUSAL.takenAlready, message: 'another process is taking over' };
    if (daemon.core.ending) return { code: REFUSAL.ending, message: 'conmgr is shutting down' };
    const message = daemon.handOver({
      receive: (handed) => {
        const socket = client.descriptor();
        const reason =
          socket === undefined
            ? 'it has closed the connection'
            : giveThrough(rights, socket, handed, lock.fd);
        if (reason !== '') client.end();
        return reason;
      },
    });
    return message === '' ? undefined : { code: REFUSAL.notNow, message };
  };
}
