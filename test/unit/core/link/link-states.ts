/** A heartbeat link driven into each of its phases, and the events that can meet it there. */
import { type LinkEffect, type LinkEvent, type LinkState, newLink } from '../../../../src/core/link/link.js';
import { stepLink } from '../../../../src/core/link/link-table.js';
import { type InstanceAttributes, UNKNOWN_ATTRIBUTES } from '../../../../src/core/protocol/attributes.js';
import { encodeAttributes } from '../../../../src/core/protocol/codec.js';
import {
  GOODBYE_REASONS,
  type HeartbeatMessage,
  REJECT_CODES,
  type RejectCode,
} from '../../../../src/core/protocol/messages.js';
import type { MonotonicMs } from '../../../../src/core/time.js';

export const SETTINGS = {
  intervalMs: 1000,
  timeoutMs: 3000,
  connectIntervalMs: 1000,
  connectTimeoutMs: 2000,
};
export const IDENTITY = {
  conmgrId: '11'.repeat(16),
  bootId: '22'.repeat(16),
  software: 'conmgr test',
  label: 'app:/dir',
};
export const CLUSTER = 7_000_000_000_000_000_001n;

export const UP: InstanceAttributes = {
  ...UNKNOWN_ATTRIBUTES,
  version: 1,
  state: 'up',
  bits: 0x0003,
  timeline: 1,
  systemIdentifier: CLUSTER,
};

export function welcome(change: Partial<HeartbeatMessage> = {}): HeartbeatMessage {
  return {
    name: 'welcome',
    version: 1,
    intervalMs: SETTINGS.intervalMs,
    timeoutMs: SETTINGS.timeoutMs,
    restartGraceMs: 10_000,
    bootId: '33'.repeat(16),
    systemIdentifier: CLUSTER,
    maxFrame: 4096,
    software: 'watchdog test',
    ...change,
  } as HeartbeatMessage;
}

export function reject(code: RejectCode, retryAfterMs = 0, text = 'no'): HeartbeatMessage {
  return { name: 'reject', code: REJECT_CODES.indexOf(code), retryAfterMs, text };
}

export function goodbye(reason: (typeof GOODBYE_REASONS)[number], retryAfterMs = 0): HeartbeatMessage {
  return { name: 'goodbye', reason: GOODBYE_REASONS.indexOf(reason), retryAfterMs, text: 'bye' };
}

export const beatOf = (seq: number, echoSeq = 0, echoDelayUs = 0): HeartbeatMessage => ({
  name: 'beat',
  seq,
  echoSeq,
  echoDelayUs,
  attrVersion: 1,
});
export const attr = (attributes: InstanceAttributes = UP): HeartbeatMessage => encodeAttributes(attributes);
export const received = (message: HeartbeatMessage | undefined): LinkEvent => ({ type: 'received', message });

/** A state with the effects of the last step. */
export interface Stepped {
  readonly state: LinkState;
  readonly effects: readonly LinkEffect[];
}

/** Steps through events at their moments. */
export function drive(
  state: LinkState,
  ...steps: readonly (readonly [now: MonotonicMs, event: LinkEvent])[]
): Stepped {
  let stepped: Stepped = { state, effects: [] };
  for (const [now, event] of steps) stepped = stepLink(stepped.state, event, now);
  return stepped;
}

export const FRESH = newLink(SETTINGS, IDENTITY);

/** The last event happened at 100 in every one of these. */
export const STATES = {
  stopped: FRESH,
  resolving: drive(FRESH, [100, { type: 'start' }]).state,
  'resolving, address known': drive({ ...FRESH, data: { ...FRESH.data, lastGoodAddress: '10.0.0.9' } }, [
    100,
    { type: 'start' },
  ]).state,
  connecting: toConnecting(['10.0.0.1']),
  'connecting, more addresses': toConnecting(['10.0.0.1', '10.0.0.2']),
  greeting: drive(toConnecting(['10.0.0.1']), [100, { type: 'connected' }]).state,
  'greeting, more addresses': drive(toConnecting(['10.0.0.1', '10.0.0.2']), [100, { type: 'connected' }])
    .state,
  up: toUp(),
  leaving: drive(toUp(), [100, { type: 'stop', reason: 'stop', retryAfterMs: 0 }]).state,
  waiting: drive(toConnecting(['10.0.0.1']), [100, { type: 'closed', text: 'refused' }]).state,
} satisfies Record<string, LinkState>;
export type StateName = keyof typeof STATES;

function toConnecting(addresses: readonly string[]): LinkState {
  const expecting = { ...FRESH, data: { ...FRESH.data, expectedSystemIdentifier: CLUSTER } };
  return drive(expecting, [100, { type: 'start' }], [100, { type: 'resolved', addresses }]).state;
}

export function toUp(): LinkState {
  return drive(toConnecting(['10.0.0.1']), [100, { type: 'connected' }], [100, received(welcome())]).state;
}

/** One effect in few words. */
export function inWords(effect: LinkEffect): string {
  switch (effect.do) {
    case 'connect':
      return `connect ${effect.address}`;
    case 'send':
      return `send ${effect.message.name}`;
    case 'reportLost':
      return `report lost by ${effect.end}`;
    case 'reportGoodbye':
      return `report goodbye ${effect.reason}`;
    case 'reportRejected':
      return `report rejected ${effect.code}`;
    case 'reportFailure':
      return `report failure ${effect.first ? 'first' : effect.attempts}: ${effect.text}`;
    case 'reportUp':
      return 'report up';
    case 'reportAttributes':
      return `report ${effect.attributes.state}`;
    case 'reportRecovered':
      return `report recovered after ${effect.attempts}`;
    case 'reportDoubt':
      return `doubt ${effect.lateMs}`;
    default:
      return effect.do;
  }
}

/** Everything that can happen to a link, with the moment; phases that began at 100 end at the moments chosen here. */
export const EVENTS: Readonly<Record<string, readonly [now: MonotonicMs, event: LinkEvent]>> = {
  start: [200, { type: 'start' }],
  stop: [200, { type: 'stop', reason: 'stop', retryAfterMs: 0 }],
  resolved: [200, { type: 'resolved', addresses: ['10.0.0.5', '10.0.0.6'] }],
  'resolved to nothing': [200, { type: 'resolved', addresses: [] }],
  'resolve failed': [200, { type: 'resolveFailed', text: 'unknown host' }],
  connected: [200, { type: 'connected' }],
  'skipped message': [200, received(undefined)],
  welcome: [200, received(welcome())],
  'welcome of another cluster': [200, received(welcome({ systemIdentifier: CLUSTER + 1n }))],
  'welcome with a version not offered': [200, received(welcome({ version: 2 }))],
  'reject limit': [200, received(reject('limit', 5000))],
  'reject wrongCluster': [200, received(reject('wrongCluster'))],
  beat: [200, received(beatOf(1))],
  attr: [200, received(attr())],
  goodbye: [200, received(goodbye('restart', 10_000))],
  goodbyeAck: [200, received({ name: 'goodbyeAck' })],
  hello: [200, received({ ...helloSample(), name: 'hello' } as HeartbeatMessage)],
  retime: [200, received({ name: 'retime', intervalMs: 1, timeoutMs: 1 })],
  closed: [200, { type: 'closed', text: 'connection reset' }],
  violated: [200, { type: 'violated', text: 'frame length 0' }],
  'woken early': [200, { type: 'woke', lateMs: 0 }],
  'woken after 500 ms': [600, { type: 'woke', lateMs: 0 }],
  'woken after 1 s': [1100, { type: 'woke', lateMs: 0 }],
  'woken after 2 s': [2100, { type: 'woke', lateMs: 0 }],
  'woken after 3 s': [3100, { type: 'woke', lateMs: 0 }],
  'woken after 3 s, late': [3900, { type: 'woke', lateMs: 800 }],
  configured: [200, { type: 'configured', settings: { ...SETTINGS, intervalMs: 500, timeoutMs: 1500 } }],
  protected: [200, { type: 'protected' }],
  expect: [200, { type: 'expect', systemIdentifier: CLUSTER, pinned: false }],
};

function helloSample(): object {
  const [effect] = drive(toConnecting(['10.0.0.1']), [100, { type: 'connected' }]).effects;
  return effect?.do === 'send' ? effect.message : {};
}
