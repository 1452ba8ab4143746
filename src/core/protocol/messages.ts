/**
 * The heartbeat protocol and the first phase, declared as tables. Codec (`codec.ts`, `first-phase.ts`)
 * and docs/protocol.md derive from them. Integers are big-endian, text is UTF-8.
 */

import type { Buffer } from 'node:buffer';

/** Type of a field with a fixed size, in the order of the wire. */
export type FieldType = 'u8' | 'u16' | 'u32' | 'u64' | 'id';

/** Octets a field takes. `id` is 16 octets, shown as 32 hex digits. */
export const FIELD_SIZES: Readonly<Record<FieldType, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, id: 16 };

/** One message of the heartbeat link. */
export interface MessageRow {
  readonly id: number;
  readonly from: 'conmgr' | 'watchdog' | 'both';
  /** Sent with flag bit 0: a receiver that does not know it must give up the link. */
  readonly mustUnderstand: boolean;
  readonly doc: string;
  readonly body: readonly (readonly [name: string, type: FieldType, doc: string])[];
  /** Optional text elements {u16 tag, u16 length, bytes}; unknown tags are skipped. */
  readonly texts: readonly (readonly [name: string, tag: number, doc: string])[];
  /** Optional elements of the same form whose octets are no text. */
  readonly octets?: readonly (readonly [name: string, tag: number, doc: string])[];
}

/** First four octets of HELLO: 'CMHB'. */
export const HEARTBEAT_MAGIC = 0x434d4842;
/** Versions of the heartbeat protocol that this program speaks. */
export const HEARTBEAT_VERSION = { min: 1, max: 1 } as const;
/** Frame flag bit 0: the receiver must know the type. */
export const FLAG_MUST_UNDERSTAND = 0x01;
/** Bounds of a frame's length field (type, flags, body, texts). */
export const FRAME_LIMITS = { min: 2, beforeWelcome: 512, max: 4096 } as const;
/** A text element longer than this is cut at the sender. */
export const MAX_TEXT_BYTES = 400;
/** HELLO must have arrived this long after the connection was accepted. */
export const HELLO_TIMEOUT_MS = 3000;

/** The messages of the heartbeat link. */
export const HEARTBEAT_MESSAGES = {
  hello: {
    id: 1,
    from: 'conmgr',
    mustUnderstand: true,
    doc: 'First frame of a link: who calls, and how this link is to be timed.',
    body: [
      ['magic', 'u32', "'CMHB'"],
      ['versionMin', 'u16', 'lowest protocol version the caller speaks'],
      ['versionMax', 'u16', 'highest protocol version the caller speaks'],
      ['intervalMs', 'u32', 'heartbeat_interval of this link, for both ends'],
      ['timeoutMs', 'u32', 'heartbeat_timeout of this link, for both ends'],
      ['conmgrId', 'id', 'kept over restarts: machine and directory'],
      ['bootId', 'id', 'new at every start of the process'],
      ['systemIdentifier', 'u64', 'expected cluster; 0 = any'],
    ],
    texts: [
      ['software', 1, 'name and version of the caller'],
      ['label', 2, 'host name and directory, for people'],
    ],
  },
  welcome: {
    id: 2,
    from: 'watchdog',
    mustUnderstand: true,
    doc: 'The link is accepted.',
    body: [
      ['version', 'u16', 'protocol version from here on'],
      ['intervalMs', 'u32', 'as taken from HELLO'],
      ['timeoutMs', 'u32', 'as taken from HELLO'],
      ['restartGraceMs', 'u32', 'watchdog.restart_grace'],
      ['bootId', 'id', 'new at every start of the watchdog'],
      ['systemIdentifier', 'u64', 'cluster of the instance; 0 = not known yet'],
      ['maxFrame', 'u32', 'longest frame the watchdog takes'],
    ],
    texts: [['software', 1, 'name and version of the watchdog']],
  },
  reject: {
    id: 3,
    from: 'watchdog',
    mustUnderstand: true,
    doc: 'The link is refused; the connection is closed after it.',
    body: [
      ['code', 'u16', 'why (table of reject codes)'],
      ['retryAfterMs', 'u32', 'do not come back earlier; 0 = as configured'],
    ],
    texts: [['text', 3, 'the reason in words']],
  },
  beat: {
    id: 4,
    from: 'both',
    mustUnderstand: true,
    doc: 'Sign of life, sent every interval whatever else flows.',
    body: [
      ['seq', 'u32', 'grows by one, wraps at 2^32'],
      ['echoSeq', 'u32', 'seq of the last BEAT received; 0 = none'],
      ['echoDelayUs', 'u32', 'microseconds between receiving it and sending this'],
      ['attrVersion', 'u32', 'version of the last ATTR sent; 0 from conmgr'],
    ],
    texts: [],
  },
  attr: {
    id: 5,
    from: 'watchdog',
    mustUnderstand: true,
    doc: 'Full state of the instance, never a difference.',
    body: [
      ['version', 'u32', 'grows by one with every change'],
      ['state', 'u8', 'table of instance states'],
      ['bits', 'u16', 'attribute bits'],
      ['timeline', 'u32', '0 = unknown'],
      ['position', 'u64', 'WAL position of a primary, replay position of a standby'],
      ['receivedPosition', 'u64', 'last position a standby has received'],
      ['serverVersionNum', 'u32', 'server_version_num'],
      ['systemIdentifier', 'u64', '0 = not known yet'],
      ['leaseEpoch', 'u64', '0 = no lease'],
    ],
    texts: [['text', 3, 'why it is not up or does not accept']],
  },
  goodbye: {
    id: 6,
    from: 'both',
    mustUnderstand: true,
    doc: 'The sender ends the link on purpose.',
    body: [
      ['reason', 'u16', 'table of goodbye reasons'],
      ['retryAfterMs', 'u32', 'for a restart: the grace; else 0'],
    ],
    texts: [['text', 3, 'the reason in words']],
  },
  goodbyeAck: {
    id: 7,
    from: 'both',
    mustUnderstand: true,
    doc: 'GOODBYE was read; the connection is closed after it.',
    body: [],
    texts: [],
  },
  sessions: {
    id: 8,
    from: 'conmgr',
    mustUnderstand: false,
    doc: 'SQL sessions that conmgr watches: what has changed since the last one of this link.',
    body: [
      ['part', 'u8', 'table of session parts'],
      ['address', 'id', 'local address of these sessions; IPv4 as ::ffff:a.b.c.d'],
    ],
    texts: [],
    octets: [['list', 4, 'for each session: u16 local port, u32 process ID of its backend (0 = not known)']],
  },
  retime: {
    id: 9,
    from: 'conmgr',
    mustUnderstand: true,
    doc: 'New timing of this link after a reload; valid from the next frame on.',
    body: [
      ['intervalMs', 'u32', 'heartbeat_interval'],
      ['timeoutMs', 'u32', 'heartbeat_timeout'],
    ],
    texts: [],
  },
  wantSessions: {
    id: 10,
    from: 'watchdog',
    mustUnderstand: false,
    doc: 'Whether SESSIONS is wanted: sent where watchdog.terminate_scope is or was "monitored".',
    body: [['wanted', 'u8', '1: all sessions now, then every change; 0: no more']],
    texts: [],
  },
} as const satisfies Readonly<Record<string, MessageRow>>;

/** Why a watchdog refuses a link; the index is its number on the wire. */
export const REJECT_CODES = [
  'other',
  'version',
  'limit',
  'bounds',
  'wrongCluster',
  'notAllowed',
  'stopping',
  'duplicate',
] as const;
export type RejectCode = (typeof REJECT_CODES)[number];

/** Why a link is ended on purpose; the index is its number on the wire. */
export const GOODBYE_REASONS = [
  'stop',
  'restart',
  'hostShutdown',
  'protocol',
  'limit',
  'instanceStopping',
  /** conmgr no longer monitors this instance, by configuration: no session is to be ended for it. */
  'released',
] as const;
export type GoodbyeReason = (typeof GOODBYE_REASONS)[number];

/** What a SESSIONS does with what was told before; the index is its number on the wire. */
export const SESSION_PARTS = [
  /** Nothing that was told before holds any more; these are watched. */
  'first',
  'added',
  'removed',
] as const;
export type SessionPart = (typeof SESSION_PARTS)[number];

/** Bounds that a watchdog accepts for the timing of a link. */
export const TIMING_BOUNDS = { minMs: 50, maxMs: 2_147_483_647 } as const;

type FieldValue<Type extends FieldType> = Type extends 'u64' ? bigint : Type extends 'id' ? string : number;
type Body<Fields extends MessageRow['body']> = {
  readonly [Field in Fields[number] as Field[0]]: FieldValue<Field[1]>;
};
type Texts<Fields extends MessageRow['texts']> = { readonly [Field in Fields[number] as Field[0]]: string };

type Octets<Row> = Row extends { readonly octets: infer Fields extends NonNullable<MessageRow['octets']> }
  ? { readonly [Field in Fields[number] as Field[0]]: Buffer }
  : unknown;

export type HeartbeatMessageName = keyof typeof HEARTBEAT_MESSAGES;
/** A decoded heartbeat message: `name` tells which; fields as in the table, missing elements are empty. */
export type HeartbeatMessage = {
  readonly [Name in HeartbeatMessageName]: { readonly name: Name } & Body<
    (typeof HEARTBEAT_MESSAGES)[Name]['body']
  > &
    Texts<(typeof HEARTBEAT_MESSAGES)[Name]['texts']> &
    Octets<(typeof HEARTBEAT_MESSAGES)[Name]>;
}[HeartbeatMessageName];
/** One kind of heartbeat message. */
export type HeartbeatMessageOf<Name extends HeartbeatMessageName> = Extract<HeartbeatMessage, { name: Name }>;
