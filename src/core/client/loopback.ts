/** Which addresses are this host's own, so that nobody on the network can have written what came from there. */

/** Whether a socket's remote address is a loopback one; undefined, as Unix sockets have it, counts as local. */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined || address === '::1') return true;
  return /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address);
}
