/** The commands of root: the redirect programs into the kernel, and out of it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HELPER_MESSAGES } from '../core/messages/kernel-helper.js';
import type { Log } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import { BpfError } from '../io/bpf.js';
import { errorText, libraryFolders, type Native } from '../io/native.js';
import { findCgroup2, loadRedirect, unloadRedirect } from '../io/redirect-programs.js';
import { lookUpUser } from '../io/user-lookup.js';
import type { HelperArguments } from './arguments.js';

export type ProgramArguments = Extract<HelperArguments, { act: 'load' | 'unload' }>;

/** The object of programs, as it is installed. */
const OBJECT = 'redirect.bpf.o';

/** Puts them in. Throws MessageError (redirectFailed). */
export async function load(
  native: Native,
  { pins, cgroup, user, object }: ProgramArguments,
  log: Log,
): Promise<void> {
  const action = 'load the redirect programs';
  const account = await lookUpUser(user);
  if (account === undefined) {
    throw new MessageError(HELPER_MESSAGES.redirectFailed, {
      action,
      reason: `there is no user "${user}"`,
      cure: 'Make it: systemd-sysusers; or name another with --user.',
    });
  }
  const file = object ?? installedObject();
  if (file === undefined) {
    throw new MessageError(HELPER_MESSAGES.redirectFailed, {
      action,
      reason: `there is no ${OBJECT}`,
      cure: 'Install the package again; from a source tree: make bpf, which needs clang.',
    });
  }
  const place = { pins, cgroup: cgroupOf(cgroup) };
  try {
    loadRedirect(native, { ...place, object: file, owner: account });
  } catch (error) {
    throw redirectFailed(action, error);
  }
  log.write(HELPER_MESSAGES.redirectLoaded, { pins, cgroup: place.cgroup ?? 'no control group' });
}

/** Takes them out. Throws MessageError (redirectFailed). */
export function unload(native: Native, { pins, cgroup }: ProgramArguments, log: Log): void {
  try {
    const place = { pins, cgroup: cgroup === 'none' ? undefined : cgroupOf(cgroup) };
    if (unloadRedirect(native, place)) log.write(HELPER_MESSAGES.redirectRemoved, { pins });
  } catch (error) {
    throw redirectFailed('remove the redirect programs', error);
  }
}

function cgroupOf(option: string): string | undefined {
  if (option === 'none') return undefined;
  if (option !== 'host') return option;
  const root = findCgroup2();
  if (root !== undefined) return root;
  throw new MessageError(HELPER_MESSAGES.redirectFailed, {
    action: 'attach the redirect programs',
    reason: 'there are no control groups of version 2',
    cure: 'Mount them: mount -t cgroup2 none /sys/fs/cgroup/unified',
  });
}

const CURES: Readonly<Record<string, string>> = {
  ENOENT: 'The file system of pins must be there: mount -t bpf bpf /sys/fs/bpf',
  EPERM:
    'It must be started by root of the host, and no program may be attached to the control group without "multi": bpftool cgroup tree',
  EACCES: 'The verifier of this kernel refuses the programs: Linux 5.10 or later takes them.',
  EINVAL: 'This kernel lacks something they need: Linux 5.10 or later, with CONFIG_CGROUP_BPF, has it.',
  ENOSYS: 'The kernel has no bpf(2): it was built without CONFIG_BPF_SYSCALL, or a filter hides it.',
};

function redirectFailed(action: string, error: unknown): MessageError {
  const { code = '' } = error as NodeJS.ErrnoException;
  // The last lines of the verifier say what it is about.
  const log = error instanceof BpfError ? error.log.split('\n').slice(-3).join('; ') : '';
  const text = error instanceof BpfError ? error.message : errorText(error);
  return new MessageError(HELPER_MESSAGES.redirectFailed, {
    action,
    reason: log === '' ? text : `${text} (${log})`,
    cure: CURES[code] ?? 'Listeners forward bytes as long as it stays so.',
  });
}

/** Lies beside koffi.node, or in a tree that was built. */
function installedObject(): string | undefined {
  const places = [
    OBJECT,
    `../bpf/${OBJECT}`,
    ...libraryFolders().map((folder) => `../../${folder}/conmgr/${OBJECT}`),
  ];
  return places
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((file) => existsSync(file));
}
