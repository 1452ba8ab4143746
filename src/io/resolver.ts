/** Host names to addresses, as the rest of the host sees them (getaddrinfo(3)). */
import { lookup } from 'node:dns/promises';
import net from 'node:net';

/** Addresses of a name in the order of the system's resolver; an address stands for itself. Rejects with a short text. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  if (net.isIP(host) !== 0) return [host];
  try {
    const found = await lookup(host, { all: true, verbatim: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const words =
      code === 'ENOTFOUND' ? 'name not known' : code === 'EAI_AGAIN' ? 'name server does not answer' : code;
    throw new Error(`could not resolve host name "${host}": ${words}`);
  }
}
