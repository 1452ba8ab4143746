/** What one process hands to the next, as descriptors: docs/decisions/0035-hand-over.md. */

export interface NamedDescriptor {
  readonly fd: number;
  readonly name: string;
}

/** The hand-over document and the sockets that it speaks of. */
export interface HandedState {
  /** A file in memory. */
  readonly document: number;
  readonly bundle: number;
}

export interface HandedDescriptors {
  /** Undefined: there are listening sockets only. */
  readonly state: HandedState | undefined;
  /** Sockets that listen for applications, by the names of `listenerName`. */
  readonly listeners: readonly NamedDescriptor[];
}

/** Name of a listening socket, by which its successor knows what it is. Names in systemd's store have no colon. */
export function listenerName(port: number, address: string): string {
  return `listener-${port}-${address.replaceAll(':', '-')}`;
}

/** The port in such a name; undefined for a name of something else. */
export function portOfListener(name: string): number | undefined {
  const [, port] = /^listener-(\d{1,5})-/.exec(name) ?? [];
  return port === undefined ? undefined : Number(port);
}
