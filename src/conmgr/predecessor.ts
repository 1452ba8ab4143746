/** What a conmgr does that is to take over from the one that runs in its directory, without a service manager. */
import type { ConmgrConfig } from '../core/config/types.js';
import { DOCUMENT_VERSION } from '../core/handover/document.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Log } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import { systemClock } from '../io/clock.js';
import { askControl } from '../io/control-socket.js';
import { adoptLock, assertLockFile, type DirectoryLock, lockDirectory } from '../io/directory-lock.js';
import { askHandOver } from '../io/hand-over-socket.js';
import { reached } from '../io/hand-over-steps.js';
import { loadNative } from '../io/native.js';
import { UnixRights } from '../io/unix-rights.js';
import { tryPorts } from './app-listeners.js';
import { afterRefusal, REFUSAL } from './hand-over-refusals.js';
import { type Inheritance, openInheritance } from './succession.js';

/** A predecessor that does not hand over says goodbye to watchdogs (1.5 s), applications (2 s), and tidies up (1 s). */
const ENDS_WITHIN_MS = 10_000;

export interface Heritage {
  readonly lock: DirectoryLock;
  /** Undefined: nobody ran, or nothing was handed over. */
  readonly inheritance: Inheritance | undefined;
}

export interface SuccessionOptions {
  /** Without symbolic links. */
  readonly directory: string;
  readonly conmgrId: string;
  readonly config: ConmgrConfig;
  readonly log: Log;
}

/**
 * Takes over from whoever runs; one that cannot hand over is told to restart, as which this process goes on, and one that
 * only does not do so now is left alone. Rejects with MessageError, upon which the predecessor goes on as it was: what
 * lockDirectory and assertLockFile say, handOverUnusable, cannotListen, predecessorStays.
 */
export async function succeed(options: SuccessionOptions): Promise<Heritage> {
  const { directory, conmgrId, config, log } = options;
  const lines = linesOfLock(config);
  const native = loadNative();
  const asked = native === undefined ? NO_CALLS : await askHandOver(directory, native, DOCUMENT_VERSION);
  if (asked.kind === 'handed' && native !== undefined) {
    // Until it is confirmed, the end of this process leaves the predecessor as it was.
    const inheritance = openInheritance(new UnixRights(native), asked.handed, conmgrId, log);
    const { problem: reason, listeners } = inheritance;
    if (reason !== '') throw new MessageError(CONMGR_MESSAGES.handOverUnusable, { reason });
    assertLockFile(directory, asked.lock);
    await tryPorts(config, listeners);
    reached('opened');
    if (!(await asked.confirm())) throw new MessageError(CONMGR_MESSAGES.predecessorStays, { directory });
    reached('predecessor gone');
    return { lock: adoptLock(directory, asked.lock, { lines }), inheritance };
  }
  const lock = (waitMs?: number): Promise<DirectoryLock> =>
    lockDirectory(directory, { clock: systemClock, lines, ...(waitMs === undefined ? {} : { waitMs }) });
  if (asked.kind !== 'refused') return { lock: await lock(), inheritance: undefined };
  const { reason, code } = asked;
  const next = afterRefusal(code);
  const unusable = (): never => {
    throw new MessageError(CONMGR_MESSAGES.handOverUnusable, { reason });
  };
  if (next === 'fail') return unusable();
  if (next === 'await') return { lock: await lock(ENDS_WITHIN_MS).catch(unusable), inheritance: undefined };
  log.write(CONMGR_MESSAGES.handOverRefused, { reason });
  // Whoever does not answer is gone, or shows by its lock that it is not.
  await askControl(directory, { command: 'stop', mode: 'restart' }).catch(() => {});
  return { lock: await lock(ENDS_WITHIN_MS), inheritance: undefined };
}

/** What stands in the lock file behind what is always there. */
export function linesOfLock({ port }: ConmgrConfig): readonly string[] {
  return [String(port)];
}

const NO_CALLS = {
  kind: 'refused',
  reason: 'koffi.node could not be loaded',
  code: REFUSAL.impossible,
} as const;
