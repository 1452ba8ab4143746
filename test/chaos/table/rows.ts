/** The one table of the fault suite, from which tests, closing table and docs/fault-suite.md take what they say. */

import { HAND_OVER_ROWS } from './handover.js';
import { INSTANCE_ROWS } from './instance.js';
import { MACHINE_ROWS } from './machine.js';
import { NETWORK_ROWS } from './network.js';
import { PEER_ROWS } from './peers.js';
import { PROCESS_ROWS } from './process.js';
import type { FaultRow } from './row.js';
import { SESSION_ROWS } from './sessions.js';

export const FAULT_ROWS: readonly FaultRow[] = [
  ...NETWORK_ROWS,
  ...INSTANCE_ROWS,
  ...MACHINE_ROWS,
  ...PEER_ROWS,
  ...SESSION_ROWS,
  ...HAND_OVER_ROWS,
  ...PROCESS_ROWS,
].sort((one, other) => one.row - other.row);
