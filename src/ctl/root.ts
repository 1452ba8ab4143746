/** conmgr does not run as root, so root neither makes its directory nor starts it. */
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';

/** Throws MessageError for the superuser. */
export function refuseRoot(uid: number): void {
  if (uid === 0) throw new MessageError(CTL_MESSAGES.asRoot);
}
