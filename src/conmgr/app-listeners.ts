/** The ports on which conmgr listens for applications: `port` and one for each listener. */
import type { Socket } from 'node:net';
import type { TargetSessionAttrs } from '../core/cluster/target-session.js';
import type { ConmgrConfig } from '../core/config/types.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Log } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import { ListenError, type Listener, listen } from '../io/tcp-listener.js';

/** What a port means to the stock drivers that connect to it. Asked at each connection: some of it may be reloaded. */
export interface ListenerRule {
  readonly port: number;
  readonly target: () => TargetSessionAttrs;
  /** Whether stock drivers are served at all. */
  readonly forwards: () => boolean;
}

/** Connections that the kernel may hold while conmgr is busy; capped by net.core.somaxconn. */
const BACKLOG = 4096;

export class AppListeners {
  readonly #listeners: readonly Listener[];

  private constructor(listeners: readonly Listener[]) {
    this.#listeners = listeners;
  }

  /** Binds all ports. Rejects with MessageError, having closed what it opened, when one cannot be bound. */
  static async open(
    config: ConmgrConfig,
    current: () => ConmgrConfig,
    log: Log,
    accept: (socket: Socket, rule: ListenerRule) => void,
  ): Promise<AppListeners> {
    const listeners: Listener[] = [];
    for (const rule of rulesOf(config, current)) {
      const { port } = rule;
      const listener = await listen({
        addresses: config.listenAddresses,
        port,
        backlog: BACKLOG,
        onConnection: (socket) => accept(socket, rule),
      }).catch(async (error: unknown) => {
        await Promise.all(listeners.map((open) => open.close()));
        if (!(error instanceof ListenError)) throw error;
        const reason = error.failures.map(({ address, text }) => `${address}: ${text}`).join('; ');
        throw new MessageError(CONMGR_MESSAGES.cannotListen, { port, reason }, { cause: error });
      });
      listeners.push(listener);
      for (const { address, text } of listener.missing)
        log.write(CONMGR_MESSAGES.addressMissing, { address, reason: text });
      for (const address of listener.addresses) log.write(CONMGR_MESSAGES.listening, { address, port });
      if (port !== config.port) log.write(CONMGR_MESSAGES.listenerServes, { port, target: rule.target() });
    }
    return new AppListeners(listeners);
  }

  /** The addresses that are bound. */
  get addresses(): readonly string[] {
    return this.#listeners[0]?.addresses ?? [];
  }

  /** Takes no more connections; those that were accepted are not touched. */
  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }
}

function rulesOf(config: ConmgrConfig, current: () => ConmgrConfig): readonly ListenerRule[] {
  return [
    {
      port: config.port,
      target: () => current().gatewayTargetSessionAttrs,
      forwards: () => current().gateway,
    },
    ...config.listeners.map(({ port, target }) => ({ port, target: () => target, forwards: () => true })),
  ];
}
