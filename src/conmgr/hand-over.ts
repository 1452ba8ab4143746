/** From a running conmgr to document and descriptors, and from those to one that goes on. */
import type { HandedCore, HandedFacts } from '../core/conmgr/handing.js';
import type { HandedConnection, HandedSession, HandOverDocument } from '../core/handover/document.js';
import { isHandedWhole } from '../core/handover/encode.js';
import { type DocumentLimits, withoutRoom } from '../core/handover/room.js';
import { adoptSocket, resetDescriptor } from '../io/adopted-sockets.js';
import { reached } from '../io/hand-over-steps.js';
import type { ListenerRule } from './app-listeners.js';
import type { AppPort } from './app-port.js';
import type { Gateway } from './gateway.js';
import type { HandedPart } from './handed-part.js';

const NO_OCTETS = Buffer.alloc(0);

/** What a predecessor puts together. */
export interface PackedHandOver {
  readonly document: HandOverDocument;
  /** The sockets by their numbers in the document; they stay those of the predecessor. */
  readonly fds: readonly number[];
  /** The connections that they belong to, by the same numbers. */
  readonly owners: readonly number[];
  /** Connections that are not in it: to be treated as without hand-over. */
  readonly leftOut: readonly number[];
}

/** Numbers sockets in the order in which they are claimed. */
class SocketNumbers {
  readonly fds: number[] = [];
  readonly owners: number[] = [];

  take(fd: number, owner: number): number {
    this.fds.push(fd);
    this.owners.push(owner);
    return this.fds.length - 1;
  }
}

/**
 * Puts together what `port.handOver()` and `core.handOver()` gave. A session whose connection cannot be handed over,
 * and a connection of which the core knows more than itself, are left out.
 */
export function packHandOver(
  identity: { readonly software: string; readonly conmgrId: string },
  core: HandedCore,
  port: Pick<AppPort, 'handOver' | 'connection' | 'ids'>,
  gateway: Pick<Gateway, 'cancelRoute'>,
): PackedHandOver {
  const parts = port.handOver();
  reached('stopped');
  const facts = new Map(core.sessions.map((session) => [session.id, session]));
  const numbers = new SocketNumbers();
  const sessions: HandedSession[] = [];
  const connections: HandedConnection[] = [];
  const leftOut: number[] = [];
  for (const id of port.ids()) {
    const part = parts.get(id);
    const listener = port.connection(id)?.listener.port;
    const known = facts.get(id);
    const route = gateway.cancelRoute(id);
    if (part === undefined || listener === undefined || !isHandedWhole(part)) leftOut.push(id);
    else if (!part.isSession) {
      const { declined, inbound, outbound } = part;
      connections.push({ app: numbers.take(part.fd, id), listener, declined, inbound, outbound });
    } else if (known === undefined || (part.server !== undefined && route === undefined)) leftOut.push(id);
    else sessions.push(sessionOf(known, part, listener, route, numbers));
  }
  const { view, instances } = core;
  const document = { ...identity, view, instances, sockets: numbers.fds.length, sessions, connections };
  return roomy({ document, fds: numbers.fds, owners: numbers.owners, leftOut });
}

/** The same without what finds no room in the document. */
export function roomy(all: PackedHandOver, limits?: DocumentLimits): PackedHandOver {
  const { document, fds, owners, leftOut } = all;
  const without = withoutRoom(document, limits);
  if (without.size === 0) return all;
  const numbers = new SocketNumbers();
  const again = (socket: number): number => numbers.take(fds[socket] as number, owners[socket] as number);
  const kept = ({ app }: { readonly app: number }): boolean => !without.has(app);
  const sessions = document.sessions.filter(kept).map((session) => ({
    ...session,
    app: again(session.app),
    server: session.server === undefined ? undefined : again(session.server),
  }));
  const connections = document.connections.filter(kept).map((one) => ({ ...one, app: again(one.app) }));
  return {
    document: { ...document, sockets: numbers.fds.length, sessions, connections },
    fds: numbers.fds,
    owners: numbers.owners,
    leftOut: [...leftOut, ...[...without].map((app) => owners[app] as number)],
  };
}

/** The same with the first `count` sockets only, because no more found room. */
export function shortened({ document, fds, owners, leftOut }: PackedHandOver, count: number): PackedHandOver {
  const fits = (socket: number | undefined): boolean => socket === undefined || socket < count;
  return {
    document: {
      ...document,
      sockets: count,
      sessions: document.sessions.filter(({ app, server }) => fits(app) && fits(server)),
      connections: document.connections.filter(({ app }) => fits(app)),
    },
    fds: fds.slice(0, count),
    owners: owners.slice(0, count),
    leftOut: [...new Set([...leftOut, ...owners.slice(count)])],
  };
}

function sessionOf(
  known: HandedFacts,
  { fd, server, inbound, outbound }: HandedPart,
  listener: number,
  route: ReturnType<Gateway['cancelRoute']>,
  numbers: SocketNumbers,
): HandedSession {
  const { id, mode, phase, target, prefer, exclude, ping, name, instance, address, port, pid, ageMs } = known;
  return {
    id,
    mode,
    phase,
    target,
    prefer,
    exclude,
    ping,
    name,
    instance,
    address,
    port,
    pid,
    ageMs,
    app: numbers.take(fd, known.id),
    server: server === undefined ? undefined : numbers.take(server.fd, known.id),
    listener,
    fromApplication: server?.fromApplication ?? 0,
    fromServer: server?.fromServer ?? 0,
    place: route?.place,
    key: route?.key ?? NO_OCTETS,
    inbound,
    outbound,
  };
}

/**
 * Makes connections of what a predecessor has handed over; the core must have its sessions already. `fds`: the sockets
 * by their numbers. `ruleOf`: what a port means. Sockets that nobody claims are reset. Yields the sessions that have no
 * connection.
 */
export function adoptHandOver(
  { sessions, connections }: HandOverDocument,
  fds: readonly number[],
  port: Pick<AppPort, 'adopt'>,
  ruleOf: (listener: number) => ListenerRule,
): readonly number[] {
  const lost: number[] = [];
  const left = new Set(fds.keys());
  const claim = (number: number): number => {
    left.delete(number);
    return fds[number] ?? -1;
  };
  for (const session of sessions) {
    const { id, app, server, listener, place, key, fromApplication, fromServer, inbound, outbound } = session;
    const socket = adoptSocket(claim(app));
    const end =
      server === undefined || place === undefined
        ? undefined
        : { fd: claim(server), fromApplication, fromServer, place, key };
    if (socket !== undefined) {
      const part = { isSession: true, declined: [], inbound, outbound, server: end };
      port.adopt(socket, ruleOf(listener), id, part);
      continue;
    }
    lost.push(id);
    if (end !== undefined) resetDescriptor(end.fd);
  }
  for (const { app, listener, declined, inbound, outbound } of connections) {
    const socket = adoptSocket(claim(app));
    const part = { isSession: false, declined, inbound, outbound, server: undefined };
    if (socket !== undefined) port.adopt(socket, ruleOf(listener), undefined, part);
  }
  for (const number of left) resetDescriptor(fds[number] ?? -1);
  return lost;
}
