/** What ConmgrCore hands over to its successor, and takes from its predecessor: docs/decisions/0035-hand-over.md. */
import { Buffer } from 'node:buffer';
import type { HandedInstance, HandedSession } from '../handover/document.js';
import { HEALTH_MEANING } from '../link/health-meaning.js';
import type { InstanceAttributes } from '../protocol/attributes.js';
import { decodeAttributes, decodeHeartbeat, encodeAttributes, encodeHeartbeat } from '../protocol/codec.js';
import { FrameReader } from '../protocol/framer.js';
import type { MonotonicMs } from '../time.js';
import type { Instance } from './instance.js';
import type { Session } from './sessions.js';

/** A session without its sockets, which are the shell's. */
export type HandedFacts = Pick<
  HandedSession,
  | 'id'
  | 'mode'
  | 'phase'
  | 'target'
  | 'prefer'
  | 'exclude'
  | 'ping'
  | 'name'
  | 'instance'
  | 'address'
  | 'port'
  | 'pid'
  | 'ageMs'
>;

/** All that the core hands over. */
export interface HandedCore {
  readonly view: number;
  readonly instances: readonly HandedInstance[];
  readonly sessions: readonly HandedFacts[];
}

/** `view`: number of the picture. */
export function handOverCore(
  view: number,
  instances: readonly Instance[],
  sessions: Iterable<Session>,
  now: MonotonicMs,
): HandedCore {
  return {
    view,
    instances: instances.map(handOverInstance),
    sessions: [...sessions].map((session) => handOverSession(session, now)),
  };
}

function handOverInstance(instance: Instance): HandedInstance {
  const { number, host, address, graceMs, attributes, config } = instance;
  const { backendPort, watchdogPort } = config;
  // What is known of one that is not offered has no worth for those who come.
  const known = HEALTH_MEANING[instance.health.phase].offered ? attributes : undefined;
  return {
    number,
    host,
    backendPort,
    watchdogPort,
    address,
    graceMs,
    attributes: known === undefined ? Buffer.alloc(0) : encodeHeartbeat(encodeAttributes(known)),
  };
}

/**
 * Takes what the predecessor knew; yields the instances that are the same as with it. known: to be offered until its
 * watchdog is heard.
 */
export function adoptInstances(
  set: { get(number: number): Instance | undefined },
  handed: readonly HandedInstance[],
): ReadonlyMap<number, 'same' | 'known'> {
  const kept = new Map<number, 'same' | 'known'>();
  for (const before of handed) {
    const instance = set.get(before.number);
    const what = instance === undefined ? 'other' : adoptInstance(instance, before);
    if (what !== 'other') kept.set(before.number, what);
  }
  return kept;
}

/** other: it is configured otherwise now, so nothing holds. */
function adoptInstance(instance: Instance, handed: HandedInstance): 'other' | 'same' | 'known' {
  const { host, config } = instance;
  const isSame =
    handed.host === host &&
    handed.backendPort === config.backendPort &&
    handed.watchdogPort === config.watchdogPort;
  if (!isSame) return 'other';
  instance.graceMs = handed.graceMs;
  if (handed.address === '') return 'same';
  instance.link = {
    ...instance.link,
    data: { ...instance.link.data, lastGoodAddress: handed.address },
  };
  const attributes = attributesOf(handed.attributes);
  if (attributes === undefined) return 'same';
  instance.attributes = attributes;
  return 'known';
}

function attributesOf(frame: Buffer): InstanceAttributes | undefined {
  try {
    for (const one of new FrameReader().push(frame)) {
      const message = decodeHeartbeat(one);
      if (message?.name === 'attr') return decodeAttributes(message);
    }
  } catch {
    // The watchdog will tell.
  }
  return undefined;
}

function handOverSession(session: Session, now: MonotonicMs): HandedFacts {
  const { id, mode, phase, instance, address, port, pid, since } = session;
  const { target, prefer, exclude, ping, app } = session.ask;
  return {
    id,
    mode,
    phase,
    target,
    prefer,
    exclude,
    ping,
    name: app,
    instance,
    address,
    port,
    pid,
    ageMs: Math.max(0, now - since),
  };
}

/** As the session table has it; it goes to no instance yet. */
export function adoptSession(handed: HandedFacts, now: MonotonicMs): Session {
  const { id, mode, phase, target, prefer, exclude, ping, name, address, port, pid, ageMs } = handed;
  return {
    id,
    mode,
    ask: { target, prefer, exclude, attach: undefined, ping, app: name },
    phase,
    instance: undefined,
    address,
    port,
    pid,
    since: now - ageMs,
    failed: [],
  };
}
