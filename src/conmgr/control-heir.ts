/** A successor that has asked over the control socket. */
import { CANNOT_CONNECT_NOW } from '../core/conmgr/refusals.js';
import type { DirectoryLock } from '../io/directory-lock.js';
import { BEING_TAKEN_OVER, giveThrough } from '../io/hand-over-socket.js';
import type { UnixRights } from '../io/unix-rights.js';
import type { HandOver } from './control.js';

const OBJECT_NOT_IN_PREREQUISITE_STATE = '55000';

/** Hands over to whoever asks, with the lock of the directory. `rights` is undefined where descriptors cannot be passed. */
export function handOverByControl(rights: UnixRights | undefined, lock: DirectoryLock): HandOver {
  return (client, daemon) => {
    if (rights === undefined) {
      return { code: OBJECT_NOT_IN_PREREQUISITE_STATE, message: 'koffi.node could not be loaded' };
    }
    if (daemon.handingOver) return { code: BEING_TAKEN_OVER, message: 'another process is taking over' };
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
    return message === '' ? undefined : { code: CANNOT_CONNECT_NOW, message };
  };
}
