/**
 * A bundle: one end of a pair of Unix sockets in which other sockets lie queued. It is one descriptor to whoever keeps
 * it, however many it holds (docs/decisions/0035-hand-over.md).
 */
import { Buffer } from 'node:buffer';
import { closeSync } from 'node:fs';
import { MOST_DESCRIPTORS } from './control-message.js';
import { NativeCallError, type UnixRights } from './unix-rights.js';

/** One octet goes with each message: descriptors need something that carries them. */
const CARRIER = Buffer.from([0]);

/** A bundle that was packed. */
export interface PackedBundle {
  readonly fd: number;
  /** The first so many of the descriptors are in it; fewer than all where the kernel takes no more. */
  readonly count: number;
}

/** Packs descriptors, in their order; they stay open here. Throws NativeCallError when there can be no pair. */
export function packBundle(rights: UnixRights, fds: readonly number[]): PackedBundle {
  const [sender, fd] = rights.pair();
  let count = 0;
  try {
    while (count < fds.length) {
      const some = fds.slice(count, count + MOST_DESCRIPTORS);
      rights.send(sender, CARRIER, some);
      count += some.length;
    }
  } catch (error) {
    if (!(error instanceof NativeCallError)) throw error;
  } finally {
    // So the receiver finds an end behind the last one.
    closeSync(sender);
  }
  return { fd, count };
}

/** Takes out everything that is in a bundle, at most `most`, and closes it. What cannot be had is lost. */
export function unpackBundle(rights: UnixRights, bundle: number, most: number): number[] {
  const fds: number[] = [];
  try {
    while (fds.length <= most) {
      const received = rights.receive(bundle, 1);
      if (received === undefined || received.bytes.length === 0) break;
      for (const fd of received.fds) fds.push(fd);
    }
  } catch (error) {
    if (!(error instanceof NativeCallError)) throw error;
  } finally {
    closeSync(bundle);
  }
  for (const fd of fds.splice(most)) closeSync(fd);
  return fds;
}
