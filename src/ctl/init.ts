/** `cm_ctl init`: a new directory with a commented conmgr.conf. */
import { chmod, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sampleConfig } from '../core/config/render.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { CONFIG_FILE } from '../io/conmgr-directory.js';
import { makeDirectories } from '../io/make-directories.js';
import { errorText } from '../io/native.js';
import type { Call } from './call.js';
import { refuseRoot } from './root.js';

export async function runInit({ directory, world }: Call): Promise<ExitStatus> {
  refuseRoot(world.uid);
  await makeDirectory(directory);
  await writeSample(join(directory, CONFIG_FILE));
  world.output.lines([
    `Directory ${directory} is ready. Now name the servers in`,
    `    ${join(directory, CONFIG_FILE)}`,
    'then check and start:',
    `    cm_ctl check -D ${shellWord(directory)}`,
    `    cm_ctl start -D ${shellWord(directory)}`,
  ]);
  return EXIT.done;
}

/** Makes it, with what is missing above it, or takes one that is empty; only its owner may enter it then. */
async function makeDirectory(directory: string): Promise<void> {
  try {
    await makeDirectories(directory);
    if ((await readdir(directory)).length === 0) {
      await chmod(directory, 0o700);
      return;
    }
  } catch (error) {
    const params = { path: directory, reason: errorText(error) };
    throw new MessageError(CTL_MESSAGES.initFailed, params, { cause: error });
  }
  throw new MessageError(CTL_MESSAGES.directoryNotEmpty, { directory });
}

async function writeSample(path: string): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(sampleConfig());
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new MessageError(CTL_MESSAGES.initFailed, { path, reason: errorText(error) }, { cause: error });
  }
}

/** A path as it can be pasted into a shell. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
