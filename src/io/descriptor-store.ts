/**
 * The descriptors that systemd keeps for this unit across a restart (FileDescriptorStoreMax= of systemd.service(5)):
 * the listening sockets all the time, and at a hand-over what the next process goes on with
 * (docs/decisions/0035-hand-over.md).
 */
import { Buffer } from 'node:buffer';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { HandedDescriptors, HandedState, NamedDescriptor } from './handed-descriptors.js';
import { portOfListener } from './handed-descriptors.js';
import type { Notifier } from './notify.js';
import { NativeCallError, type UnixRights } from './unix-rights.js';

/** Name of the parcel with all that is handed over beside listening sockets. */
export const PARCEL_NAME = 'hand-over';

/** A service manager that is busy may hold up the start, or the end, for so long. */
const SEND_LIMIT_MS = 1000;
const BARRIER_LIMIT_MS = 2000;

export class DescriptorStore {
  readonly #notifier: Pick<Notifier, 'sendNow' | 'barrier'>;
  readonly #names: Set<string>;

  /** `names`: what is there already. */
  constructor(notifier: Pick<Notifier, 'sendNow' | 'barrier'>, names: Iterable<string>) {
    this.#notifier = notifier;
    this.#names = new Set(names);
  }

  /** From now on these are kept, and no others. What is there already is not stored twice: systemd compares. */
  keep(listeners: readonly NamedDescriptor[]): void {
    const wanted = new Set(listeners.map(({ name }) => name));
    for (const name of this.#names) if (!wanted.has(name)) this.#remove(name);
    for (const { fd, name } of listeners) this.#put(name, fd);
  }

  /** Nothing is kept any more. */
  clear(): void {
    this.keep([]);
  }

  /**
   * Stores document and sockets for the next process, and waits until systemd has them. '' = done; otherwise why not: then
   * a parcel that systemd may have, or get in a while, is empty.
   */
  handOver(rights: UnixRights, state: HandedState): string {
    let parcel: Parcel | undefined;
    try {
      parcel = pack(rights, state);
      if (!this.#put(PARCEL_NAME, parcel.fd) || !this.#notifier.barrier(BARRIER_LIMIT_MS))
        return 'the service manager does not answer';
      return give(rights, parcel);
    } catch (error) {
      if (!(error instanceof NativeCallError)) throw error;
      return error.message;
    } finally {
      if (parcel !== undefined && parcel.state !== 'given') {
        takeBack(rights, parcel);
        this.#remove(PARCEL_NAME);
      }
      if (parcel !== undefined) closeSync(parcel.witness);
    }
  }

  #put(name: string, fd: number): boolean {
    this.#names.add(name);
    // FDPOLL=0: what has no peer any more is not thrown away.
    return this.#notifier.sendNow(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, [fd], SEND_LIMIT_MS);
  }

  #remove(name: string): void {
    // What could not be said is said again when next there is something to say.
    if (this.#notifier.sendNow(`FDSTOREREMOVE=1\nFDNAME=${name}`, [], SEND_LIMIT_MS))
      this.#names.delete(name);
  }
}

/** One end of a pair of Unix sockets in which all that belongs together lies queued: it is kept, or lost, as one. */
interface Parcel {
  readonly fd: number;
  /** The other end of the seal that lies in it: an octet that is sent here makes the parcel true, and finds no way when
   *  nobody has it any more. */
  readonly witness: number;
  /** `open`: `fd` can be read. `away`: it is closed, and who has the parcel is not known. */
  state: 'open' | 'away' | 'given';
}

const GIVEN = Buffer.from([1]);

/** Order in the one message of a parcel. */
const CONTENTS = ['document', 'bundle'] as const satisfies readonly (keyof HandedState)[];

function pack(rights: UnixRights, state: HandedState): Parcel {
  const [sender, fd] = rights.pair();
  const [witness, seal] = rights.pair();
  try {
    // The sender lies in the parcel, too. A socket without a peer would be thrown away by a systemd that does not know
    // FDPOLL=0 (before 246).
    rights.send(sender, Buffer.from([0]), [...CONTENTS.map((name) => state[name]), seal, sender]);
    return { fd, witness, state: 'open' };
  } catch (error) {
    closeSync(fd);
    closeSync(witness);
    throw error;
  } finally {
    closeSync(sender);
    closeSync(seal);
  }
}

/** Makes a parcel true that the service manager has answered for; yields '', or why nobody has it. */
function give(rights: UnixRights, parcel: Parcel): string {
  closeSync(parcel.fd);
  parcel.state = 'away';
  try {
    rights.send(parcel.witness, GIVEN);
    parcel.state = 'given';
    return '';
  } catch (error) {
    if (!(error instanceof NativeCallError) || error.errno !== constants.errno.EPIPE) throw error;
    return 'the service manager keeps no more descriptors for this unit (FileDescriptorStoreMax=)';
  }
}

/** Empties a parcel, wherever it is by now, so that it holds no socket open. */
function takeBack(rights: UnixRights, { fd, state }: Parcel): void {
  // It was not given, so all that is in it is closed.
  if (state === 'open') unpack(rights, fd);
}

/** Opens a parcel and closes it; undefined when it is none, or was not given. */
function unpack(rights: UnixRights, parcel: number): HandedState | undefined {
  let fds: readonly number[] = [];
  try {
    fds = rights.receive(parcel, 1)?.fds ?? [];
  } catch (error) {
    if (!(error instanceof NativeCallError)) throw error;
  } finally {
    closeSync(parcel);
  }
  const [document, bundle, seal, ...others] = fds;
  for (const fd of others) closeSync(fd);
  const isGiven = seal !== undefined && wasGiven(rights, seal);
  if (isGiven && document !== undefined && bundle !== undefined) return { document, bundle };
  for (const fd of [document, bundle]) if (fd !== undefined) closeSync(fd);
  return undefined;
}

/** Whether the predecessor has made the parcel true whose seal this is, which is closed. */
function wasGiven(rights: UnixRights, seal: number): boolean {
  try {
    return rights.receive(seal, 1)?.bytes.length === 1;
  } catch (error) {
    if (!(error instanceof NativeCallError)) throw error;
    return false;
  } finally {
    closeSync(seal);
  }
}

/** Opens what systemd has passed. What has no known name, or is a second parcel, is closed. */
export function openStored(
  rights: UnixRights | undefined,
  stored: readonly NamedDescriptor[],
): HandedDescriptors {
  const listeners: NamedDescriptor[] = [];
  let state: HandedState | undefined;
  for (const one of stored) {
    if (portOfListener(one.name) !== undefined) listeners.push(one);
    else if (one.name === PARCEL_NAME && rights !== undefined && state === undefined)
      state = unpack(rights, one.fd);
    else closeSync(one.fd);
  }
  return { state, listeners };
}
