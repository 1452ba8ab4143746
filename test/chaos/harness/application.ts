/** An aware application: a process of its own whose sessions query all the time. */
import { asServer } from '../../support/postgres-account.js';
import { built } from '../../support/programs.js';
import { type Running, startCommand } from '../../support/running.js';
import { inTree } from '../../support/tree.js';

/** The monotonic clock that all processes of a machine share, in milliseconds. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Queries in half a second that count as a load. */
const LEAST_LOAD = 5;
const LOAD_WITHIN_MS = 30_000;

export interface Event {
  readonly event: 'connected' | 'lost' | 'failed' | 'refused' | 'answered';
  readonly atMs: number;
  readonly session: number;
  readonly instance?: number;
  readonly pid?: number;
  /** cluster_name */
  readonly server?: string;
  readonly address?: string;
  /** Its own. */
  readonly port?: number;
  readonly code?: string;
  readonly reason?: string;
  readonly text?: string;
  readonly detail?: string;
  readonly answered?: number;
  /** The longest of these queries. */
  readonly longestMs?: number;
}

export interface ApplicationOptions {
  /** Default 3. */
  readonly sessions?: number;
  /** The host it runs on. */
  readonly within?: readonly string[];
  readonly port?: number;
  readonly target?: string;
  /** Of the client library, beside. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Opens a session again when it was lost or refused. */
  readonly reconnect?: boolean;
  readonly pauseMs?: number;
  /** Milliseconds between the connects. */
  readonly stagger?: number;
  readonly env?: NodeJS.ProcessEnv;
}

export class Application {
  private constructor(
    readonly running: Running,
    readonly sessions: number,
  ) {}

  /** Starts it; returns at once. */
  static launch(options: ApplicationOptions): Application {
    const { sessions = 3, within = [], port = 27546, target = 'any', config = {}, env } = options;
    const all = {
      host: 'localhost',
      hostaddr: '127.0.0.1',
      port,
      user: 'app',
      database: 'postgres',
      target_session_attrs: target,
      reconnect: options.reconnect ?? false,
      pauseMs: options.pauseMs ?? 100,
      stagger: options.stagger ?? 20,
      ...config,
    };
    const program = [inTree('test/chaos/programs/application.mjs'), built('client/index.mjs')];
    const running = startCommand(process.execPath, [...program, String(sessions), JSON.stringify(all)], {
      within: [...within, ...asServer()],
      ...(env === undefined ? {} : { env }),
    });
    return new Application(running, sessions);
  }

  /** Returns when all its sessions are there. */
  async connected(after = 0): Promise<Event[]> {
    const all = Array.from({ length: this.sessions }, (_, session) => session);
    return Promise.all(all.map((session) => this.wait('connected', session, after, 60_000)));
  }

  get pid(): number {
    return this.running.pid;
  }

  /** Where its report stands; what comes later is found from here. */
  get mark(): number {
    return this.running.lines.length;
  }

  events(kind: Event['event'], after = 0): Event[] {
    return this.running.lines
      .slice(after)
      .filter((line) => line.startsWith(`{"event":"${kind}"`))
      .map((line) => JSON.parse(line) as Event);
  }

  async wait(kind: Event['event'], session: number, after = 0, timeoutMs = 10_000): Promise<Event> {
    const pattern = new RegExp(`^\\{"event":"${kind}".*"session":${session}[,}].*$`);
    return JSON.parse((await this.running.waitForLine(pattern, { after, timeoutMs }))[0]) as Event;
  }

  /** Returns when all sessions are lost, with each one's end. */
  losses(after: number, timeoutMs: number): Promise<Event[]> {
    const all = Array.from({ length: this.sessions }, (_, session) => session);
    return Promise.all(all.map((session) => this.wait('lost', session, after, timeoutMs)));
  }

  /** Returns when so many queries are answered in half a second, and how many it were. */
  async load(least = LEAST_LOAD): Promise<number> {
    const after = this.mark;
    const answered = (): number =>
      Math.max(0, ...this.events('answered', after).map((one) => one.answered ?? 0));
    const untilMs = nowMs() + LOAD_WITHIN_MS;
    for (let seen = after; answered() < least; seen = this.mark) {
      if (nowMs() > untilMs) {
        const ends = this.events('lost').map(({ text }) => text);
        throw new Error(
          `only ${answered()} queries are answered; sessions lost: ${ends.join('; ') || 'none'}`,
        );
      }
      await this.running.waitForLine(/"answered":/, { after: seen });
    }
    return answered();
  }
}
