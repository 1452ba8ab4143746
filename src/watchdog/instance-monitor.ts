/**
 * Watches the instance: looks at its files and asks it by SQL, regularly and the moment something points to a change,
 * and tells what it is whenever that differs from before.
 */
import { deriveAttributes, type InstanceFacts, SQLSTATES } from '../core/instance/attributes.js';
import type { PostmasterPid } from '../core/instance/postmaster-files.js';
import type { Log } from '../core/messages/message.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import { type InstanceAttributes, UNKNOWN_ATTRIBUTES } from '../core/protocol/attributes.js';
import { OTHER_CLIENTS_SQL } from '../core/terminator/statements.js';
import type { Clock, MonotonicMs, TimerHandle } from '../core/time.js';
import type { DataDirectory } from '../io/data-directory.js';
import { type DataDirectoryWatch, ROLE_FILES, watchDataDirectory } from '../io/data-directory-watch.js';
import { errorText } from '../io/native.js';
import { type PgSession, type SessionTarget, SqlError } from '../io/pg-session.js';
import { checkInstance } from './check-instance.js';
import { PostmasterView } from './postmaster-view.js';
import { ProbeLoop, type ProbeTiming } from './probe-loop.js';
import { SqlConnections, sessionTarget } from './sql-connections.js';

/** After an event the role is asked for this often, until it is settled … */
const HURRY_STEP_MS = 5;
/** … but not for longer than this: regular checks are the safety net. */
const HURRY_FOR_MS = 2000;
/** First pause between attempts to connect; doubled up to the check interval. */
const FIRST_RETRY_MS = 25;
/** A shutdown is looked at this often: it must not wait for the watchdog's own connections. */
const SHUTDOWN_STEP_MS = 250;
/** A postmaster that restarts its backends after a crash is back well within this, unless there is much to replay. */
const RESTART_MS = 2000;

export interface MonitorOptions {
  readonly directory: DataDirectory;
  readonly clock: Clock;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  readonly systemIdentifier: bigint;
  readonly timing: () => ProbeTiming & { readonly checkMs: number };
  /** The files are about to be looked at. */
  readonly onLook: () => void;
  /** `changed`: more than a position differs. */
  readonly onAttributes: (attributes: InstanceAttributes, changed: boolean) => void;
  /** A connection for checks was made anew: the first of a postmaster, or after a break. */
  readonly onConnected: (session: PgSession, postmaster: PostmasterPid) => void;
}

export class InstanceMonitor {
  readonly connections: SqlConnections;
  readonly #options: MonitorOptions;
  readonly #probes: ProbeLoop;
  readonly #postmaster: PostmasterView;
  #watch: DataDirectoryWatch | undefined;
  #timer: TimerHandle | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  /** What was just seen does not fit together: nothing is told before the next look. */
  #doubtful = false;
  #stopped = false;
  #attributes: InstanceAttributes;
  #facts: InstanceFacts = {
    postmaster: { kind: 'none' },
    sql: { kind: 'ended', byServer: false },
    row: undefined,
    answers: true,
  };
  #hurryUntil: MonotonicMs = 0;
  #retryMs = 0;
  /** Since when no check works. */
  #brokenAt: MonotonicMs | undefined;
  /** The connections were closed to let a smart shutdown end. */
  #madeWay = false;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#attributes = { ...UNKNOWN_ATTRIBUTES, version: 1, systemIdentifier: options.systemIdentifier };
    this.#postmaster = new PostmasterView(options.directory, options.log);
    this.connections = new SqlConnections(() => this.#connectionEnded());
    this.#probes = new ProbeLoop({
      clock: options.clock,
      timing: options.timing,
      onVerdict: (answers, text) => this.#probed(answers, text),
    });
  }

  get attributes(): InstanceAttributes {
    return this.#attributes;
  }

  /** postmaster.pid of the present postmaster, or of the last one. */
  get postmaster(): PostmasterPid | undefined {
    return this.#postmaster.file;
  }

  /** Begins; resolves when the instance was looked at once. */
  start(): Promise<void> {
    const { path } = this.#options.directory;
    this.#watch = watchDataDirectory(path, {
      changed: (name) => {
        if (ROLE_FILES.has(name)) this.#hurryUntil = this.#options.clock.monotonicMs() + HURRY_FOR_MS;
        this.#retryMs = 0;
        void this.lookNow();
      },
      unwatched: (error) =>
        this.#options.log.write(WATCHDOG_MESSAGES.directoryUnwatched, {
          directory: path,
          reason: errorText(error),
        }),
    });
    return this.lookNow();
  }

  /** Ends; the connections are closed in order. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#watch?.close();
    this.#probes.stop();
    await this.connections.close();
  }

  /** Looks at once, or once more after the look that is under way. */
  lookNow(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    if (this.#looking !== undefined) {
      this.#again = true;
      return this.#looking;
    }
    this.#timer?.cancel();
    this.#looking = this.#lookUntilQuiet().finally(() => {
      this.#looking = undefined;
      if (!this.#stopped)
        this.#timer = this.#options.clock.setTimer(this.#pauseMs(), () => void this.lookNow());
    });
    return this.#looking;
  }

  async #lookUntilQuiet(): Promise<void> {
    do {
      this.#again = false;
      await this.#look();
    } while (this.#again && !this.#stopped);
  }

  /** How long to wait until the next look. */
  #pauseMs(): number {
    const { checkMs } = this.#options.timing();
    const { postmaster, sql, row } = this.#facts;
    const connected = sql.kind === 'connected';
    if (connected && row?.inRecovery !== false && this.#options.clock.monotonicMs() < this.#hurryUntil) {
      return HURRY_STEP_MS;
    }
    if (postmaster.kind !== 'running') return checkMs;
    if (postmaster.status === 'stopping') return Math.min(checkMs, SHUTDOWN_STEP_MS);
    if (connected) return checkMs;
    this.#retryMs = Math.min(Math.max(FIRST_RETRY_MS, this.#retryMs * 2), checkMs);
    return this.#retryMs;
  }

  async #look(): Promise<void> {
    this.#doubtful = false;
    await this.#watch?.renew();
    this.#options.onLook();
    await this.#readFiles();
    const { postmaster } = this.#facts;
    const status = postmaster.kind === 'running' ? postmaster.status : undefined;
    const open = this.connections.get('checker');
    if (status === 'stopping') await this.#lookAtShutdown(open);
    else if (status === 'starting' || status === 'standby') this.#setEnded();
    else if (open !== undefined) await this.#ask(() => Promise.resolve(open));
    else if (postmaster.kind === 'running' && this.#postmaster.file !== undefined)
      await this.#connectAndAsk(this.#postmaster.file);
    else this.#setEnded();
    if (!this.#stopped && !this.#doubtful) this.#afterLook();
  }

  /** Draws the consequences of a look that stands. */
  #afterLook(): void {
    const { postmaster, sql } = this.#facts;
    if (sql.kind !== 'connected' && postmaster.kind !== 'running') {
      this.connections.drop();
      this.#set({ row: undefined });
    }
    if (sql.kind === 'connected' && this.#postmaster.file !== undefined) {
      this.#probes.run(this.#postmaster.file);
    } else {
      this.#probes.stop();
      this.#set({ answers: true });
    }
    this.#publish();
  }

  #setEnded(): void {
    this.#set({ sql: { kind: 'ended', byServer: false } });
  }

  /** Whether what the postmaster's file says has changed. */
  async #readFiles(): Promise<boolean> {
    const { changed, another } = await this.#postmaster.look();
    this.#set({ postmaster: this.#postmaster.fact });
    if (!another) return changed;
    // What was known of the postmaster before does not count.
    this.#madeWay = false;
    this.#retryMs = 0;
    this.connections.drop();
    this.#set({ row: undefined });
    this.#setEnded();
    return true;
  }

  /** While the instance shuts down nothing connects; the connections end when no other client is left. */
  async #lookAtShutdown(checker: PgSession | undefined): Promise<void> {
    if (checker === undefined) {
      // One connection alone may have been ended by an administrator; a fast shutdown ends both.
      const byServer = !this.#madeWay && this.connections.get('terminator') === undefined;
      this.#set({ sql: { kind: 'ended', byServer } });
      return;
    }
    try {
      const [row] = await checker.query<{ others: number }>(OTHER_CLIENTS_SQL, [this.connections.pids]);
      if (row?.others !== 0) return;
    } catch {
      // Its end brings the next look.
      return;
    }
    this.#madeWay = true;
    this.#options.log.write(WATCHDOG_MESSAGES.makesWay);
    await this.connections.close();
    this.#setEnded();
  }

  async #connectAndAsk(file: PostmasterPid): Promise<void> {
    const target = this.#target(file);
    const session = await this.#ask(() => this.connections.connect('checker', target));
    if (session === undefined || this.#stopped) return;
    this.#options.onConnected(session, file);
  }

  /** Checks through a connection. Returns it if that worked, else takes in why it did not. */
  async #ask(connect: () => Promise<PgSession>): Promise<PgSession | undefined> {
    this.#brokenAt ??= this.#options.clock.monotonicMs();
    try {
      const session = await connect();
      const row = await checkInstance(session, this.#options.directory);
      this.#retryMs = 0;
      this.#brokenAt = undefined;
      this.#set({ sql: { kind: 'connected' }, row });
      this.#keepTerminator();
      return session;
    } catch (error) {
      if (error instanceof SqlError) this.#refused(error);
      else await this.#unreachable((error as Error).message);
      return undefined;
    }
  }

  /** The second connection; its failures show when sessions are to be ended, and the next look tries again. */
  #keepTerminator(): void {
    if (this.#postmaster.file === undefined || this.#stopped) return;
    this.connections.connect('terminator', this.#target(this.#postmaster.file)).catch(() => {});
  }

  #refused({ sqlState, message }: SqlError): void {
    this.#set({ sql: { kind: 'refused', sqlState, text: message } });
    const passing: readonly string[] = Object.values(SQLSTATES);
    if (passing.includes(sqlState) || this.#postmaster.file === undefined) return;
    const { user: role, database } = this.#target(this.#postmaster.file);
    this.#options.log.write(WATCHDOG_MESSAGES.instanceRefuses, { reason: message, sqlState, role, database });
  }

  async #unreachable(text: string): Promise<void> {
    const lasting = this.#options.clock.monotonicMs() - (this.#brokenAt ?? 0) > RESTART_MS;
    this.#set({ sql: { kind: 'unreachable', text, lasting } });
    // It may have been killed or told to stop a moment ago; then that is what is told.
    this.#doubtful = await this.#readFiles();
    if (this.#doubtful) this.#again = true;
    const { file, fact } = this.#postmaster;
    if (this.#doubtful || !lasting || fact.kind !== 'running' || file === undefined || this.#stopped) return;
    const { host, port } = this.#target(file);
    this.#options.log.write(WATCHDOG_MESSAGES.instanceUnreachable, { host, port, reason: text });
  }

  #connectionEnded(): void {
    if (this.#stopped) return;
    if (this.connections.get('checker') === undefined && this.#facts.sql.kind === 'connected')
      this.#setEnded();
    this.#retryMs = 0;
    void this.lookNow();
  }

  #probed(answers: boolean, text: string): void {
    const { log } = this.#options;
    if (answers) log.write(WATCHDOG_MESSAGES.postmasterAnswers);
    else log.write(WATCHDOG_MESSAGES.postmasterSilent, { reason: text });
    this.#set({ answers });
    this.#publish();
  }

  #target(file: PostmasterPid): SessionTarget {
    const { directory, env } = this.#options;
    return sessionTarget(file, directory.major, env);
  }

  #set(facts: Partial<InstanceFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  #publish(): void {
    const before = this.#attributes;
    const next = deriveAttributes(this.#facts, before);
    const changed = next.version !== before.version;
    if (!changed && next.position === before.position && next.receivedPosition === before.receivedPosition)
      return;
    this.#attributes = next;
    this.#options.onAttributes(next, changed);
  }
}
