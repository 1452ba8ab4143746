/** Asks a running helper, one request after the other. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { eventually } from '../support/eventually.js';

export interface Caller {
  ask(request: object): Promise<Record<string, unknown>>;
  close(): void;
}

/** Connects as soon as the helper listens. */
export async function callHelper(path: string): Promise<Caller> {
  const socket = await eventually(() => open(path), { what: `a helper at ${path}` });
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  let id = 0;
  return {
    ask: async (request) => {
      id += 1;
      socket.write(`${JSON.stringify({ id, ...request })}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error('the helper hung up');
      const { id: answered, ...answer } = JSON.parse(value) as Record<string, unknown>;
      if (answered !== id && answered !== 0) throw new Error(`answer to ${answered} instead of ${id}`);
      return answer;
    },
    close: () => socket.destroy(),
  };
}

async function open(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}
