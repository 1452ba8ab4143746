/** The one table of the fault suite, from which tests, closing table and docs/fault-suite.md take what they say. */

import { NETWORK_ROWS } from './network.js';
import type { FaultRow } from './row.js';

export const FAULT_ROWS: readonly FaultRow[] = [...NETWORK_ROWS].sort((one, other) => one.row - other.row);

/** Every number from 1 to this is a row, but those of promotion by consensus. */
export const LAST_ROW = 75;
