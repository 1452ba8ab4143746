/**
 * The watchdog's two kept SQL connections: one checks the instance, one ends sessions. Two, so that ending sessions
 * never delays a check, and kept, because a full instance would not let them in when they are needed.
 */
import { userInfo } from 'node:os';
import type { PostmasterPid } from '../core/instance/postmaster-files.js';
import { findPassword } from '../io/password-file.js';
import { PgSession, type SessionTarget, SqlUnreachable } from '../io/pg-session.js';

export type ConnectionRole = 'checker' | 'terminator';
const ROLES: readonly ConnectionRole[] = ['checker', 'terminator'];

/** Where the instance of a postmaster.pid is reached; PGHOST, PGPORT, PGUSER and PGDATABASE come first. */
export function sessionTarget(file: PostmasterPid, major: number, env: NodeJS.ProcessEnv): SessionTarget {
  const key = {
    host: env['PGHOST'] || file.socketDirectory || tcpHost(file.listenAddress) || 'localhost',
    port: Number(env['PGPORT']) || file.port,
    user: env['PGUSER'] || osUser(env),
    database: env['PGDATABASE'] || 'postgres',
  };
  return { ...key, applicationName: 'conmgr-watchdog', major, password: () => findPassword(key, env) };
}

/** The address at which a listen address is reached from this host; '' where there is none. */
export function tcpHost(listenAddress: string): string {
  switch (listenAddress) {
    case '*':
    case '0.0.0.0':
      return '127.0.0.1';
    case '::':
      return '::1';
    default:
      return listenAddress;
  }
}

function osUser(env: NodeJS.ProcessEnv): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in passwd, as in containers.
    return env['USER'] ?? 'postgres';
  }
}

export class SqlConnections {
  readonly #onEnd: (role: ConnectionRole) => void;
  readonly #sessions = new Map<ConnectionRole, PgSession>();
  /** Attempts under way. */
  readonly #attempts = new Map<ConnectionRole, Promise<PgSession>>();
  /** Grows when connections are dropped, so that an attempt that succeeds too late is closed. */
  #epoch = 0;

  constructor(onEnd: (role: ConnectionRole) => void) {
    this.#onEnd = onEnd;
  }

  /** The open connection of a role. */
  get(role: ConnectionRole): PgSession | undefined {
    const session = this.#sessions.get(role);
    return session?.isOpen === true ? session : undefined;
  }

  /** Backends of the connections: never to be ended, never to be counted as clients. */
  get pids(): readonly number[] {
    return ROLES.flatMap((role) => this.get(role)?.pid ?? []);
  }

  /** The connection of a role, made if there is none. Rejects with SqlError or SqlUnreachable. */
  connect(role: ConnectionRole, target: SessionTarget): Promise<PgSession> {
    const open = this.get(role);
    if (open !== undefined) return Promise.resolve(open);
    const running = this.#attempts.get(role);
    if (running !== undefined) return running;
    const attempt = this.#open(role, target).finally(() => {
      if (this.#attempts.get(role) === attempt) this.#attempts.delete(role);
    });
    this.#attempts.set(role, attempt);
    return attempt;
  }

  async #open(role: ConnectionRole, target: SessionTarget): Promise<PgSession> {
    const epoch = this.#epoch;
    let session: PgSession | undefined;
    const opened = await PgSession.connect(target, () => {
      if (session === undefined || this.#sessions.get(role) !== session) return;
      this.#sessions.delete(role);
      this.#onEnd(role);
    });
    session = opened;
    if (epoch !== this.#epoch) {
      await opened.close();
      throw new Error('the connection is no longer wanted');
    }
    this.#sessions.set(role, opened);
    if (!opened.isOpen) throw new SqlUnreachable('the connection has ended');
    return opened;
  }

  /** Ends both in order. */
  async close(): Promise<void> {
    this.#epoch += 1;
    const open = [...this.#sessions.values()];
    this.#sessions.clear();
    this.#attempts.clear();
    await Promise.all(open.map((session) => session.close()));
  }

  /** Drops both, without a call of onEnd: the postmaster they belonged to is gone. */
  drop(): void {
    this.#epoch += 1;
    const open = [...this.#sessions.values()];
    this.#sessions.clear();
    this.#attempts.clear();
    for (const session of open) session.destroy();
  }
}
