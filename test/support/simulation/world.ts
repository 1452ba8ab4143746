/**
 * A simulated world: hosts, a network, PostgreSQL instances with their watchdogs, conmgrs and applications, on one
 * timeline. Everything that matters is noted with its moment; the same commands and the same seed give the same notes.
 */
import type { TargetSessionAttrs } from '../../../src/core/cluster/target-session.js';
import type { ConmgrConfig } from '../../../src/core/config/types.js';
import type { DownReason } from '../../../src/core/protocol/first-phase.js';
import { Application } from './application.js';
import { ConmgrProcess, type NameAnswer } from './conmgr-process.js';
import { Network } from './network.js';
import { type EndedBy, SimPostgres } from './postgres.js';
import { seeded, Timeline } from './timeline.js';
import { WatchdogProcess, type WatchdogSettings } from './watchdog-process.js';

/** What an observer is told, beside the notes, which are for people. */
export type Occurrence =
  | {
      readonly kind: 'told';
      readonly application: string;
      readonly conmgr: string;
      readonly instance: string;
      readonly reason: DownReason;
    }
  | { readonly kind: 'dismissed'; readonly application: string; readonly conmgr: string }
  | { readonly kind: 'lost'; readonly application: string; readonly instance: string; readonly why: EndedBy }
  | {
      readonly kind: 'ended';
      readonly server: string;
      readonly conmgr: string;
      readonly applications: readonly string[];
    };

export interface Note {
  readonly at: number;
  readonly who: string;
  readonly what: string;
}

/** Timing of tests: beats every second, lost after three, attributes checked every 0.2 s. */
export const DEFAULT_WATCHDOG: WatchdogSettings = {
  graceMs: 3000,
  terminateOn: 'any',
  terminateScope: 'address',
  checkMs: 200,
  maxLinks: 100,
};
export const CLUSTER = 7_200_000_000_000_000_001n;

/** A complete configuration with the timing of tests. */
export function conmgrConfig(instances: readonly number[], change: Partial<ConmgrConfig> = {}): ConmgrConfig {
  return {
    port: 27_546,
    listenAddresses: ['localhost'],
    instances: instances.map((number) => ({
      number,
      host: `db${number}`,
      hostaddr: undefined,
      backendPort: 27_500,
      watchdogPort: 27_545,
      guard: true,
    })),
    heartbeatIntervalMs: 1000,
    heartbeatTimeoutMs: 3000,
    heartbeatConnectIntervalMs: 1000,
    heartbeatConnectTimeoutMs: 2000,
    heartbeatSecretFile: undefined,
    heartbeatSslmode: 'disable',
    heartbeatSslrootcert: undefined,
    heartbeatSslcert: undefined,
    heartbeatSslkey: undefined,
    log: { destinations: ['stderr'], syslogFacility: 'LOCAL0', syslogIdent: 'conmgr', minMessages: 'LOG' },
    maxConnections: 0,
    gateway: false,
    gatewayTargetSessionAttrs: 'read-write',
    listeners: [],
    guard: false,
    evictOnRoleChange: 'writers',
    onConflict: 'newest',
    resolveWaitMs: 0,
    loadBalance: 'round-robin',
    maxLagBytes: 0,
    statusPort: 0,
    ...change,
  };
}

/**
 * Defects that can be planted, each of which breaks one promise: so that it is known that the breach would be seen.
 * docs/simulation.md has the table.
 */
export const FLAWS = [
  'silent-conmgr',
  'slow-watchdog',
  'data-path',
  'deaf-probe',
  'hasty-watchdog',
  'contagious-garbage',
  'boundless-terminator',
  'restart-as-stop',
  'every-primary',
  'older-primary',
  'no-reconnect',
] as const;
export type Flaw = (typeof FLAWS)[number];

export class World {
  readonly timeline = new Timeline();
  readonly network: Network;
  random: () => number;
  flaw: Flaw | undefined;
  /** Hears of every occurrence. */
  observer: ((occurrence: Occurrence) => void) | undefined;
  readonly notes: Note[] = [];
  /** Nobody will read the notes. */
  quiet = false;
  readonly conmgrs = new Map<string, ConmgrProcess>();
  readonly servers = new Map<string, SimPostgres>();
  readonly watchdogs = new Map<string, WatchdogProcess>();
  readonly applications = new Map<string, Application>();
  readonly #addresses = new Map<string, string>();
  readonly #names = new Map<string, NameAnswer>();

  constructor(seed = 1) {
    this.random = seeded(seed);
    this.network = new Network(this.timeline, () => this.random());
  }

  get now(): number {
    return this.timeline.now;
  }

  /** Begins the sequence of random numbers anew. */
  reseed(seed: number): void {
    this.random = seeded(seed);
  }

  note(who: string, what: string): void {
    if (!this.quiet) this.notes.push({ at: this.now, who, what });
  }

  addServer(
    name: string,
    role: 'primary' | 'standby',
    change: Partial<WatchdogSettings> & {
      readonly timeline?: number;
      readonly systemIdentifier?: bigint;
    } = {},
  ): void {
    const { timeline = 1, systemIdentifier = CLUSTER, ...watchdog } = change;
    const address = `10.0.0.${name.replace(/\D/g, '')}`;
    this.setAddress(name, address);
    this.#names.set(name, { addresses: [address], afterMs: 1 });
    const server = new SimPostgres(
      { name, host: name, primary: role === 'primary', timeline, systemIdentifier },
      this.network,
    );
    this.servers.set(name, server);
    const process = new WatchdogProcess(this, server, { ...DEFAULT_WATCHDOG, ...watchdog });
    this.watchdogs.set(name, process);
    process.start();
  }

  addConmgr(
    name: string,
    config: ConmgrConfig,
    address = `10.0.1.${this.conmgrs.size + 1}`,
    inside?: string,
  ): ConmgrProcess {
    this.#addresses.set(name, address);
    const conmgr = new ConmgrProcess(this, name, address, config, inside);
    this.conmgrs.set(name, conmgr);
    conmgr.start();
    return conmgr;
  }

  addApplication(name: string, conmgr: string, target: TargetSessionAttrs): Application {
    const application = new Application(this, this.conmgr(conmgr), name, target);
    this.applications.set(name, application);
    application.attach();
    return application;
  }

  /** Where packets to an address go. */
  setAddress(host: string, address: string): void {
    this.#addresses.set(host, address);
    this.network.addAddress(address, host);
  }

  setName(name: string, answer: NameAnswer): void {
    this.#names.set(name, answer);
  }

  resolve(name: string): NameAnswer {
    return this.#names.get(name) ?? { addresses: undefined, afterMs: 1 };
  }

  /** The address under which a host is seen by others. */
  addressOf(host: string): string {
    return this.#addresses.get(host) ?? host;
  }

  server(name: string): SimPostgres {
    return found(this.servers, name);
  }

  watchdog(name: string): WatchdogProcess {
    return found(this.watchdogs, name);
  }

  conmgr(name: string): ConmgrProcess {
    return found(this.conmgrs, name);
  }

  application(name: string): Application {
    return found(this.applications, name);
  }
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`there is no ${name} here`);
  return value;
}
