import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import {
  acceptInheritance,
  type Bequest,
  bequeath,
  openInheritance,
} from '../../../src/conmgr/succession.js';
import type { HandOverDocument } from '../../../src/core/handover/document.js';
import { encodeHandOver } from '../../../src/core/handover/encode.js';
import type { MessageParams, MessageSpec } from '../../../src/core/messages/message.js';
import type { HandedDescriptors } from '../../../src/io/handed-descriptors.js';
import { loadNative, type Native } from '../../../src/io/native.js';
import { packBundle } from '../../../src/io/socket-bundle.js';
import { descriptorOf } from '../../../src/io/socket-handle.js';
import { UnixRights } from '../../../src/io/unix-rights.js';

const ID = '0123456789abcdef0123456789abcdef';
const rights = new UnixRights(loadNative() as Native);
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Both ends of a connection, the first as what is handed over. */
async function connection(): Promise<[net.Socket, net.Socket]> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [[near]] = (await Promise.all([once(server, 'connection'), once(far, 'connect')])) as [
    [net.Socket],
    [],
  ];
  far.on('error', () => {});
  near.on('error', () => {});
  ends.push(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return [near, far];
}

/** A document of one connection, with a bundle of that. */
async function handed(
  change: Partial<HandOverDocument> = {},
  spoil: (parts: readonly Buffer[]) => readonly Buffer[] = (parts) => parts,
): Promise<{ readonly descriptors: HandedDescriptors; readonly far: net.Socket; readonly near: net.Socket }> {
  const [near, far] = await connection();
  const document: HandOverDocument = {
    software: 'test',
    conmgrId: ID,
    view: 1,
    sockets: 1,
    instances: [],
    sessions: [],
    connections: [{ app: 0, listener: 1, declined: [], inbound: Buffer.alloc(0), outbound: Buffer.alloc(0) }],
    ...change,
  };
  const bundle = packBundle(rights, [descriptorOf(near) ?? -1]).fd;
  const file = rights.memoryFile('test', spoil(encodeHandOver(document)));
  return { descriptors: { state: { document: file, bundle }, listeners: [] }, far, near };
}

class Notes {
  readonly written: string[] = [];
  write({ code }: MessageSpec, params: MessageParams = {}): void {
    this.written.push(`${code} ${params['reason'] ?? params['count']}`);
  }
}

/** The document with another version. */
function later([head, ...others]: readonly Buffer[]): readonly Buffer[] {
  const next = Buffer.from(head ?? []);
  next.writeUInt32BE(2, 8);
  return [next, ...others];
}

describe('a successor', () => {
  it('has document and sockets of what is sound', async () => {
    const { descriptors } = await handed();
    const log = new Notes();
    const opened = openInheritance(rights, descriptors, ID, log);
    assert.deepEqual([opened.problem, opened.sockets.length, log.written], ['', 1, []]);
    assert.equal(opened.document?.connections.length, 1);
    acceptInheritance({ ...opened, problem: 'no longer wanted' }, log);
  });

  it('does not use what is damaged, incomplete, of a later version or of another conmgr', async () => {
    const cut = (parts: readonly Buffer[]): readonly Buffer[] => [Buffer.concat(parts).subarray(0, 40)];
    for (const [change, spoil, problem] of [
      [{}, cut, 'it is cut off'],
      [{}, () => [Buffer.from('something else')], 'it does not begin as one'],
      [{}, () => [], 'it does not begin as one'],
      [{ sockets: 2 }, undefined, 'only 1 of 2 sockets arrived'],
      [{}, later, 'version 2 of the hand-over is not known here'],
      [{ conmgrId: ID.replaceAll('0', 'f') }, undefined, 'it was written by another conmgr'],
    ] as const) {
      const { descriptors, near, far } = await handed(change, spoil);
      const log = new Notes();
      const opened = openInheritance(rights, descriptors, ID, log);
      assert.deepEqual([opened.problem, opened.document], [problem, undefined]);
      // Without a predecessor nobody else has the sockets any more.
      near.destroy();
      const over = new Promise((closed) => far.resume().once('close', closed));
      const accepted = acceptInheritance(opened, log);
      assert.deepEqual([accepted.document, accepted.sockets], [undefined, []]);
      assert.deepEqual(log.written, [`CM1264 ${problem}`]);
      await over;
    }
  });

  it('leaves the sockets of an unusable hand-over alone until it is said that nobody has them', async () => {
    const { descriptors, near, far } = await handed({ conmgrId: ID.replaceAll('0', 'f') });
    const opened = openInheritance(rights, descriptors, ID, new Notes());
    assert.notEqual(opened.problem, '');
    const heard = once(far, 'data');
    near.write('still here');
    assert.equal(String((await heard)[0]), 'still here');
    acceptInheritance(opened, new Notes());
  });

  it('says how many records it does not understand, and has the others', async () => {
    const connections = [0, 0].map((app) => ({
      app,
      listener: 1,
      declined: [],
      inbound: Buffer.alloc(0),
      outbound: Buffer.alloc(0),
    }));
    const { descriptors } = await handed({ connections });
    const log = new Notes();
    const opened = openInheritance(rights, descriptors, ID, log);
    assert.deepEqual([opened.document?.connections.length, log.written], [1, ['CM1265 1']]);
    acceptInheritance({ ...opened, problem: 'no longer wanted' }, new Notes());
  });
});

describe('a predecessor', () => {
  it('goes on when there is no memory for the document, and keeps nothing open', () => {
    class Exhausted extends UnixRights {
      override memoryFile(): number {
        throw Object.assign(new Error('ENOMEM: not enough memory, write'), { code: 'ENOMEM' });
      }
    }
    const open = (): number => readdirSync('/proc/self/fd').length;
    const bequest = {
      rights: new Exhausted(loadNative() as Native),
      identity: { software: 'test', conmgrId: ID },
      core: { handOver: () => ({ view: 1, instances: [], sessions: [] }) },
      port: { handOver: () => new Map(), ids: () => [], connection: () => undefined },
      gateway: {},
      listeners: [],
      log: new Notes(),
    } as unknown as Bequest;
    const before = open();
    const receive = (): string => assert.fail('there is nothing to receive');
    assert.equal(bequeath(bequest, { receive }, 0), 'ENOMEM: not enough memory, write');
    assert.equal(open(), before);
  });
});
