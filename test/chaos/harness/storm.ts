/**
 * Applications that ask all at once. Each is a socket and no more: on a machine with few processors the measure would
 * otherwise be what the asking costs, not the answer.
 */
import { connect } from 'node:net';
import type { Ask } from '../../../src/core/protocol/ask.js';
import { decodeConmgrMessage } from '../../../src/core/protocol/first-phase.js';
import { questionFor } from '../../support/question.js';
import { resetSocket } from '../../support/relay.js';

const PATIENCE_MS = 60_000;

export interface StormAnswer {
  /** From the connect to the first octets of the answer. */
  readonly tookMs: number;
  /** The instances offered, best first; undefined: none. */
  readonly offered: readonly number[] | undefined;
}

/** Asks so often, all in one turn of the event loop; returns when all have been answered, with the answers in their order. */
export async function storm(
  port: number,
  count: number,
  targetOf: (number: number) => Ask['target'],
): Promise<StormAnswer[]> {
  const packets = new Map<Ask['target'], Buffer>();
  const packetFor = (target: Ask['target']): Buffer => {
    const known = packets.get(target) ?? questionFor(target);
    packets.set(target, known);
    return known;
  };
  const asked = Array.from({ length: count }, (_, number) => askOnce(port, packetFor(targetOf(number))));
  const answers = await Promise.all(asked.map(({ answer }) => answer));
  for (const { socket } of asked) resetSocket(socket);
  return answers.map(({ tookMs, octets }) => ({ tookMs, offered: offeredIn(octets) }));
}

function askOnce(port: number, packet: Buffer) {
  const begunMs = performance.now();
  const socket = connect({ port, host: '127.0.0.1' });
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  socket.write(packet);
  const answer = new Promise<{ tookMs: number; octets: Buffer }>((resolve) => {
    // Everything that conmgr has to say to a question is one piece.
    socket.once('data', (octets: Buffer) => resolve({ tookMs: performance.now() - begunMs, octets }));
    socket.on('error', () => {});
    socket.once('close', () => resolve({ tookMs: performance.now() - begunMs, octets: Buffer.alloc(0) }));
  });
  return { socket, answer };
}

/** Looks through messages of a type, a length that counts itself, and what they say. */
function offeredIn(octets: Buffer): readonly number[] | undefined {
  for (let at = 0; octets.length - at >= 5; at += 1 + octets.readUInt32BE(at + 1)) {
    if (octets[at] !== 'm'.charCodeAt(0)) continue;
    const message = decodeConmgrMessage(octets.subarray(at + 5, at + 1 + octets.readUInt32BE(at + 1)));
    if (message !== undefined && message !== 'malformed' && message.kind === 'candidates')
      return message.candidates.map(({ instance }) => instance);
  }
  return undefined;
}
