import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../support/free-ports.js';

const ports = (count: number): Promise<number[]> => Promise.all(Array.from({ length: count }, freePort));

// This file is also the program that the second test starts: another process that wants ports.
if (process.send !== undefined && process.env['WANTED_PORTS'] !== undefined) {
  process.send(await ports(Number(process.env['WANTED_PORTS'])));
  await once(process, 'disconnect');
} else {
  describe('free ports', () => {
    it('are below the range of outgoing connections, distinct, and free on every address', async () => {
      const given = await ports(40);
      assert.equal(new Set(given).size, 40);
      for (const port of given) {
        assert.ok(port > 1024 && port < 32_768, String(port));
        const server = createServer().listen({ port, host: '0.0.0.0', exclusive: true });
        await once(server, 'listening');
        server.close();
      }
    });

    it('are never given to two processes', async () => {
      const children = [1, 2, 3].map(() =>
        fork(fileURLToPath(import.meta.url), { env: { ...process.env, WANTED_PORTS: '30' }, execArgv: [] }),
      );
      const answers = await Promise.all(
        children.map((child) => once(child, 'message') as Promise<[number[]]>),
      );
      const all = [...answers.flatMap(([given]) => given), ...(await ports(30))];
      for (const child of children) child.disconnect();
      assert.equal(new Set(all).size, 120);
    });
  });
}
