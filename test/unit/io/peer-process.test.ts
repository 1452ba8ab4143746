import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { findPeerProcesses } from '../../../src/io/peer-process.js';

const root = mkdtempSync(join(tmpdir(), 'peer-'));
after(() => rmSync(root, { recursive: true }));

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const UID = process.geteuid?.() ?? 0;

/** A line of /proc/net/tcp; addresses in the kernel's hexadecimal words. */
function line(local: string, remote: string, uid: number, inode: number): string {
  return `   0: ${local} ${remote} 01 00000000:00000000 00:00000000 00000000 ${uid} 0 ${inode} 1 0 100 0 0 10 0\n`;
}

let made = 0;
/** A /proc of its own. `processes`: pid -> inodes of its sockets. */
function fake(tables: { tcp?: string; tcp6?: string }, processes: Record<number, number[]> = {}) {
  made += 1;
  const proc = join(root, `proc${made}`);
  mkdirSync(join(proc, 'net'), { recursive: true });
  if (tables.tcp !== undefined) writeFileSync(join(proc, 'net/tcp'), HEAD + tables.tcp);
  if (tables.tcp6 !== undefined) writeFileSync(join(proc, 'net/tcp6'), HEAD + tables.tcp6);
  for (const [pid, inodes] of Object.entries(processes)) {
    mkdirSync(join(proc, pid, 'fd'), { recursive: true });
    writeFileSync(join(proc, pid, 'comm'), `prog${pid}\n`);
    symlinkSync('/dev/null', join(proc, pid, 'fd/0'));
    inodes.forEach((inode, at) => {
      symlinkSync(`socket:[${inode}]`, join(proc, pid, `fd/${at + 3}`));
    });
  }
  const passwd = join(root, `passwd${made}`);
  writeFileSync(
    passwd,
    `# comment\nalice:x:${UID}:1::/:/bin/sh\nbob:x:4711:1::/:/bin/sh\nmallory:x:${UID}:1::/:\n`,
  );
  return { proc, passwd };
}

const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
const V4 = (port: number): string => `0100007F:${hex(port)}`;
const V6 = (port: number): string => `00000000000000000000000001000000:${hex(port)}`;
const MAPPED = (port: number): string => `0000000000000000FFFF00000100007F:${hex(port)}`;
const ASKED = [{ localPort: 40_000, remotePort: 27_546 }];

describe('findPeerProcesses', () => {
  for (const [family, host] of [
    ['IPv4', '127.0.0.1'],
    ['IPv6', '::1'],
  ] as const) {
    it(`finds this very process behind its own ${family} connection`, async () => {
      const server: Server = createServer();
      server.listen(0, host);
      await once(server, 'listening');
      const socket = connect((server.address() as AddressInfo).port, host);
      const [accepted] = (await once(server, 'connection')) as [Socket];
      const [peer] = await findPeerProcesses([
        { localPort: accepted.remotePort ?? 0, remotePort: accepted.localPort ?? 0 },
      ]);
      assert.deepEqual(peer, {
        pid: process.pid,
        program: basename(process.execPath),
        user: userInfo().username,
      });
      socket.destroy();
      accepted.destroy();
      server.close();
    });
  }

  it('calls a Node.js application by its program, not by the name of its first thread', async () => {
    const sources = fake({ tcp: line(V4(40_000), V4(27_546), UID, 11) }, { 7: [11] });
    writeFileSync(join(sources.proc, '7/comm'), 'MainThread\n');
    writeFileSync(join(sources.proc, '7/cmdline'), '/usr/local/bin/node\0app.js\0');
    assert.deepEqual(await findPeerProcesses(ASKED, sources), [{ pid: 7, program: 'node', user: 'alice' }]);
  });

  it('keeps the order of the question and leaves unknown connections open', async () => {
    const tcp = line(V4(40_000), V4(27_546), UID, 11) + line(V4(40_001), V4(27_546), UID, 12);
    const sources = fake(
      { tcp, tcp6: line(MAPPED(40_002), MAPPED(27_546), UID, 13) },
      { 7: [13, 11], 8: [12] },
    );
    const peers = await findPeerProcesses(
      [40_002, 39_999, 40_001, 40_000].map((localPort) => ({ localPort, remotePort: 27_546 })),
      sources,
    );
    assert.deepEqual(peers, [
      { pid: 7, program: 'prog7', user: 'alice' },
      { pid: null, program: null, user: null },
      { pid: 8, program: 'prog8', user: 'alice' },
      { pid: 7, program: 'prog7', user: 'alice' },
    ]);
  });

  it('takes the application end of a connection, not our own', async () => {
    const tcp = line(V4(27_546), V4(40_000), 4711, 20) + line(V4(40_000), V4(27_546), UID, 21);
    const sources = fake({ tcp }, { 5: [20], 6: [21] });
    assert.equal((await findPeerProcesses(ASKED, sources))[0]?.pid, 6);
  });

  it('does not take a connection to another host with the same ports', async () => {
    const sources = fake(
      { tcp: line(`0A00020F:${hex(40_000)}`, `0A000210:${hex(27_546)}`, UID, 30) },
      { 5: [30] },
    );
    assert.deepEqual(await findPeerProcesses(ASKED, sources), [{ pid: null, program: null, user: null }]);
  });

  it('names nobody where an IPv4 and an IPv6 connection share their ports', async () => {
    const tables = {
      tcp: line(V4(40_000), V4(27_546), UID, 31),
      tcp6: line(V6(40_000), V6(27_546), UID, 32),
    };
    const sources = fake(tables, { 5: [31], 6: [32] });
    assert.deepEqual(await findPeerProcesses(ASKED, sources), [{ pid: null, program: null, user: null }]);
  });

  it('knows the user where the process is not to be seen', async () => {
    const [peer] = await findPeerProcesses(ASKED, fake({ tcp: line(V4(40_000), V4(27_546), 4711, 40) }));
    assert.deepEqual(peer, { pid: null, program: null, user: 'bob' });
  });

  it('shows the number of a user whom passwd does not have', async () => {
    const [peer] = await findPeerProcesses(ASKED, fake({ tcp: line(V4(40_000), V4(27_546), 99_999, 41) }));
    assert.equal(peer?.user, '99999');
  });

  it('does without tables, processes and passwd', async () => {
    const nothing = { proc: join(root, 'missing'), passwd: join(root, 'missing') };
    assert.deepEqual(await findPeerProcesses(ASKED, nothing), [{ pid: null, program: null, user: null }]);
    const half = fake({ tcp: line(V4(40_000), V4(27_546), UID, 42) }, { 3: [], 9: [42] });
    chmodSync(join(half.proc, '3/fd'), 0);
    const [peer] = await findPeerProcesses(ASKED, { ...half, passwd: nothing.passwd });
    chmodSync(join(half.proc, '3/fd'), 0o700);
    assert.equal(peer?.pid, 9);
  });

  it('reads a table of many thousand lines', async () => {
    let tcp = '';
    for (let n = 0; n < 20_000; n++) tcp += line(V4(1024 + n), V4(5432), UID, 100_000 + n);
    const sources = fake({ tcp: tcp + line(V4(40_000), V4(27_546), UID, 50) }, { 4: [50] });
    assert.equal((await findPeerProcesses(ASKED, sources))[0]?.pid, 4);
  });
});
