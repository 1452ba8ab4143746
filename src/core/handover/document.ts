/**
 * What a conmgr that restarts tells its successor beside the sockets themselves: docs/decisions/0035-hand-over.md.
 * The names here are those of the document.
 */
import type { Buffer } from 'node:buffer';
import type { TargetSessionAttrs } from '../cluster/target-session.js';
import type { Attachment, Session } from '../conmgr/sessions.js';

export const DOCUMENT_MAGIC = 'CMHANDOV';
/** Grows when a member changes its meaning; a member that is merely added does not need it. */
export const DOCUMENT_VERSION = 1;
/** Magic, version, length of the text. */
export const DOCUMENT_HEAD_BYTES: number = DOCUMENT_MAGIC.length + 4 + 4;

/** What is more than this was not written by a conmgr. */
export const DOCUMENT_LIMITS = {
  textBytes: 64 * 1024 * 1024,
  /** Held for one direction of one session. */
  heldBytes: 1024 * 1024,
  /** All of it. */
  bytes: 1024 * 1024 * 1024,
  instances: 1024,
  /** Sessions, and as many connections. */
  sessions: 100_000,
  sockets: 200_000,
  text: 1024,
  /** prefer, exclude, declined. */
  list: 64,
} as const;

/** An instance of the configuration and what was known of it. */
export interface HandedInstance {
  readonly number: number;
  readonly host: string;
  readonly backendPort: number;
  readonly watchdogPort: number;
  /** Of the link; '' = not known. */
  readonly address: string;
  readonly graceMs: number;
  /** ATTR as last told, a whole frame of the heartbeat protocol; empty for one that was not offered. */
  readonly attributes: Buffer;
}

/** Bytes that are in no socket. */
export interface HeldBytes {
  /** Read from the application and not yet taken, or not yet sent on to the server. */
  readonly inbound: Buffer;
  /** Not yet sent to the application. */
  readonly outbound: Buffer;
}

/** A session, as in the session table, and its sockets by their numbers in the bundle. */
export interface HandedSession extends HeldBytes {
  readonly app: number;
  /** Undefined: it connects by itself. */
  readonly server: number | undefined;
  readonly id: number;
  readonly mode: Attachment;
  readonly phase: Session['phase'];
  readonly target: TargetSessionAttrs;
  readonly prefer: readonly number[];
  readonly exclude: readonly number[];
  readonly ping: boolean;
  /** application_name; '' = not told. */
  readonly name: string;
  readonly instance: number | undefined;
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  readonly ageMs: number;
  /** Port of conmgr that it came to. */
  readonly listener: number;
  readonly fromApplication: number;
  readonly fromServer: number;
  /** Where its CancelRequests go; undefined: it connects by itself. */
  readonly place: { readonly host: string; readonly port: number } | undefined;
  /** Body of BackendKeyData; empty = not known. */
  readonly key: Buffer;
}

/** A connection that is no session yet; what it has said is read anew. */
export interface HandedConnection extends HeldBytes {
  readonly app: number;
  readonly listener: number;
  /** Encryption that was asked for and refused: `ssl-request`, `gssenc-request`. */
  readonly declined: readonly string[];
}

export interface HandOverDocument {
  /** Name and version of the predecessor. */
  readonly software: string;
  /** 32 hex digits. */
  readonly conmgrId: string;
  /** Number of the picture that the applications were told last. */
  readonly view: number;
  /** How many lie in the bundle. */
  readonly sockets: number;
  readonly instances: readonly HandedInstance[];
  readonly sessions: readonly HandedSession[];
  readonly connections: readonly HandedConnection[];
}
