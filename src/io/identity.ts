/**
 * Who this process is: towards the watchdogs, and towards the operating system.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, readFileSync, realpathSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { errorText } from './native.js';

/** 128 bits as 32 hex digits, as the heartbeat protocol has them. */
export type Id = string;

/** The identity of a conmgr, which is the same after every restart. */
export interface ConmgrIdentity {
  readonly id: Id;
  /** Set when the machine ID could not be used and the identity is kept in this file; to be logged. */
  readonly kept?: { readonly file: string; readonly reason: string };
}

const MACHINE_ID_FILE = '/etc/machine-id';

/** Name of the file in the directory for machines without a machine ID. */
const KEPT_ID_FILE = 'conmgr.id';

/** The machine ID as machine-id(5) describes it; throws with the reason when it is missing or not yet set. */
function machineId(file: string): Buffer {
  const text = readFileSync(file, 'latin1').trim();
  if (!/^[0-9a-f]{32}$/.test(text) || /^0+$/.test(text)) {
    throw new Error(text === '' ? 'the file is empty' : 'the file has no machine ID');
  }
  return Buffer.from(text, 'hex');
}

/** The identity kept in the directory, made at the first call. Throws what the file system says. */
function keptId(file: string): Id {
  const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const readKept = (): Id => {
    const fd = openSync(file, O_RDONLY | O_NOFOLLOW);
    try {
      const text = readFileSync(fd, 'latin1').trim();
      if (!/^[0-9a-f]{32}$/.test(text)) throw new Error('the file does not hold 32 hex digits');
      return text;
    } finally {
      closeSync(fd);
    }
  };
  const make = (): Id => {
    const fd = openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      const id = randomBytes(16).toString('hex');
      writeSync(fd, `${id}\n`);
      fsyncSync(fd);
      return id;
    } finally {
      closeSync(fd);
    }
  };
  try {
    return readKept();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return make();
  }
}

/**
 * The identity of the conmgr in `directory`: HMAC-SHA256 with the machine ID as key over the real path, first 16
 * octets. So it needs no storing, differs between directories and between machines, and a cloned machine gets
 * another one as soon as its machine ID is its own. The machine ID itself is not told to anybody, as machine-id(5)
 * asks. Throws MessageError (identityNotKept) when there is neither a machine ID nor a file to keep one.
 */
export function conmgrIdentity(directory: string, machineIdFile: string = MACHINE_ID_FILE): ConmgrIdentity {
  const path = realpathSync(directory);
  try {
    const hmac = createHmac('sha256', machineId(machineIdFile)).update(path, 'utf8').digest();
    return { id: hmac.toString('hex', 0, 16) };
  } catch (error) {
    const file = join(path, KEPT_ID_FILE);
    const problem = errorText(error);
    return { id: keptIdOrMessage(file, machineIdFile, problem), kept: { file, reason: problem } };
  }
}

function keptIdOrMessage(file: string, machineIdFile: string, problem: string): Id {
  try {
    return keptId(file);
  } catch (cause) {
    const params = { file, reason: errorText(cause), machineIdFile, problem };
    throw new MessageError(PROCESS_MESSAGES.identityNotKept, params, { cause });
  }
}

/** An identity for one start of a process: random. */
export function newBootId(): Id {
  return randomBytes(16).toString('hex');
}

/** Throws MessageError (runAsRoot, exit status 77) for the superuser: `unit` names what to start instead. */
export function assertNotRoot(
  program: string,
  unit: string,
  uid: number | undefined = process.geteuid?.(),
): void {
  if (uid === 0) throw new MessageError(PROCESS_MESSAGES.runAsRoot, { program, unit });
}
