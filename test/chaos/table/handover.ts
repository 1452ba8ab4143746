/** Restarts and ends of conmgr that are meant, and ends that the kernel brings. */
import type { FaultRow } from './row.js';

const QUERIES = ['queries answered in half a second', 5] as const;
const TOLD = 'sessions told of a loss';
const ENDED = 'sessions ended by a watchdog';

export const HAND_OVER_ROWS: readonly FaultRow[] = [
  {
    row: 61,
    fault: 'conmgr replaced while 1,000 applications are attached, 50 aware and 50 forwarded sessions query',
    expected: 'the SQL of all goes on: no error, no pause',
    proof: 'replaced',
    load: ['sessions', 1100],
    times: { 'longest query': [undefined, '1s'] },
    never: [TOLD, ENDED, 'forwarded sessions that ended', 'attachments that were closed'],
    ci: true,
  },
  {
    row: 62,
    fault: 'conmgr stopped for good, as before its package is removed',
    expected:
      'goodbye, stopping: applications are told; sessions are ended at once, with terminate_on = lost not at all',
    proof: 'stopped',
    load: QUERIES,
    times: { 'application told': [undefined, '5s'], 'sessions ended': [undefined, '5s'] },
    never: ['sessions ended with terminate_on = lost'],
  },
  {
    row: 64,
    fault: 'conmgr or the watchdog killed for want of memory (memory control group), and started again',
    expected: 'as rows 16 and 19',
    proof: 'out-of-memory',
    load: QUERIES,
    never: [TOLD, ENDED],
  },
  {
    row: 66,
    fault: 'database host shuts down: the watchdog is stopped, then the server',
    expected:
      'goodbye, host shutdown: not offered from now on; sessions are told when the postmaster goes. That units end in this order: make test-system ONLY=boot',
    proof: 'host-shutdown',
    load: QUERIES,
    times: {
      'not offered after the goodbye': [undefined, '1s'],
      'application told after the end of the postmaster': [undefined, '1s'],
    },
    never: ['sessions told while the server runs', ENDED],
  },
  {
    row: 67,
    fault:
      'another program takes the port of conmgr: while it is away after a crash, and after it was stopped',
    expected:
      'after a crash it cannot, since the service manager keeps the socket; after a stop it can, and an application that verifies the server goes nowhere',
    proof: 'conmgr-gone',
    load: QUERIES,
    never: [
      'ports that could be taken while conmgr was away after a crash',
      'sessions at the server of the squatter',
    ],
  },
];
