import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { giveThrough } from '../../../src/io/hand-over-socket.js';
import { loadNative, type Native } from '../../../src/io/native.js';
import { UnixRights } from '../../../src/io/unix-rights.js';

const native = loadNative() as Native;
const open = (): number => readdirSync('/proc/self/fd').length;

/** Acts in the moment in which the predecessor begins to wait. */
class Interrupted extends UnixRights {
  readonly #meanwhile: () => void;

  constructor(meanwhile: () => void) {
    super(native);
    this.#meanwhile = meanwhile;
  }

  override waitReadable(socket: number, timeoutMs: number): boolean {
    this.#meanwhile();
    return super.waitReadable(socket, timeoutMs);
  }
}

/** What giveThrough says when the successor does this as soon as it has everything. */
function given(meanwhile: (successor: number, rights: UnixRights) => void): string {
  const rights = new UnixRights(native);
  const before = open();
  const [ours, theirs] = rights.pair();
  const files = [1, 2, 3].map(() => openSync('/dev/null', 'r'));
  const [document = -1, bundle = -1, lock = -1] = files;
  const handed = { state: { document, bundle }, listeners: [] };
  const reason = giveThrough(new Interrupted(() => meanwhile(theirs, rights)), ours, handed, lock);
  for (const fd of rights.receive(theirs, 65_536)?.fds ?? []) closeSync(fd);
  for (const fd of [ours, theirs, ...files]) closeSync(fd);
  assert.equal(open(), before);
  return reason;
}

describe('what is given to a successor over the control socket', () => {
  const taken = Buffer.from([1]);

  it('is its own as soon as it says so', () => {
    assert.equal(
      given((successor, rights) => rights.send(successor, taken)),
      '',
    );
  });

  it('is not when it says something else', () => {
    assert.equal(
      given((successor, rights) => rights.send(successor, Buffer.from([2]))),
      'it has closed the connection',
    );
  });

  it('stays here when this process stood still until the successor may have given up, though it had answered', () => {
    const reason = given((successor, rights) => {
      rights.send(successor, taken);
      // As SIGSTOP does it: no turn of the event loop, and time goes on.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2100);
    });
    assert.equal(reason, 'no answer within 2 s');
  });
});
