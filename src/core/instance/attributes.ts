/**
 * What an instance is, from everything that is known about it at one moment.
 *
 * A table of rules, the first that fits is taken. Nothing here remembers: what must be remembered (that this
 * postmaster has been up, the last row) is among the facts.
 */
import {
  attributeBits,
  attributesDiffer,
  type InstanceAttributes,
  type InstanceState,
} from '../protocol/attributes.js';
import type { CheckRow } from './check-row.js';
import type { PostmasterStatus } from './postmaster-files.js';

/** What postmaster.pid and the process table say. */
export type PostmasterFact =
  /** No postmaster.pid. */
  | { readonly kind: 'none' }
  /** postmaster.pid names a process that is gone. */
  | { readonly kind: 'gone'; readonly pid: number }
  | { readonly kind: 'singleUser' }
  | { readonly kind: 'running'; readonly pid: number; readonly status: PostmasterStatus | undefined };

/** How the kept SQL connection fares. */
export type SqlFact =
  /** Connected, and the last check worked. */
  | { readonly kind: 'connected' }
  /** Not connected and not tried since. `byServer`: the server ended it for a shutdown. */
  | { readonly kind: 'ended'; readonly byServer: boolean }
  /** PostgreSQL answered with an error. */
  | { readonly kind: 'refused'; readonly sqlState: string; readonly text: string }
  /** Nobody answered, or not in time. `lasting`: for longer than a restart of the backends takes. */
  | { readonly kind: 'unreachable'; readonly text: string; readonly lasting: boolean };

export interface InstanceFacts {
  readonly postmaster: PostmasterFact;
  readonly sql: SqlFact;
  /** The last row of this postmaster; undefined until it has been up. */
  readonly row: CheckRow | undefined;
  /** The postmaster has answered a probe within watchdog.probe_timeout. */
  readonly answers: boolean;
}

/** SQLSTATEs that mean something of their own. */
export const SQLSTATES = {
  tooManyConnections: '53300',
  cannotConnectNow: '57P03',
  adminShutdown: '57P01',
} as const;

interface Rule {
  readonly why: string;
  readonly when: (facts: InstanceFacts) => boolean;
  readonly state: InstanceState;
  /** Whether role and read-only are told; else they are not known. */
  readonly role: boolean;
  readonly bits: (facts: InstanceFacts) => number;
  readonly text: (facts: InstanceFacts) => string;
}

const NO_BITS = (): number => 0;
const ACCEPTING = (): number => attributeBits('accepting');
const RECOVERING = (): number => attributeBits('recovering');

const status = ({ postmaster }: InstanceFacts): PostmasterStatus | undefined =>
  postmaster.kind === 'running' ? postmaster.status : undefined;
const refusedWith = (facts: InstanceFacts, sqlState: string): boolean =>
  facts.sql.kind === 'refused' && facts.sql.sqlState === sqlState;
const refusal = ({ sql }: InstanceFacts): string =>
  sql.kind === 'refused'
    ? `${sql.text} (SQLSTATE ${sql.sqlState})`
    : sql.kind === 'unreachable'
      ? sql.text
      : '';

export const INSTANCE_RULES: readonly Rule[] = [
  {
    why: 'A shutting down instance takes no new connection; in a smart shutdown those it has go on.',
    when: (facts) => facts.sql.kind === 'connected' && status(facts) === 'stopping',
    state: 'up',
    role: true,
    bits: NO_BITS,
    text: () => 'the database system is shutting down',
  },
  {
    why: 'A stopped postmaster leaves its backends running but takes no new connection.',
    when: (facts) => facts.sql.kind === 'connected' && !facts.answers,
    state: 'up',
    role: true,
    bits: NO_BITS,
    text: () => 'the postmaster does not answer',
  },
  {
    why: 'The instance answers queries and takes connections.',
    when: (facts) => facts.sql.kind === 'connected',
    state: 'up',
    role: true,
    bits: ({ row }) => attributeBits('accepting', ...(row?.full === true ? (['full'] as const) : [])),
    text: ({ row }) => (row?.full === true ? 'all connection slots are taken' : ''),
  },
  {
    why: 'Nobody can connect to an instance in single-user mode.',
    when: ({ postmaster }) => postmaster.kind === 'singleUser',
    state: 'down',
    role: false,
    bits: NO_BITS,
    text: () => 'the instance runs in single-user mode',
  },
  {
    why: 'Without postmaster.pid there is no postmaster.',
    when: ({ postmaster }) => postmaster.kind === 'none',
    state: 'down',
    role: false,
    bits: NO_BITS,
    text: () => 'the instance is not running',
  },
  {
    why: 'The process named in postmaster.pid is gone: it was killed.',
    when: ({ postmaster }) => postmaster.kind === 'gone',
    state: 'down',
    role: false,
    bits: NO_BITS,
    text: ({ postmaster }) =>
      `the postmaster${postmaster.kind === 'gone' ? ` (PID ${postmaster.pid})` : ''} is gone`,
  },
  {
    why: 'A full instance is not a dead one.',
    when: (facts) => refusedWith(facts, SQLSTATES.tooManyConnections),
    state: 'up',
    role: true,
    bits: () => attributeBits('accepting', 'full'),
    text: () => 'all connection slots are taken',
  },
  {
    why: 'A fast shutdown has ended all sessions, ours among them.',
    when: (facts) => status(facts) === 'stopping' && facts.sql.kind === 'ended' && facts.sql.byServer,
    state: 'down',
    role: false,
    bits: NO_BITS,
    text: () => 'the database system is shutting down',
  },
  {
    why: 'A shutting down instance takes no new connection.',
    when: (facts) => status(facts) === 'stopping',
    state: 'up',
    role: true,
    bits: NO_BITS,
    text: () => 'the database system is shutting down',
  },
  {
    why: 'A postmaster that was up and takes no connection restarts its backends after the crash of one.',
    when: (facts) => facts.row !== undefined && refusedWith(facts, SQLSTATES.cannotConnectNow),
    state: 'recovering',
    role: true,
    bits: RECOVERING,
    text: (facts) => (facts.sql.kind === 'refused' ? facts.sql.text : ''),
  },
  {
    why: 'While backends restart after the crash of one, a connection may be cut off instead of being refused.',
    when: ({ sql, row }) => sql.kind === 'unreachable' && !sql.lasting && row !== undefined,
    state: 'recovering',
    role: true,
    bits: RECOVERING,
    text: refusal,
  },
  {
    why: 'A postmaster that has never been up and takes no connection is starting.',
    when: (facts) => refusedWith(facts, SQLSTATES.cannotConnectNow),
    state: 'starting',
    role: false,
    bits: NO_BITS,
    text: (facts) => (facts.sql.kind === 'refused' ? facts.sql.text : ''),
  },
  {
    why: 'An instance that the watchdog may not enter is not known, and not down.',
    when: (facts) => facts.sql.kind === 'refused',
    state: 'unknown',
    role: false,
    bits: NO_BITS,
    text: refusal,
  },
  {
    why: 'A postmaster that was up and says that it is starting restarts its backends after the crash of one.',
    when: (facts) => facts.row !== undefined && (status(facts) === 'starting' || status(facts) === 'standby'),
    state: 'recovering',
    role: true,
    bits: RECOVERING,
    text: () => 'the database system is in recovery mode',
  },
  {
    why: 'The postmaster says itself that it is starting.',
    when: (facts) => status(facts) === 'starting' || status(facts) === 'standby',
    state: 'starting',
    role: false,
    bits: NO_BITS,
    text: (facts) =>
      status(facts) === 'standby'
        ? 'the standby does not accept connections'
        : 'the database system is starting up',
  },
  {
    why: 'A connection that just ended is made anew before anything is said.',
    when: (facts) => facts.sql.kind === 'ended' && facts.row !== undefined,
    state: 'up',
    role: true,
    bits: ACCEPTING,
    text: () => '',
  },
  {
    why: 'A postmaster is there, and nothing else is known.',
    when: () => true,
    state: 'unknown',
    role: false,
    bits: NO_BITS,
    text: refusal,
  },
];

/** The attributes that follow from the facts; `version` grows by one with every change but positions. */
export function deriveAttributes(facts: InstanceFacts, before: InstanceAttributes): InstanceAttributes {
  const rule = INSTANCE_RULES.find((candidate) => candidate.when(facts));
  if (rule === undefined) throw new Error('no rule for the state of an instance');
  const { row } = facts;
  const next: InstanceAttributes = {
    version: before.version,
    state: rule.state,
    bits: rule.bits(facts) | (rule.role ? roleBits(row) : 0),
    timeline: row?.timeline ?? before.timeline,
    position: row?.position ?? before.position,
    receivedPosition: row?.receivedPosition ?? before.receivedPosition,
    serverVersionNum: row?.serverVersionNum ?? before.serverVersionNum,
    systemIdentifier: row?.systemIdentifier ?? before.systemIdentifier,
    leaseEpoch: before.leaseEpoch,
    text: rule.text(facts),
  };
  return attributesDiffer(before, next) ? { ...next, version: (before.version + 1) >>> 0 } : next;
}

function roleBits(row: CheckRow | undefined): number {
  if (row === undefined) return 0;
  const role = row.inRecovery ? attributeBits('standby', 'readOnlyByRecovery') : attributeBits('primary');
  return role | (row.readOnlyByDefault ? attributeBits('readOnlyByDefault') : 0);
}
