/** Carries out what ConmgrCore wants of the network towards the servers: names, connections, probes. */
import type { InstanceConfig } from '../core/config/types.js';
import type { LinkEvent } from '../core/link/link.js';
import type { LinkProtection } from '../core/link/protection.js';
import { agreedFrameLimit } from '../core/protocol/codec.js';
import type { HeartbeatMessage } from '../core/protocol/messages.js';
import type { LinkSecurity } from '../io/link-security.js';
import { probePostmaster } from '../io/pg-probe.js';
import { resolveHost } from '../io/resolver.js';
import { connectFramed, type FramedSocket } from '../io/tcp-frames.js';

/** Where what happened is reported. */
export interface LinkReports {
  link(instance: number, event: LinkEvent): void;
  probed(instance: number, answered: boolean, text: string): void;
}

/** The connections of one conmgr to its watchdogs, at most one per instance. */
export class Links {
  readonly #reports: LinkReports;
  readonly #sockets = new Map<number, FramedSocket>();
  readonly #probes = new Map<number, AbortController>();
  /** Counts attempts, so that the answer to an abandoned one is dropped. */
  readonly #attempts = new Map<number, number>();
  /** One look-up per name at a time: a slow resolver must not fill the thread pool that all names share. */
  readonly #lookUps = new Map<string, Promise<readonly string[]>>();

  /** Of the present connections. */
  readonly #protections = new Map<number, LinkProtection>();
  #security: LinkSecurity;

  constructor(reports: LinkReports, security: LinkSecurity) {
    this.#reports = reports;
    this.#security = security;
  }

  /** How the connection to an instance is protected, once its link is up. */
  protectionOf(instance: number): LinkProtection {
    return this.#protections.get(instance) ?? 'none';
  }

  /** How links are protected that are made from now on. */
  get security(): LinkSecurity {
    return this.#security;
  }

  /** Links that are made from now on are protected in this way. */
  protect(security: LinkSecurity): void {
    this.#security = security;
  }

  resolve({ number, host, hostaddr }: InstanceConfig): void {
    const attempt = (this.#attempts.get(number) ?? 0) + 1;
    this.#attempts.set(number, attempt);
    const report = (event: LinkEvent) => {
      if (this.#attempts.get(number) === attempt) this.#reports.link(number, event);
    };
    if (hostaddr !== undefined) {
      // Not at once: the core is still carrying out the step that asked.
      queueMicrotask(() => report({ type: 'resolved', addresses: [hostaddr] }));
      return;
    }
    this.#lookUp(host ?? '').then(
      (addresses) => report({ type: 'resolved', addresses }),
      (error: Error) => report({ type: 'resolveFailed', text: error.message }),
    );
  }

  #lookUp(host: string): Promise<readonly string[]> {
    const lookUp = this.#lookUps.get(host) ?? resolveHost(host).finally(() => this.#lookUps.delete(host));
    this.#lookUps.set(host, lookUp);
    return lookUp;
  }

  connect({ number, host, watchdogPort }: InstanceConfig, address: string): void {
    this.disconnect(number);
    const report = (event: LinkEvent) => {
      if (this.#sockets.get(number) === socket) this.#reports.link(number, event);
    };
    const security = this.#security;
    this.#protections.set(number, security.kind);
    const socket: FramedSocket = connectFramed(
      { address, port: watchdogPort, host: host ?? address, security },
      {
        connected: () => report({ type: 'connected' }),
        message: (message) => {
          if (message?.name === 'welcome') socket.setLimit(agreedFrameLimit(message.maxFrame));
          report({ type: 'received', message });
        },
        violated: (text) => report({ type: 'violated', text }),
        closed: (text) => report({ type: 'closed', text }),
      },
    );
    this.#sockets.set(number, socket);
  }

  send(instance: number, message: HeartbeatMessage): void {
    this.#sockets.get(instance)?.send(message);
  }

  /** Ends the connection after what was sent has gone out. Nothing more is reported of it. */
  disconnect(instance: number): void {
    const socket = this.#sockets.get(instance);
    this.#sockets.delete(instance);
    this.#protections.delete(instance);
    socket?.end();
  }

  probe(
    { number, host, backendPort }: { number: number; host: string; backendPort: number },
    timeoutMs: number,
  ): void {
    this.#probes.get(number)?.abort();
    const controller = new AbortController();
    this.#probes.set(number, controller);
    void probePostmaster({ host, port: backendPort }, timeoutMs, controller.signal).then(
      ({ answered, text }) => {
        if (this.#probes.get(number) !== controller) return;
        this.#probes.delete(number);
        this.#reports.probed(number, answered, text);
      },
    );
  }

  forget(instance: number): void {
    this.disconnect(instance);
    this.#attempts.set(instance, (this.#attempts.get(instance) ?? 0) + 1);
    this.#probes.get(instance)?.abort();
    this.#probes.delete(instance);
  }

  /** Ends everything at once. */
  close(): void {
    for (const probe of this.#probes.values()) probe.abort();
    this.#probes.clear();
    for (const instance of [...this.#sockets.keys()]) this.disconnect(instance);
  }
}
