/** conmgr-helper and the redirect programs, for one conmgr of a benchmark that root runs in namespaces of its own. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  controlGroup,
  helperCommand,
  NOBODY,
  OBJECT,
  pinFileSystem,
  socketPath,
  startHelper,
  targetLists,
} from '../../test/kernel/place.js';

export interface KernelParts {
  /** The environment in which conmgr finds the helper. */
  readonly env: NodeJS.ProcessEnv;
  readonly socket: string;
  /** In front of a program that is redirected. */
  readonly within: readonly string[];
  stop(): Promise<void>;
}

/** Why there is no redirect; undefined: there can be one. */
export function whyNoRedirect(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  return existsSync(OBJECT) ? undefined : 'make bpf builds its programs';
}

/** Allows conmgr these servers and this listener. `name` is of its own in the run. */
export async function startKernelParts(
  name: string,
  targets: readonly (readonly [host: string, port: number])[],
  listener: number,
): Promise<KernelParts> {
  const group = controlGroup(name);
  const pins = join(pinFileSystem(), 'conmgr');
  const where = ['--pins', pins, '--cgroup', group.path];
  const words = ['load', ...where, '--user', String(NOBODY), '--object', OBJECT];
  const { code, stderr } = await helperCommand(...words).done;
  if (code !== 0) throw new Error(stderr);
  const socket = socketPath();
  const allowed = targets.map(([host, port]) => `target ${host} ${port}\n`).join('');
  const lists = targetLists(`user 0\nuser ${NOBODY}\n${allowed}listener ${listener}\n`);
  const helper = startHelper(['--socket', socket, '--targets', lists, '--pins', pins]);
  await helper.waitForLine(/starting conmgr-helper/);
  return {
    env: { CONMGR_HELPER_SOCKET: socket },
    socket,
    within: group.run([]),
    stop: async () => {
      await helper.stop('SIGKILL');
      await helperCommand('unload', ...where).done;
    },
  };
}
