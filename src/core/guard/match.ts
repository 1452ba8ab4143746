/**
 * Which sockets a loss ends. The kernel has filtered already; nothing is ended on its word alone.
 */
import {
  AF_INET,
  AF_INET6,
  type SocketFamily,
  STATES_WITH_PEER,
  TCP_STATE,
  type TcpSocket,
} from './inet-diag.js';
import { isIpv4, sameTarget, type Target } from './target.js';

/** Whether the remote end of the socket is exactly this address and port. */
export function isTo(socket: TcpSocket, target: Target): boolean {
  return sameTarget({ bytes: socket.remoteAddress, port: socket.remotePort }, target);
}

/** The sockets to `target` that a program may wait on, less those on a local port that is spared. */
export function socketsToEnd(
  sockets: readonly TcpSocket[],
  target: Target,
  spare: ReadonlySet<number>,
): TcpSocket[] {
  return sockets.filter(
    (socket) =>
      isTo(socket, target) &&
      STATES_WITH_PEER.some((state) => state === socket.state) &&
      !spare.has(socket.localPort),
  );
}

/** The lists that have sockets to the target: those of IPv6 programs to an IPv4 address stand in that of IPv6. */
export function familiesOf(target: Target): readonly SocketFamily[] {
  return isIpv4(target.bytes) ? [AF_INET, AF_INET6] : [AF_INET6];
}

/** Whether the socket still tries to connect. */
export function isConnecting(socket: TcpSocket): boolean {
  return socket.state === TCP_STATE.SYN_SENT;
}
