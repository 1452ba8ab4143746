/**
 * From one process to the next (docs/decisions/0035-hand-over.md): a predecessor packs all that it has into descriptors,
 * and a successor opens them. How they get from one to the other is not known here: a Heir takes them.
 */
import { Buffer } from 'node:buffer';
import { closeSync } from 'node:fs';
import type { ConmgrCore } from '../core/conmgr/core.js';
import type { ConmgrEffect } from '../core/conmgr/effects.js';
import { byeForRestart } from '../core/conmgr/endings.js';
import type { HandedCore } from '../core/conmgr/handing.js';
import { refusalForStop } from '../core/conmgr/refusals.js';
import { decodeHandOver } from '../core/handover/decode.js';
import { DOCUMENT_LIMITS, type HandOverDocument } from '../core/handover/document.js';
import { encodeHandOver } from '../core/handover/encode.js';
import { CONMGR_MESSAGES } from '../core/messages/conmgr.js';
import type { Log } from '../core/messages/message.js';
import type { MonotonicMs } from '../core/time.js';
import { resetDescriptor } from '../io/adopted-sockets.js';
import { reached } from '../io/hand-over-steps.js';
import type { HandedDescriptors, HandedState, NamedDescriptor } from '../io/handed-descriptors.js';
import { packBundle, unpackBundle } from '../io/socket-bundle.js';
import { readWhole, type UnixRights } from '../io/unix-rights.js';
import { ruleOfPort } from './app-listeners.js';
import type { AppPort } from './app-port.js';
import type { Gateway } from './gateway.js';
import { adoptHandOver, packHandOver, shortened } from './hand-over.js';

/** Who takes what a conmgr hands over. */
export interface Heir {
  /**
   * The last act of the predecessor: '' = everything is with the successor or whoever keeps it for him, and this process
   * ends; otherwise why not, and it goes on. There must be no turn of the event loop, so this waits in place. The
   * descriptors are closed afterwards.
   */
  receive(handed: HandedDescriptors): string;
}

/** A conmgr that is about to hand over: its links have said goodbye, and it accepts nothing any more. */
export interface Bequest {
  readonly rights: UnixRights;
  readonly identity: { readonly software: string; readonly conmgrId: string };
  readonly core: ConmgrCore;
  readonly port: AppPort;
  readonly gateway: Gateway;
  readonly listeners: readonly NamedDescriptor[];
  readonly log: Log;
}

/**
 * Hands everything to `heir`, and tells those who are left what there is to tell. '' = this process must end now, without a
 * turn of the event loop; otherwise why it goes on.
 */
export function bequeath(bequest: Bequest, heir: Heir, now: MonotonicMs): string {
  const { rights, identity, core, port, gateway, listeners, log } = bequest;
  let packed: Packed;
  try {
    packed = packState(rights, identity, core.handOver(now), port, gateway);
  } catch (error) {
    // Whatever it is, no memory for the document for example: it must not cost the sessions.
    return (error as Error).message;
  }
  reached('packed');
  const { state, taken, leftOut } = packed;
  const reason = heir.receive({ state, listeners });
  closeSync(state.document);
  closeSync(state.bundle);
  if (reason !== '') return reason;
  // What is no session is just ending, or a console.
  const count = leftOut.filter((id) => core.sessions.get(id) !== undefined).length;
  for (const id of leftOut) leave(id, core, port);
  log.write(CONMGR_MESSAGES.handedOver, { taken });
  if (count > 0) log.write(CONMGR_MESSAGES.handedOverNotAll, { count });
  return '';
}

/** What a restart without hand-over says. */
function leave(id: number, core: ConmgrCore, port: AppPort): void {
  const session = core.sessions.get(id);
  if (session?.mode !== 'aware') port.cutOff(id);
  else if (session.phase === 'waiting') port.refuse(id, refusalForStop());
  else port.sayGoodbye(id, byeForRestart(core.instances));
}

/** What was packed. */
interface Packed {
  readonly state: HandedState;
  /** How many connections, sessions and others, are in it. */
  readonly taken: number;
  /** Connections that are not. */
  readonly leftOut: readonly number[];
}

/** Packs everything but the listening sockets. Throws what the system says. Until it is known whether it was taken there must
 *  be no turn of the event loop. */
function packState(
  rights: UnixRights,
  identity: { readonly software: string; readonly conmgrId: string },
  core: HandedCore,
  port: AppPort,
  gateway: Gateway,
): Packed {
  const all = packHandOver(identity, core, port, gateway);
  const { fd: bundle, count } = packBundle(rights, all.fds);
  const packed = count < all.fds.length ? shortened(all, count) : all;
  const { document, leftOut } = packed;
  try {
    const file = rights.memoryFile('conmgr-hand-over', encodeHandOver(document));
    const taken = document.sessions.length + document.connections.length;
    return { state: { document: file, bundle }, taken, leftOut };
  } catch (error) {
    closeSync(bundle);
    throw error;
  }
}

/** Makes the sessions of a predecessor those of this process; yields what is to be done then. */
export function takeOver(
  document: HandOverDocument,
  sockets: readonly number[],
  core: ConmgrCore,
  port: AppPort,
  log: Log,
  now: MonotonicMs,
): readonly ConmgrEffect[] {
  const effects = core.start(now, document);
  const lost = adoptHandOver(document, sockets, port, (number) => ruleOfPort(() => core.config, number));
  const { software, sessions, connections } = document;
  log.write(CONMGR_MESSAGES.tookOver, {
    software,
    sessions: sessions.length,
    connections: connections.length,
  });
  return [...effects, ...lost.flatMap((session) => core.closed(session, now))];
}

/** What a predecessor has left, opened. */
export interface Inheritance {
  /** Undefined: nothing but listening sockets. */
  readonly document: HandOverDocument | undefined;
  /** By their numbers in the document. */
  readonly sockets: readonly number[];
  readonly listeners: readonly NamedDescriptor[];
}

/** The same, with what is wrong with it. */
export interface OpenedInheritance extends Inheritance {
  /** '' = nothing; otherwise there is no document, and the sockets are nobody's. */
  readonly problem: string;
}

/**
 * Opens what was handed over; its descriptors are this function's from now on, and those of the sockets the caller's. Records
 * that cannot be understood are said in the log. Never throws.
 */
export function openInheritance(
  rights: UnixRights,
  { state, listeners }: HandedDescriptors,
  conmgrId: string,
  log: Log,
): OpenedInheritance {
  if (state === undefined) return { document: undefined, sockets: [], listeners, problem: '' };
  const decoded = decodeHandOver(readDocument(state.document));
  if (decoded.kind === 'unknown version') {
    closeSync(state.bundle);
    const problem = `version ${decoded.version} of the hand-over is not known here`;
    return { document: undefined, sockets: [], listeners, problem };
  }
  const most = decoded.kind === 'document' ? decoded.document.sockets : DOCUMENT_LIMITS.sockets;
  const sockets = unpackBundle(rights, state.bundle, most);
  if (decoded.kind === 'damaged') return { document: undefined, sockets, listeners, problem: decoded.reason };
  const { document, rejected } = decoded;
  const problem = whyUnusable(document, sockets, conmgrId);
  if (problem !== '') return { document: undefined, sockets, listeners, problem };
  if (rejected.length > 0) {
    log.write(CONMGR_MESSAGES.handOverRejected, { count: rejected.length, lines: rejected.join('\n') });
  }
  return { document, sockets, listeners, problem };
}

/** Without the predecessor, who is gone: what cannot be used is reset and said in the log. */
export function acceptInheritance(opened: OpenedInheritance, log: Log): Inheritance {
  const { problem, sockets, listeners } = opened;
  if (problem === '') return opened;
  for (const fd of sockets) resetDescriptor(fd);
  log.write(CONMGR_MESSAGES.handOverDamaged, { reason: problem });
  return { document: undefined, sockets: [], listeners };
}

/** Empty, which is no document, when it cannot be read. */
function readDocument(file: number): Buffer {
  try {
    return readWhole(file, DOCUMENT_LIMITS.bytes) ?? Buffer.alloc(0);
  } catch {
    return Buffer.alloc(0);
  } finally {
    closeSync(file);
  }
}

function whyUnusable(document: HandOverDocument, { length }: readonly number[], conmgrId: string): string {
  if (document.conmgrId !== conmgrId) return 'it was written by another conmgr';
  return length < document.sockets ? `only ${length} of ${document.sockets} sockets arrived` : '';
}
