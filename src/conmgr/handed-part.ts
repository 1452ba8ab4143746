/** What one connection gives to a successor, and what it is made of by one. */
import type { HeldBytes } from '../core/handover/document.js';

/** The server's end of a connection that is forwarded. */
export interface HandedServer {
  /** Descriptor of its socket, which stays the socket's. */
  readonly fd: number;
  /** Forwarded, without what is held. */
  readonly fromApplication: number;
  readonly fromServer: number;
}

/** Socket and bytes of one connection. */
export interface HandedPart extends HeldBytes {
  /** Descriptor of the application's socket, which stays the socket's. */
  readonly fd: number;
  /** Undefined unless it is forwarded. */
  readonly server: HandedServer | undefined;
  /** The core has it as a session; otherwise it is to begin anew with what it has said. */
  readonly isSession: boolean;
  /** Encryption that was asked for and refused. */
  readonly declined: readonly string[];
}
