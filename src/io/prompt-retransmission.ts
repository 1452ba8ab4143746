/**
 * How soon TCP sends again what was lost on a heartbeat link.
 *
 * TCP doubles its pause with every loss, up to two minutes (RFC 6298), and takes answers that were lost and repeated for
 * slowness of the network, so that the next pause begins where the last one ended. On a path that loses three packets of
 * ten a link of 10 s and 20 s was thereby silent for too long three times an hour, although thousands of packets passed.
 * Linux 6.15 and later let a socket bound the pause (TCP_RTO_MAX_MS of include/uapi/linux/tcp.h); elsewhere it stays.
 */
import type { Socket } from 'node:net';
import { loadNative, type NativeFunction } from './native.js';
import { descriptorOf } from './socket-handle.js';

/** netinet/tcp.h, linux/tcp.h */
const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;
const TCP_RTO_MAX_MS = 44;

/** The kernel takes no other bounds. */
const SHORTEST_BOUND_MS = 1000;
const LONGEST_BOUND_MS = 120_000;

/**
 * The kernel ends a connection after 15 attempts (tcp_retries2), but when a link is lost is heartbeat_timeout's to say. For what
 * was sent this sets the end, to what 15 attempts take without a bound (Documentation/networking/ip-sysctl.rst).
 */
const GIVE_UP_MS = 924_600;
/**
 * For what could not be sent, because the interface is down, attempts are counted in any case: these last ones, a bound apart,
 * outlast heartbeat_timeout.
 */
const ATTEMPTS_AT_THE_BOUND = 12;

type Set = (fd: number, option: number, value: number) => boolean;

let set: Set | undefined;
/** false: this kernel does not know the option, or there are no native calls. */
let isKnown = true;

function calls(): Set | undefined {
  const native = loadNative();
  if (native === undefined) return undefined;
  const setsockopt: NativeFunction = native.func('int setsockopt(int, int, int, const void *, uint32_t)');
  const octets = Buffer.alloc(4);
  return (fd, option, value) => {
    octets.writeInt32LE(value);
    return setsockopt(fd, IPPROTO_TCP, option, octets, octets.length) === 0;
  };
}

/** Bounds the pause for a connection that is made, where the kernel can. `timeoutMs`: heartbeat_timeout of the link. */
export function retransmitPromptly(socket: Socket, timeoutMs: number): void {
  if (!isKnown) return;
  const fd = descriptorOf(socket);
  if (fd === undefined) return;
  set ??= calls();
  // First the end, which must not come sooner by what follows.
  const boundMs = Math.min(LONGEST_BOUND_MS, Math.max(SHORTEST_BOUND_MS, timeoutMs / ATTEMPTS_AT_THE_BOUND));
  isKnown = set?.(fd, TCP_USER_TIMEOUT, GIVE_UP_MS) === true && set(fd, TCP_RTO_MAX_MS, Math.round(boundMs));
}
