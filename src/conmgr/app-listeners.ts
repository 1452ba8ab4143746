/** The ports on which conmgr listens for applications: `port` and one for each listener. */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { TargetSessionAttrs } from '../core/cluster/target-session.js';
import type { ConmgrConfig } from '../core/config/types.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Log } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import { listenerName, type NamedDescriptor, portOfListener } from '../io/handed-descriptors.js';
import { ListenError, type Listener, listen, listenAgain, tryListening } from '../io/tcp-listener.js';

/** What a port means to the stock drivers that connect to it. Asked at each connection: some of it may be reloaded. */
export interface ListenerRule {
  readonly port: number;
  readonly target: () => TargetSessionAttrs;
  /** Whether stock drivers are served at all. */
  readonly forwards: () => boolean;
}

/** Connections that the kernel may hold while conmgr is busy; capped by net.core.somaxconn. */
export const BACKLOG = 4096;

export class AppListeners {
  readonly #listeners: readonly Listener[];

  private constructor(listeners: readonly Listener[]) {
    this.#listeners = listeners;
  }

  /**
   * Listens on all ports. `inherited`: sockets of a predecessor, of which those that are configured still are used and the
   * others closed. Rejects with MessageError, having closed what it opened, when a port cannot be bound.
   */
  static async open(
    config: ConmgrConfig,
    current: () => ConmgrConfig,
    log: Log,
    accept: (socket: Socket, rule: ListenerRule) => void,
    inherited: readonly NamedDescriptor[] = [],
  ): Promise<AppListeners> {
    const rules = rulesOf(config, current);
    const descriptorsOf = byPort(inherited, rules);
    const listeners: Listener[] = [];
    for (const rule of rules) {
      const { port } = rule;
      const listener = await listen({
        addresses: config.listenAddresses,
        port,
        backlog: BACKLOG,
        inherited: descriptorsOf.get(port) ?? [],
        onConnection: (socket) => accept(socket, rule),
      }).catch(async (error: unknown) => {
        await Promise.all(listeners.map((open) => open.close()));
        return refusePort(port, error);
      });
      listeners.push(listener);
      for (const { address, text } of listener.missing)
        log.write(CONMGR_MESSAGES.addressMissing, { address, reason: text });
      for (const address of listener.addresses) log.write(CONMGR_MESSAGES.listening, { address, port });
      if (port !== config.port) log.write(CONMGR_MESSAGES.listenerServes, { port, target: rule.target() });
    }
    return new AppListeners(listeners);
  }

  /** Goes on with the very sockets that were listened on until now, under the same configuration. */
  static again(
    config: ConmgrConfig,
    current: () => ConmgrConfig,
    accept: (socket: Socket, rule: ListenerRule) => void,
    held: readonly NamedDescriptor[],
  ): AppListeners {
    const rules = rulesOf(config, current);
    const descriptorsOf = byPort(held, rules);
    return new AppListeners(
      rules.map((rule) =>
        listenAgain({
          port: rule.port,
          backlog: BACKLOG,
          inherited: descriptorsOf.get(rule.port) ?? [],
          onConnection: (socket) => accept(socket, rule),
        }),
      ),
    );
  }

  /** The addresses that are bound. */
  get addresses(): readonly string[] {
    return this.#listeners[0]?.addresses ?? [];
  }

  /** The sockets, which stay this process's. */
  get descriptors(): readonly NamedDescriptor[] {
    return this.#listeners.flatMap(({ port, sockets }) =>
      sockets.map(({ fd, address }) => ({ fd, name: listenerName(port, address) })),
    );
  }

  /** Takes no more connections; those that were accepted are not touched. */
  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }
}

/**
 * Whether the ports can be had that a predecessor does not hold: for who is about to take over, and must not fail later.
 * Rejects with MessageError.
 */
export async function tryPorts(config: ConmgrConfig, inherited: readonly NamedDescriptor[]): Promise<void> {
  const held = new Set(inherited.map(({ name }) => name));
  const { listenAddresses: addresses } = config;
  for (const { port } of rulesOf(config, () => config)) {
    await tryListening({ addresses, port }, (address) => held.has(listenerName(port, address))).catch(
      (error: unknown) => refusePort(port, error),
    );
  }
}

function refusePort(port: number, error: unknown): never {
  if (!(error instanceof ListenError)) throw error;
  const reason = error.failures.map(({ address, text }) => `${address}: ${text}`).join('; ');
  throw new MessageError(CONMGR_MESSAGES.cannotListen, { port, reason }, { cause: error });
}

/** What a port means to a connection of a predecessor. One that is not configured any more is like `port` now. */
export function ruleOfPort(current: () => ConmgrConfig, port: number): ListenerRule {
  const [first, ...others] = rulesOf(current(), current);
  return others.find((rule) => rule.port === port) ?? { ...first, port };
}

function rulesOf(
  config: ConmgrConfig,
  current: () => ConmgrConfig,
): readonly [ListenerRule, ...ListenerRule[]] {
  return [
    {
      port: config.port,
      target: () => current().gatewayTargetSessionAttrs,
      forwards: () => current().gateway,
    },
    ...config.listeners.map(({ port, target }) => ({ port, target: () => target, forwards: () => true })),
  ];
}

/** Those of ports on which nobody listens any more are closed. */
function byPort(
  inherited: readonly NamedDescriptor[],
  rules: readonly ListenerRule[],
): ReadonlyMap<number, readonly number[]> {
  const found = new Map<number, number[]>(rules.map(({ port }) => [port, []]));
  for (const { fd, name } of inherited) {
    const ofPort = found.get(portOfListener(name) ?? 0);
    if (ofPort === undefined) closeSync(fd);
    else ofPort.push(fd);
  }
  return found;
}
