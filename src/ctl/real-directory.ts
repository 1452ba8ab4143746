/** The directory that -D names, without symbolic links. */
import { realpath, stat } from 'node:fs/promises';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';

/** Rejects with MessageError when there is none or it cannot be reached. */
export async function realDirectory(directory: string): Promise<string> {
  try {
    const real = await realpath(directory);
    if ((await stat(real)).isDirectory()) return real;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      throw new MessageError(CTL_MESSAGES.directoryClosed, { directory }, { cause: error });
    }
  }
  throw new MessageError(CTL_MESSAGES.directoryMissing, { directory });
}
