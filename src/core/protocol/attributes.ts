/** What a watchdog tells about its instance, in the words and bits that both protocols share. */

/** State of an instance; the index is its number on the wire. */
export const INSTANCE_STATES = ['unknown', 'starting', 'up', 'down', 'recovering'] as const;
export type InstanceState = (typeof INSTANCE_STATES)[number];

/** Attribute bits (u16 on the wire). Unassigned bits are sent as 0 and ignored. */
export const ATTRIBUTE_BITS = {
  /** The postmaster takes new connections. */
  accepting: 0x0001,
  primary: 0x0002,
  standby: 0x0004,
  /** Read-only because it is in recovery. */
  readOnlyByRecovery: 0x0008,
  /** Read-only because default_transaction_read_only is on. */
  readOnlyByDefault: 0x0010,
  /** Last known, not monitored now. Set by conmgr, never by a watchdog. */
  stale: 0x0020,
  /** Crash recovery under way. */
  recovering: 0x0040,
  /** Not to be offered: an older primary beside a newer one. Set by conmgr, never by a watchdog. */
  conflict: 0x0080,
  /** All slots for ordinary clients are taken (SQLSTATE 53300): alive, still offered. */
  full: 0x0100,
} as const;
export type AttributeName = keyof typeof ATTRIBUTE_BITS;

/** The full state of one instance as its watchdog last told it. */
export interface InstanceAttributes {
  /** Grows by one with every change; restarts at 1 with the watchdog. */
  readonly version: number;
  readonly state: InstanceState;
  readonly bits: number;
  /** 0 = unknown. */
  readonly timeline: number;
  /** Primary: current WAL write position; standby: replay position. 0 = unknown. */
  readonly position: bigint;
  /** Standby: last position received from upstream. 0 = unknown or not a standby. */
  readonly receivedPosition: bigint;
  readonly serverVersionNum: number;
  /** pg_control_system().system_identifier; 0 = not known yet. */
  readonly systemIdentifier: bigint;
  /** Epoch of the promotion lease; 0 = none. */
  readonly leaseEpoch: bigint;
  /** Why the instance is not `up` or not accepting, in words; may be empty. */
  readonly text: string;
}

/** Bits that conmgr adds to what a watchdog told. */
export const CONMGR_BITS = ATTRIBUTE_BITS.stale | ATTRIBUTE_BITS.conflict;

/** Whether a bit is set. */
export function hasAttribute(bits: number, name: AttributeName): boolean {
  return (bits & ATTRIBUTE_BITS[name]) !== 0;
}

/** The bits for a list of names. */
export function attributeBits(...names: readonly AttributeName[]): number {
  return names.reduce((bits, name) => bits | ATTRIBUTE_BITS[name], 0);
}

/** The names of the bits that are set, in the order of the table. */
export function attributeNames(bits: number): readonly AttributeName[] {
  return (Object.keys(ATTRIBUTE_BITS) as AttributeName[]).filter((name) => hasAttribute(bits, name));
}

/** What is known before a watchdog has told anything. */
export const UNKNOWN_ATTRIBUTES: InstanceAttributes = {
  version: 0,
  state: 'unknown',
  bits: 0,
  timeline: 0,
  position: 0n,
  receivedPosition: 0n,
  serverVersionNum: 0,
  systemIdentifier: 0n,
  leaseEpoch: 0n,
  text: '',
};

/** Whether two tellings differ in anything but position and version (what counts as a change to be told at once). */
export function attributesDiffer(a: InstanceAttributes, b: InstanceAttributes): boolean {
  return (
    a.state !== b.state ||
    a.bits !== b.bits ||
    a.timeline !== b.timeline ||
    a.serverVersionNum !== b.serverVersionNum ||
    a.systemIdentifier !== b.systemIdentifier ||
    a.leaseEpoch !== b.leaseEpoch ||
    a.text !== b.text
  );
}
