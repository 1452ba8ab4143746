/** The directory of a conmgr that is about to start, or the message that says why it cannot be that. */
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import { MessageError } from '../core/messages/message-error.js';
import { openDirectory } from '../io/conmgr-directory.js';
import { ownerOf } from '../io/data-directory.js';
import { userNames } from '../io/users.js';

/** The directory's real path. Rejects with MessageError: what keeps this user out is often that he is the wrong one. */
export async function openOwnDirectory(directory: string, user = process.geteuid?.() ?? 0): Promise<string> {
  try {
    return await openDirectory(directory);
  } catch (error) {
    const owner = await ownerOf(directory);
    const { message: reason } = error as Error;
    if (owner === undefined || owner === user || reason !== 'permission denied') {
      throw new MessageError(CONMGR_MESSAGES.unreadableDirectory, { directory, reason }, { cause: error });
    }
    const names = await userNames();
    const [ownerName, userName] = [owner, user].map((uid) => names.get(uid) ?? String(uid));
    const hint =
      owner === 0
        ? `Give it to that user: chown -R ${userName} ${directory}`
        : `Let the systemd unit run as the owner: cm_ctl register -D ${directory} -U ${ownerName}`;
    throw new MessageError(
      CONMGR_MESSAGES.foreignDirectory,
      { directory, owner: ownerName, user: userName, hint },
      { cause: error },
    );
  }
}
