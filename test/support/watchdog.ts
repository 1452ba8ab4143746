/** Starts the built watchdog for a test server. */

import {
  WATCHDOG_FILES,
  type WatchdogAnswer,
  type WatchdogRequest,
  type WatchdogStatus,
} from '../../src/core/control/watchdog.js';
import { askControl } from '../../src/io/control-socket.js';
import { freePort } from './free-ports.js';
import { HeartbeatPeer, type PeerOptions } from './heartbeat-peer.js';
import type { Server, Settings } from './postgres.js';
import { built } from './programs.js';
import { type Running, startCommand } from './running.js';

const LISTENING = /listening for heartbeat links/;
/** It takes a third of a second where nothing else runs. */
const START_MS = 60_000;

export interface WatchdogOptions {
  /** watchdog.* settings for postgresql.conf, without the prefix. */
  readonly settings?: Settings;
  readonly env?: NodeJS.ProcessEnv;
  readonly port?: number;
  /** Default: the built one. */
  readonly program?: string;
}

/** A watchdog that runs. */
export class TestWatchdog {
  private constructor(
    readonly server: Server,
    readonly running: Running,
    readonly port: number,
  ) {}

  /** Writes its settings behind those of the server, starts it and returns when it listens. */
  static async start(server: Server, options: WatchdogOptions = {}): Promise<TestWatchdog> {
    const port = options.port ?? (await freePort());
    const settings = {
      port: String(port),
      check_attr_interval: '200',
      log_min_messages: 'DEBUG',
      ...options.settings,
    };
    await server.append(
      Object.fromEntries(Object.entries(settings).map(([name, value]) => [`watchdog.${name}`, value])),
    );
    const watchdog = new TestWatchdog(server, launch(server, options.env, options.program), port);
    await watchdog.running.waitForLine(LISTENING, { timeoutMs: START_MS });
    return watchdog;
  }

  /** Starts the program, or another one, again with the settings there are, after it has ended. */
  async again(env?: NodeJS.ProcessEnv, program?: string): Promise<TestWatchdog> {
    const next = new TestWatchdog(this.server, launch(this.server, env, program), this.port);
    await next.running.waitForLine(LISTENING, { timeoutMs: START_MS });
    return next;
  }

  /** A conmgr with a link to it. */
  connect(options: Partial<PeerOptions> = {}): Promise<HeartbeatPeer> {
    return HeartbeatPeer.connect({ intervalMs: 100, timeoutMs: 1000, ...options, port: this.port });
  }

  /** A connection to it that has not said anything. */
  open(options: Partial<PeerOptions> = {}): Promise<HeartbeatPeer> {
    return HeartbeatPeer.open({ intervalMs: 100, timeoutMs: 1000, ...options, port: this.port });
  }

  ask(request: WatchdogRequest): Promise<WatchdogAnswer> {
    const directory = `${this.server.dataDir}/${WATCHDOG_FILES.directory}`;
    return askControl<WatchdogAnswer>(directory, request, { name: WATCHDOG_FILES.socket });
  }

  async status(): Promise<WatchdogStatus> {
    const answer = await this.ask({ command: 'status' });
    if (!('status' in answer)) throw new Error(JSON.stringify(answer));
    return answer.status;
  }

  /** A line of its log, now or later. */
  line(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray> {
    return this.running.waitForLine(pattern, timeoutMs === undefined ? {} : { timeoutMs });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.running.stop(signal);
  }
}

function launch(
  server: Server,
  env: NodeJS.ProcessEnv = {},
  program = built('bin/conmgr-watchdog.js'),
): Running {
  return startCommand(process.execPath, [program, '-D', server.dataDir], {
    env: { PGUSER: 'postgres', ...env },
    within: server.within,
  });
}
