/** The conmgr processes of this host, as far as the caller may see them (proc(5)). */
import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { conmgrArguments, directoryOf } from '../core/ctl/command-line.js';
import { lockFilePid } from './directory-lock.js';
import { type ManagedUnit, unitInCgroup } from './systemd-job.js';
import { conmgrDirectory } from './unit-directory.js';

/** A process and nothing else: pids are used again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it was started, in clock ticks since boot (field 22 of /proc/PID/stat). */
  readonly startTicks: string;
}

/** A conmgr in the process table. */
export interface ConmgrProcess {
  readonly pid: number;
  readonly uid: number;
  /** Without symbolic links where they can be followed; undefined where only its owner may see it. */
  readonly directory: string | undefined;
  /** Service of systemd that it belongs to. It need not be one of conmgr's: a terminal may be a service. */
  readonly unit: ManagedUnit | undefined;
}

/** How often the end of a process is looked for; the kernel tells it to the parent only. */
const END_POLL_MS = 10;

/** The process of this number, undefined when there is none or it has ended and waits for its parent. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name in parentheses may have blanks and parentheses itself; field 3 (state) follows the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = ''] = fields;
  const startTicks = fields[19];
  return startTicks === undefined || state === 'Z' || state === 'X' ? undefined : { pid, startTicks };
}

/** Resolves when the process is gone, or when `signal` says so; true for the former. */
export async function untilGone(process: ProcessIdentity, signal?: AbortSignal): Promise<boolean> {
  while (identifyProcess(process.pid)?.startTicks === process.startTicks) {
    if (signal?.aborted === true) return false;
    await delay(END_POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  }
  return true;
}

/**
 * Whether /proc/PID/status is of a process in a PID namespace of its own: then it has a number there, too (proc(5),
 * NSpid). A container is a host for itself: its directories, users and units are not those of this one.
 */
export function isInContainer(status: string): boolean {
  const [, numbers = ''] = /^NSpid:[ \t]*(.*)$/m.exec(status) ?? [];
  return /\d\s+\d/.test(numbers);
}

/** The process as a conmgr of this host, undefined when it is none. */
export async function lookAtConmgr(pid: number): Promise<ConmgrProcess | undefined> {
  const place = `/proc/${pid}`;
  try {
    const words = (await readFile(`${place}/cmdline`, 'utf8')).replace(/\0$/, '').split('\0');
    const args = conmgrArguments(words);
    if (args === undefined || identifyProcess(pid) === undefined) return undefined;
    if (isInContainer(await readFile(`${place}/status`, 'utf8'))) return undefined;
    const [{ uid }, cgroup] = await Promise.all([
      stat(place),
      readFile(`${place}/cgroup`, 'utf8').catch(() => ''),
    ]);
    const named = await namedIn(args, place);
    const directory = named === undefined ? undefined : await fullPath(named, place);
    return { pid, uid, directory, unit: unitInCgroup(cgroup) };
  } catch {
    return undefined;
  }
}

async function namedIn(args: readonly string[], place: string): Promise<string | undefined> {
  const given = directoryOf(args);
  if (given === undefined) return fromEnvironment('CMDATA', place);
  if (given.by === 'path') return given.path;
  const home = given.user ? await fromEnvironment('HOME', place) : '';
  // Without its home it cannot be said where its names lie; a unit that means nothing ends at once.
  return home === undefined ? undefined : conmgrDirectory(given, home);
}

async function fromEnvironment(variable: string, place: string): Promise<string | undefined> {
  const text = await readFile(`${place}/environ`, 'utf8').catch(() => '');
  return text
    .split('\0')
    .find((entry) => entry.startsWith(`${variable}=`))
    ?.slice(variable.length + 1);
}

async function fullPath(directory: string, place: string): Promise<string | undefined> {
  let path = directory;
  if (!path.startsWith('/')) {
    const folder = await readlink(`${place}/cwd`).catch(() => undefined);
    if (folder === undefined) return undefined;
    path = resolve(folder, path);
  }
  return realpath(path).catch(() => path);
}

/** Every conmgr that can be seen, by pid. */
export async function listConmgrs(): Promise<ConmgrProcess[]> {
  const found: ConmgrProcess[] = [];
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  for (const pid of pids.sort((a, b) => a - b)) {
    const process = await lookAtConmgr(pid);
    if (process !== undefined) found.push(process);
  }
  return found;
}

/** The conmgr that the lock file of a directory names, if it lives and is one of this directory. */
export async function conmgrOf(directory: string): Promise<ConmgrProcess | undefined> {
  const pid = lockFilePid(directory);
  if (pid === undefined) return undefined;
  const [process, real] = await Promise.all([lookAtConmgr(pid), realpath(directory).catch(() => directory)]);
  return process?.directory === real ? process : undefined;
}
