/** `cm_ctl logs`: the journal of the unit of an instance, or the log file of a conmgr that cm_ctl itself has started. */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { journalWords, tailWords } from '../core/ctl/log-words.js';
import { isKnown } from '../core/ctl/unit-state.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { conmgrOf } from '../io/conmgr-process.js';
import { errorText } from '../io/native.js';
import type { Call } from './call.js';
import type { Manager } from './manager.js';
import { pathOf } from './manager-of.js';
import { DEFAULT_LOG } from './process-manager.js';
import { realDirectory } from './real-directory.js';

export async function runLogs(call: Call): Promise<ExitStatus> {
  const { world, options } = call;
  // Whoever may not look into the directory may still be allowed to read the journal, and one that is gone had a unit.
  let problem: unknown;
  const directory = await realDirectory(call.directory).catch((error: unknown) => {
    problem = error;
    return pathOf(call.directory);
  });
  const running = await conmgrOf(directory);
  const manager = await world.managers.choose({
    directory,
    pid: running?.pid,
    toStart: false,
    wanted: options.manager,
    logFile: undefined,
  });
  const isGone = problem instanceof MessageError && problem.spec === CTL_MESSAGES.directoryMissing;
  if (isGone && !(await isKnownUnit(manager))) throw problem;
  const file = join(directory, DEFAULT_LOG);
  const unit = await unitMeant(call, manager, file);
  if (unit === undefined) {
    await assertReadable(directory, file);
    return handThrough(call, 'tail', tailWords(file, options), false);
  }
  // The manager of a user runs what belongs to him.
  const owner =
    running?.uid ??
    (await stat(directory).then(
      ({ uid }) => uid,
      () => world.uid,
    ));
  const uid = owner === world.uid ? undefined : owner;
  const of = manager.kind === 'user' ? ({ manager: 'user', uid } as const) : ({ manager: 'system' } as const);
  const question = { ...options, unit, of, pager: world.output.isTerminal };
  return handThrough(call, 'journalctl', journalWords(question), question.pager && !options.follow);
}

/**
 * The unit whose journal is meant; undefined: the log file is. A conmgr that cm_ctl ran itself has left a file, though
 * a unit would run it the next time: until that has happened the file is the log.
 */
async function unitMeant({ options }: Call, { unit }: Manager, file: string): Promise<string | undefined> {
  if (unit === undefined) return undefined;
  if (options.manager !== undefined) return unit.name;
  const state = await unit.state().catch(() => undefined);
  const hasServed = state === undefined || state.registered || state.invocation !== '';
  return hasServed || !(await canAccess(file, constants.F_OK)) ? unit.name : undefined;
}

async function isKnownUnit({ unit }: Manager): Promise<boolean> {
  const state = await unit?.state().catch(() => undefined);
  return state !== undefined && (isKnown(state) || state.invocation !== '');
}

async function assertReadable(directory: string, file: string): Promise<void> {
  await access(file, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT'
      ? new MessageError(CTL_MESSAGES.noLog, { directory, file }, { cause: error })
      : new MessageError(CTL_MESSAGES.logUnreadable, { file, reason: errorText(error) }, { cause: error });
  });
}

function canAccess(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}

/**
 * Runs a program that writes where cm_ctl was to write, and ends with it. `paged`: it shows a pager, which has its own
 * use for the Ctrl-C that the terminal sends to all of them.
 */
async function handThrough(
  { world }: Call,
  program: string,
  words: readonly string[],
  paged: boolean,
): Promise<ExitStatus> {
  const ignore = (): void => {};
  if (paged) process.on('SIGINT', ignore);
  const { interrupted } = world;
  try {
    const status = await new Promise<number | null>((resolve, reject) => {
      const child = spawn(program, words, { stdio: 'inherit', env: { ...world.environment } });
      const end = (): void => {
        child.kill('SIGTERM');
      };
      if (interrupted.aborted) end();
      interrupted.addEventListener('abort', end, { once: true });
      child.on('error', reject);
      child.on('close', resolve);
    });
    return status === 0 || interrupted.aborted ? EXIT.done : EXIT.failed;
  } catch (error) {
    const params = { program, reason: errorText(error) };
    throw new MessageError(CTL_MESSAGES.readerFailed, params, { cause: error });
  } finally {
    if (paged) process.removeListener('SIGINT', ignore);
  }
}
