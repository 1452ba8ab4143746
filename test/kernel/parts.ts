/** conmgr-helper and the redirect programs, as their units start them, for the applications of one control group. */
import { join } from 'node:path';
import type { Running } from '../support/running.js';
import {
  controlGroup,
  loadPrograms,
  NOBODY,
  pinFileSystem,
  socketPath,
  startHelper,
  targetLists,
  unloadPrograms,
} from './place.js';

export class KernelParts {
  private constructor(
    readonly helper: Running,
    /** What conmgr is told of it. */
    readonly env: NodeJS.ProcessEnv,
    /** A command that runs an application where the programs redirect its connections. */
    readonly within: readonly string[],
    private readonly unload: () => Promise<void>,
  ) {}

  /**
   * @param name of the control group
   * @param targets addresses whose connections may be ended, and be led to, with their port
   * @param listeners ports that may be redirected
   */
  static async start(
    name: string,
    targets: readonly (readonly [address: string, port: number])[],
    listeners: readonly number[],
  ): Promise<KernelParts> {
    const group = controlGroup(name);
    const pins = join(pinFileSystem(), 'conmgr');
    await loadPrograms(pins, group.path);
    const lists = targetLists(
      [
        `user ${NOBODY}`,
        ...targets.map(([address, port]) => `target ${address} ${port}`),
        ...listeners.map((port) => `listener ${port}`),
        '',
      ].join('\n'),
    );
    const socket = socketPath();
    const helper = startHelper(['--socket', socket, '--targets', lists, '--pins', pins]);
    await helper.waitForLine(/guard on, redirect on/);
    return new KernelParts(helper, { CONMGR_HELPER_SOCKET: socket }, group.run([]), () =>
      unloadPrograms(pins, group.path),
    );
  }

  async end(): Promise<void> {
    await this.helper.stop();
    await this.unload();
  }
}
