/** `cm_ctl secret`: a file with a new secret for the heartbeat links. */
import { randomBytes } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { resolve } from 'node:path';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { errorText } from '../io/native.js';
import type { Call } from './call.js';

/** 256 bits, as many as the hash of the handshake has. */
const SECRET_BYTES = 32;

/** Never shows the secret, and never writes over a file: whoever has the old one would be locked out. */
export async function runSecret({ operands, world }: Call): Promise<ExitStatus> {
  const path = resolve(operands[0] ?? '');
  try {
    await writeNew(path, `${randomBytes(SECRET_BYTES).toString('hex')}\n`);
  } catch (error) {
    const params = { path, reason: errorText(error) };
    throw new MessageError(CTL_MESSAGES.initFailed, params, { cause: error });
  }
  world.output.lines([
    `${path} holds a new secret. Copy it over a safe way to each host, mode 0600,`,
    'owned by the user that runs conmgr there or, on a database host, the watchdog. Then name it:',
    "    heartbeat_secret_file = 'FILE'     in conmgr.conf",
    "    watchdog.secret_file = 'FILE'      in postgresql.conf",
  ]);
  return EXIT.done;
}

/** What is not complete does not stay. */
async function writeNew(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await unlink(path).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
}
