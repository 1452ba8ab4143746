/**
 * pg's Connection with three additions: it connects to conmgr's own address for the instance while TLS still
 * verifies the name; it checks the role of the server before pg's Client hears that the session is ready; and a
 * failed attempt falls silent, so that the Client can try the next server.
 */
import pg from 'pg';
import {
  describeRole,
  ROLE_QUERY,
  roleFits,
  roleFromParameters,
  roleFromRow,
  type ServerRole,
} from '../core/client/role.js';
import type { Endpoint } from '../core/client/walk.js';
import type { TargetSessionAttrs } from '../core/cluster/target-session.js';
import { cmError } from './errors.js';
import type { PgConnection } from './pg-internals.js';

/** What pg's Connection takes (its declared type is that of a Client). */
export interface SqlConnectionConfig {
  readonly stream?: unknown;
  readonly ssl?: unknown;
  readonly sslNegotiation?: string;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelayMillis?: number;
  readonly encoding?: string;
}

/** What an attempt is for. */
export interface SqlConnectionPurpose {
  readonly endpoint: Endpoint;
  /** What the role of the server is held against. */
  readonly accept: TargetSessionAttrs;
  /** Called once, when the session is complete and before pg's Client hears of it; what it throws fails the attempt. */
  readonly admit: () => void;
}

/** opening: until ReadyForQuery; checking: the role query runs; retired: nothing is passed on any more. */
type Phase = 'opening' | 'checking' | 'ready' | 'retired';

/** Events of pg-protocol that the role query causes and the Client must not see. */
const ROLE_QUERY_EVENTS: readonly (string | symbol)[] = ['rowDescription', 'dataRow', 'commandComplete'];

const Base = pg.Connection as unknown as new (config: SqlConnectionConfig) => PgConnection;

export class SqlConnection extends Base {
  readonly #purpose: SqlConnectionPurpose;
  readonly #parameters = new Map<string, string>();
  #phase: Phase = 'opening';
  #row: readonly unknown[] = [];

  constructor(config: SqlConnectionConfig, purpose: SqlConnectionPurpose) {
    super(config);
    this.#purpose = purpose;
  }

  override connect(port: number | string, host?: string): void {
    const { hostaddr } = this.#purpose.endpoint;
    if (hostaddr !== '' && host !== undefined) {
      const dial = this.stream.connect.bind(this.stream);
      this.stream.connect = (to: number | string) => dial(to, hostaddr);
    }
    super.connect(port, host);
  }

  /** For a connection that carries no session, only a cancel request: everything is passed on. */
  passOn(): this {
    this.#phase = 'ready';
    return this;
  }

  /** This attempt failed or was given up: its stream is closed and it is never heard of again. */
  retire(): void {
    if (this.#phase === 'retired') return;
    const polite = this.#phase === 'checking';
    this.#phase = 'retired';
    // A session that was complete but of the wrong role gets a Terminate, so that the server logs no surprise.
    if (polite) this.end();
    else this.stream.destroy();
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    // pg's constructor may emit before this class is set up.
    if (!(#phase in this) || this.#phase === 'ready') return super.emit(event, ...args);
    if (this.#phase === 'retired') return false;
    if (event === 'end') {
      return super.emit('error', new Error('Connection terminated unexpectedly'));
    }
    if (event === 'parameterStatus') {
      const { parameterName, parameterValue } = args[0] as Record<string, string>;
      this.#parameters.set(String(parameterName), String(parameterValue));
    }
    if (event === 'readyForQuery') return this.#ready(args);
    if (this.#phase === 'checking' && ROLE_QUERY_EVENTS.includes(event)) {
      if (event === 'dataRow') this.#row = (args[0] as { readonly fields: readonly unknown[] }).fields;
      return true;
    }
    return super.emit(event, ...args);
  }

  #ready(args: unknown[]): boolean {
    const { accept } = this.#purpose;
    if (accept === 'any') return this.#pass(args);
    const role = this.#phase === 'checking' ? roleFromRow(this.#row) : roleFromParameters(this.#parameters);
    const asked = this.#phase === 'checking';
    this.#phase = 'checking';
    if (role === undefined && !asked) {
      this.query(ROLE_QUERY);
      return true;
    }
    return role !== undefined && roleFits(role, accept) ? this.#pass(args) : this.#refuse(role);
  }

  #pass(args: unknown[]): boolean {
    try {
      this.#purpose.admit();
    } catch (error) {
      return super.emit('error', error);
    }
    this.#phase = 'ready';
    return super.emit('readyForQuery', ...args);
  }

  #refuse(role: ServerRole | undefined): boolean {
    const { host, port } = this.#purpose.endpoint;
    const target = this.#purpose.accept;
    const error =
      role === undefined
        ? cmError('08001', 'roleUnknown', { host, port })
        : cmError('57P03', 'roleMismatch', { host, port, role: describeRole(role), target });
    return super.emit('error', error);
  }
}
