/** conmgr, conmgr-helper and the redirect programs together, between scripted servers and applications of their own. */
import { chownSync } from 'node:fs';
import { join } from 'node:path';
import type { InstanceAttributes } from '../../src/core/protocol/attributes.js';
import { ConmgrProcess, type ConmgrSettings, type InstanceLines } from '../support/conmgr-process.js';
import { freePort } from '../support/free-ports.js';
import { type Running, startCommand } from '../support/running.js';
import { ScriptedSqlServer } from '../support/scripted-sql-server.js';
import { ScriptedWatchdog } from '../support/scripted-watchdog.js';
import { temporaryDirectory } from '../support/tree.js';
import {
  controlGroup,
  helperCommand,
  loadPrograms,
  NOBODY,
  pinFileSystem,
  setUpNetwork,
  socketPath,
  startHelper,
  targetLists,
  unprivileged,
} from './place.js';

/** Fast enough for a test, with a time-out that a busy machine keeps. */
const SETTINGS: ConmgrSettings = { heartbeat_interval: '100ms', heartbeat_timeout: '1s' };

/** Says the start-up packet, then where it is, and how its connection ends. */
const APPLICATION = `
  const [host, port] = process.argv.slice(1);
  const socket = require('node:net').connect(Number(port), host);
  const packet = Buffer.from('\\0\\0\\0\\0\\0\\x03\\0\\0user\\0app\\0\\0', 'latin1');
  packet.writeInt32BE(packet.length);
  socket.on('connect', () => socket.write(packet));
  socket.once('data', () => console.log('at', socket.remoteAddress, socket.remotePort));
  socket.on('error', (error) => console.log('ended', error.code));
  socket.on('end', () => console.log('ended orderly'));`;

export interface SceneOptions {
  readonly attributes: readonly InstanceAttributes[];
  /** Targets of listener_port0, 1, ... */
  readonly listeners?: readonly string[];
  readonly settings?: ConmgrSettings;
  /** false: it is not running yet. */
  readonly helper?: boolean;
  /** Stands before the helper. */
  readonly helperWithin?: readonly string[];
  /** false: they are not loaded. */
  readonly programs?: boolean;
  /** Changes the list that allows all that is there. */
  readonly list?: (all: string) => string;
}

/** Scenes of this test file. */
let made = 0;

/** Instances are numbered in the order of `attributes`; their servers are at 127.0.0.2, 127.0.0.3, ... */
export class KernelScene {
  readonly pins: string;
  readonly servers: ScriptedSqlServer[] = [];
  readonly watchdogs: ScriptedWatchdog[] = [];
  /** Ports of the listeners. */
  readonly listeners: number[] = [];
  readonly lists: string;
  #conmgr: ConmgrProcess | undefined;
  #helper: Running | undefined;
  readonly #group: ReturnType<typeof controlGroup>;
  readonly #socket: string;

  private constructor(
    /** Of all servers. */
    readonly port: number,
  ) {
    this.#group = controlGroup(`scene${made++}`);
    this.pins = join(pinFileSystem(), 'conmgr');
    this.#socket = socketPath();
    this.lists = targetLists('');
  }

  static async start(options: SceneOptions): Promise<KernelScene> {
    setUpNetwork();
    const scene = new KernelScene(await freePort());
    try {
      await scene.#begin(options);
    } catch (error) {
      await scene.end();
      throw error;
    }
    return scene;
  }

  async #begin(options: SceneOptions): Promise<void> {
    if (options.programs !== false) await this.load();
    for (const attributes of options.attributes) {
      this.watchdogs.push(
        await ScriptedWatchdog.start({ attributes, host: this.host(this.watchdogs.length) }),
      );
      this.servers.push(await ScriptedSqlServer.start(this.port, 'serves', this.host(this.servers.length)));
    }
    for (const _ of options.listeners ?? []) this.listeners.push(await freePort());
    this.writeList(options.list);
    if (options.helper !== false) await this.startHelper(undefined, options.helperWithin);
    await this.startConmgr(options);
  }

  /** Of conmgr.conf. */
  get lines(): readonly InstanceLines[] {
    return this.watchdogs.map(({ port }, at) => ({
      host: this.host(at),
      backendPort: this.port,
      watchdogPort: port,
    }));
  }

  /** Waits until a listener leads to just these instances. */
  async untilLed(listener: number, instances: readonly number[]): Promise<void> {
    const port = this.listeners[listener];
    await this.conmgr.until(`listener ${port} leads to ${instances}`, ({ kernel }) => {
      const found = kernel?.listeners.find((one) => one.port === port);
      return found?.via === 'redirect' && found.instances.join() === instances.join();
    });
  }

  host(instance: number): string {
    return `127.0.0.${instance + 2}`;
  }

  async startConmgr({ listeners = [], settings = {} }: Partial<SceneOptions>): Promise<void> {
    const directory = temporaryDirectory('cm-');
    chownSync(directory, NOBODY, NOBODY);
    this.#conmgr = await ConmgrProcess.start({
      directory,
      instances: this.lines,
      settings: {
        ...SETTINGS,
        ...Object.fromEntries(
          listeners.flatMap((target, at) => [
            [`listener_port${at}`, this.listeners[at]],
            [`listener_target_session_attrs${at}`, target],
          ]),
        ),
        ...settings,
      },
      ...this.conmgrSurroundings(),
    });
    await this.conmgr.linked();
  }

  /** As its unit starts it: without any right, and with the socket of this helper. */
  conmgrSurroundings() {
    return { within: unprivileged(), env: { CONMGR_HELPER_SOCKET: this.#socket } };
  }

  /** The list of root that allows all that is there. */
  writeList(change = (all: string): string => all): void {
    const targets = this.servers.map((_, at) => `target ${this.host(at)} ${this.port}\n`).join('');
    const listeners = this.listeners.map((port) => `listener ${port}\n`).join('');
    targetLists(change(`user ${NOBODY}\n${targets}${listeners}`), this.lists);
  }

  async load(pins = this.pins): Promise<void> {
    await loadPrograms(pins, this.#group.path);
  }

  async unload(pins = this.pins): Promise<void> {
    await helperCommand('unload', '--pins', pins, '--cgroup', this.#group.path).done;
  }

  async startHelper(capabilities?: string, within: readonly string[] = []): Promise<void> {
    const args = ['--socket', this.#socket, '--targets', this.lists, '--pins', this.pins];
    this.#helper = startHelper(args, capabilities, within);
    await this.#helper.waitForLine(/starting conmgr-helper/);
  }

  get conmgr(): ConmgrProcess {
    if (this.#conmgr === undefined) throw new Error('no conmgr was started');
    return this.#conmgr;
  }

  get helper(): Running {
    if (this.#helper === undefined) throw new Error('no helper was started');
    return this.#helper;
  }

  async stopHelper(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.helper.kill(signal);
    await this.helper.done;
  }

  /** An application in the control group that has its connection; `at` is what it sees as the other end. */
  async application(
    port: number,
    host = '127.0.0.1',
  ): Promise<{ readonly at: string; readonly program: Running }> {
    const program = this.attempt(port, host);
    const [, at = ''] = await program.waitForLine(/^at (\S+) \d+$/);
    return { at, program };
  }

  /** The same without waiting for the connection. */
  attempt(port: number, host = '127.0.0.1'): Running {
    const [command = '', ...words] = this.#group.run([
      ...[process.execPath, '-e', APPLICATION, host, String(port)],
    ]);
    return startCommand(command, words);
  }

  async end(): Promise<void> {
    await this.#conmgr?.stop('SIGKILL');
    this.#helper?.kill('SIGKILL');
    for (const server of this.servers) server.stop();
    await Promise.all(this.watchdogs.map((one) => one.stop()));
    await this.unload();
  }
}
