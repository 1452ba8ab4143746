/** Free TCP ports for servers that tests start. */
import { createServer, type Server } from 'node:net';

/** Ports from 32768 on are handed out by the kernel to outgoing connections and may be taken at any moment. */
const FIRST = 12_000;
const BLOCK = 16;
const BLOCKS = Math.floor((32_768 - FIRST) / BLOCK);

/**
 * The block this process draws from. Listening on its first port is what makes it ours: no other test file, no other
 * run on this machine can do the same, and the kernel gives the block back whenever and however this process ends.
 */
let block: { readonly lock: Server; next: number; readonly end: number } | undefined;
let waiting: Promise<unknown> = Promise.resolve();

/**
 * A port below 32768 that nothing listens on, on any local address, and that this function will not give to anybody
 * else while this process lives.
 */
export function freePort(): Promise<number> {
  const port = waiting.then(nextPort);
  waiting = port.catch(() => undefined);
  return port;
}

async function nextPort(): Promise<number> {
  for (;;) {
    if (block === undefined || block.next === block.end) block = await reserveBlock();
    const port = block.next++;
    if ((await canListen(port, '0.0.0.0')) && (await canListen(port, '::'))) return port;
  }
}

async function reserveBlock(): Promise<NonNullable<typeof block>> {
  const start = Math.floor(Math.random() * BLOCKS);
  for (let i = 0; i < BLOCKS; i++) {
    const first = FIRST + ((start + i) % BLOCKS) * BLOCK;
    const lock = await listen(first, '127.0.0.1').catch(() => undefined);
    if (lock === undefined) continue;
    lock.unref();
    return { lock, next: first + 1, end: first + BLOCK };
  }
  throw new Error(`no free ports between ${FIRST} and 32768`);
}

function listen(port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen({ port, host, ipv6Only: host === '::', exclusive: true }, () => resolve(server));
  });
}

async function canListen(port: number, host: string): Promise<boolean> {
  try {
    const server = await listen(port, host);
    await new Promise((resolve) => server.close(resolve));
    return true;
  } catch (error) {
    // A machine without IPv6 has nothing listening there either.
    return host === '::' && (error as NodeJS.ErrnoException).code !== 'EADDRINUSE';
  }
}
