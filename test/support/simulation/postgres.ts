/** A simulated PostgreSQL instance: its postmaster, its role, its sessions. No SQL. */
import { Buffer } from 'node:buffer';
import {
  type AttributeName,
  attributeBits,
  type InstanceAttributes,
  type InstanceState,
  UNKNOWN_ATTRIBUTES,
} from '../../../src/core/protocol/attributes.js';
import type { SqlSession } from '../../../src/core/terminator/pass.js';
import type { Network } from './network.js';

/** How a watchdog comes to know of a change: by a file event or a connection that ends, or by its next check. */
export type Notice = 'at once' | 'by check';

/** Who ended a session, as the server sees it. */
export type EndedBy = 'terminator' | 'postmaster' | 'somebody between';

/** One backend that serves an application, a standby, or nobody known. */
export interface Backend {
  readonly name: string;
  readonly address: string;
  /** Of the client, as the server sees it. */
  readonly port: number;
  readonly pid: number;
  readonly walsender: boolean;
  /** Its commit waits for a synchronous standby. */
  waitsForStandby: boolean;
  /** The server ends it. */
  readonly ended: (why: EndedBy) => void;
}

export interface PostgresSettings {
  readonly name: string;
  readonly host: string;
  readonly primary: boolean;
  readonly timeline: number;
  readonly systemIdentifier: bigint;
}

export class SimPostgres {
  readonly settings: PostgresSettings;
  readonly backends = new Map<string, Backend>();
  readonly #network: Network;
  #nextPid = 1000;
  #onChange: (notice: Notice) => void = () => {};
  state: InstanceState = 'up';
  primary: boolean;
  timeline: number;
  position = 0x1000n;
  readOnly = false;
  accepting = true;
  full = false;
  /** SIGSTOP to the postmaster: the kernel still accepts connections. */
  stopped = false;

  constructor(settings: PostgresSettings, network: Network) {
    this.settings = settings;
    this.primary = settings.primary;
    this.timeline = settings.timeline;
    this.#network = network;
    this.#listen();
  }

  get name(): string {
    return this.settings.name;
  }

  /** Whether an application could log in now. */
  get serves(): boolean {
    return this.state === 'up' && this.accepting && !this.stopped;
  }

  /** One watchdog looks at this instance. */
  watch(onChange: (notice: Notice) => void): void {
    this.#onChange = onChange;
  }

  /** Changes the instance and lets its watchdog notice. */
  change(notice: Notice, change: (instance: SimPostgres) => void): void {
    change(this);
    this.#listen();
    this.#onChange(notice);
  }

  promote(): void {
    this.change('at once', (self) => {
      self.primary = true;
      self.timeline += 1;
    });
  }

  /** The postmaster is gone, and with it every session. */
  die(): void {
    this.change('at once', (self) => {
      self.state = 'down';
    });
    for (const backend of [...this.backends.values()]) this.end(backend.name, 'postmaster');
  }

  /** A session begins. `port` of the client; left out: some port. */
  connect(
    name: string,
    address: string,
    ended: (why: EndedBy) => void,
    { walsender = false, port }: { readonly walsender?: boolean; readonly port?: number | undefined } = {},
  ): Backend {
    const pid = this.#nextPid++;
    const backend = { name, address, port: port ?? pid, pid, walsender, waitsForStandby: false, ended };
    this.backends.set(name, backend);
    return backend;
  }

  /** A session ends on the server. */
  end(name: string, why: EndedBy): void {
    const backend = this.backends.get(name);
    this.backends.delete(name);
    backend?.ended(why);
  }

  /** What a look inside shows. */
  attributes(version: number): InstanceAttributes {
    const bits: AttributeName[] = [];
    if (this.state === 'down')
      return { ...UNKNOWN_ATTRIBUTES, version, state: 'down', text: 'no postmaster' };
    if (this.state === 'unknown')
      return { ...UNKNOWN_ATTRIBUTES, version, text: 'password authentication failed' };
    if (this.accepting && this.state === 'up') bits.push('accepting');
    bits.push(...(this.primary ? (['primary'] as const) : (['standby', 'readOnlyByRecovery'] as const)));
    if (this.readOnly) bits.push('readOnlyByDefault');
    if (this.state === 'recovering') bits.push('recovering');
    if (this.full) bits.push('full');
    return {
      ...UNKNOWN_ATTRIBUTES,
      version,
      state: this.state,
      bits: attributeBits(...bits),
      timeline: this.timeline,
      position: this.position,
      serverVersionNum: 170_000,
      systemIdentifier: this.settings.systemIdentifier,
    };
  }

  /** pg_stat_activity of one client address. */
  activity(address: string): readonly SqlSession[] {
    return [...this.backends.values()]
      .filter((backend) => backend.address === address)
      .map((backend) => ({
        pid: backend.pid,
        backendStart: `start of ${backend.name}`,
        clientAddr: backend.address,
        clientPort: backend.port,
        user: 'app',
        database: 'shop',
        application: backend.name,
        backendType: backend.walsender ? 'walsender' : 'client backend',
        waitEvent: backend.waitsForStandby ? 'SyncRep' : undefined,
        superuser: false,
        stateAgeMs: 0,
      }));
  }

  /** A probe is answered by whoever forks: also while the instance recovers, not while it is stopped. */
  #listen(): void {
    const { host } = this.settings;
    if (this.state === 'down') {
      this.#network.listen(host, 'postgres', undefined);
      return;
    }
    this.#network.listen(host, 'postgres', (end) => ({
      data: () => {
        if (!this.stopped) end.send(Buffer.from('N'));
      },
      closed: () => {},
    }));
  }
}
