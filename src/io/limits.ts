/**
 * Open files: what the kernel allows a process, and how many are open.
 *
 * Node.js raises the soft limit to the hard one at start, and at the limit it accepts connections and closes them
 * without a word: so the figures are read from the kernel, and whoever accepts connections counts them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { errorText } from './native.js';
import { unitOfProcess } from './systemd-job.js';

/** RLIMIT_NOFILE of a process (getrlimit(2)); Infinity = unlimited. */
export interface DescriptorLimit {
  /** What holds now. */
  readonly soft: number;
  /** Up to where the process may raise it. */
  readonly hard: number;
}

/** Which process, and where its figures are. */
export interface LimitSource {
  /** Default: this process. */
  readonly pid?: number;
  /** Where procfs is mounted. */
  readonly proc?: string;
}

function read<T>(file: string, reader: (file: string) => T): T {
  try {
    return reader(file);
  } catch (error) {
    const reason = `${file}: ${errorText(error)}`;
    throw new MessageError(PROCESS_MESSAGES.limitUnknown, { reason }, { cause: error });
  }
}

const folderOf = ({ pid, proc = '/proc' }: LimitSource): string => `${proc}/${pid ?? 'self'}`;

/** The limit that a process really has. Throws MessageError (limitUnknown) when /proc does not tell. */
export function descriptorLimit(source: LimitSource = {}): DescriptorLimit {
  const file = `${folderOf(source)}/limits`;
  const text = read(file, (path) => readFileSync(path, 'latin1'));
  const [, soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(text) ?? [];
  if (soft === undefined || hard === undefined) {
    throw new MessageError(PROCESS_MESSAGES.limitUnknown, { reason: `${file} has no line "Max open files"` });
  }
  const figure = (word: string): number => (word === 'unlimited' ? Number.POSITIVE_INFINITY : Number(word));
  return { soft: figure(soft), hard: figure(hard) };
}

/**
 * What Node.js (about 20), the log, the control socket, listeners and programs that are asked take for a moment at most.
 * With less a daemon would fail somewhere on its way, each time for another reason.
 */
const LEAST_DESCRIPTORS = 48;

/** Throws MessageError (descriptorsBelowLeast) when this process may not even open what every daemon does. */
export function assertDescriptors(limit = softLimitIfKnown()): void {
  if (limit >= LEAST_DESCRIPTORS) return;
  const unit = unitOfProcess('NAME.service');
  throw new MessageError(PROCESS_MESSAGES.descriptorsBelowLeast, { limit, least: LEAST_DESCRIPTORS, unit });
}

/** Without an answer of /proc nothing is said here: what needs the figure will say so. */
function softLimitIfKnown(): number {
  try {
    return descriptorLimit().soft;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** How many descriptors a process has open. Costs about 1 us for each, so ask now and then, not per connection.
 *  Throws MessageError (limitUnknown) when /proc does not tell. */
export function openDescriptors(source: LimitSource = {}): number {
  const names = read(`${folderOf(source)}/fd`, (path) => readdirSync(path));
  // Looking at one's own directory takes a descriptor that is gone afterwards.
  const ownLook = source.pid === undefined || source.pid === process.pid ? 1 : 0;
  return names.length - ownLook;
}
