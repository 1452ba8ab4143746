/** Faults of conmgr, the watchdog, and the hosts they run on. */
import type { FaultRow } from './row.js';

const QUERIES = ['queries answered in half a second', 5] as const;
const TOLD = 'sessions told of a loss';
const ENDED = 'sessions ended by a watchdog';

export const PROCESS_ROWS: readonly FaultRow[] = [
  {
    row: 16,
    fault: 'watchdog killed, and started again',
    expected:
      'the postmaster answers the probe: nothing is told, the attributes are stale until the link is back',
    proof: 'watchdog-gone',
    load: QUERIES,
    times: { 'stale after the kill': [undefined, '1s'], 'link back after the start': [undefined, 'CI+eps'] },
    never: [TOLD, ENDED],
    ci: true,
  },
  {
    row: 17,
    fault: 'watchdog gone for longer than restart_grace; then the server freezes',
    expected:
      'WARNING that nothing monitors the instance, which stays a stale candidate; sessions are kept; the freeze is found by probes',
    proof: 'watchdog-gone',
    load: QUERIES,
    times: { 'application told after the freeze': [undefined, 'T+I+eps'] },
    never: ['sessions told before the freeze', ENDED],
  },
  {
    row: 18,
    fault: 'conmgr killed for good',
    expected:
      'applications get 08006 at once; the watchdog waits for restart_grace, then ends the sessions of the host',
    proof: 'conmgr-gone',
    load: QUERIES,
    times: { 'application told': [undefined, '100ms'], 'sessions ended': ['G', 'G+1s'] },
    never: ['applications told with another code than 08006'],
    ci: true,
  },
  {
    row: 19,
    fault: 'conmgr killed, and started again within restart_grace',
    expected:
      'no SQL session is ended, its link is up again at once; connects wait in the listening socket that the service manager keeps',
    proof: 'conmgr-gone',
    load: QUERIES,
    times: { 'link up after the start': [undefined, '1s'] },
    never: [ENDED, 'SQL sessions that are gone', 'connects that were not answered'],
    ci: true,
  },
  {
    row: 20,
    fault: 'conmgr stopped (SIGSTOP) for T + I, then continued',
    expected:
      'the watchdog ends the sessions of the host, which looks dead; conmgr reads what it has before it judges anybody',
    proof: 'frozen-programs',
    load: QUERIES,
    times: {
      'sessions ended': ['T-I', 'T+eps'],
      'links up after the end of the fault': [undefined, 'CI+CT+eps'],
    },
    never: ['instances called lost after the end of the fault', 'sessions ended after the end of the fault'],
  },
  {
    row: 21,
    fault: 'watchdog stopped (SIGSTOP) for T + I, then continued',
    expected: 'conmgr tells the loss; the watchdog, continued, ends nothing: it reads what it has first',
    proof: 'frozen-programs',
    load: QUERIES,
    times: { 'application told': ['T-I', 'T+eps'] },
    never: [ENDED],
    ci: true,
  },
  {
    row: 24,
    fault: 'database host frozen for T + 5 s, then continued',
    expected: 'the loss is told; continued, the watchdog ends no session of a living host',
    proof: 'frozen-hosts',
    load: QUERIES,
    times: { 'application told': ['T-I', 'T+eps'] },
    never: [ENDED, 'sessions of the standby told'],
    ci: true,
  },
  {
    row: 25,
    fault: 'application host frozen for T + 5 s, then continued',
    expected: 'its sessions are ended, those of others are not; its applications get errors when it goes on',
    proof: 'frozen-hosts',
    load: QUERIES,
    times: {
      'sessions ended': ['T-I', 'T+eps+1s'],
      'application told after the end of the fault': [undefined, '1s'],
    },
    never: ['sessions of other hosts ended'],
  },
  {
    row: 44,
    fault: 'two application hosts behind one translated address (NAT), one of them dies',
    expected: 'no session is ended while the link of the other one lives; WARNING once',
    proof: 'shared-address',
    load: QUERIES,
    amounts: { 'WARNINGs about sessions that are left alone': { atMost: 1, unit: '' } },
    never: [ENDED, 'sessions of the living host that are gone'],
    ci: true,
  },
  {
    row: 46,
    fault: 'one of two conmgrs of a host stopped (SIGSTOP)',
    expected: 'no session is ended while the other one is there',
    proof: 'shared-address',
    load: QUERIES,
    amounts: { 'WARNINGs about sessions that are left alone': { atMost: 1, unit: '' } },
    never: [ENDED],
  },
  {
    row: 74,
    fault: 'watchdog restarted while an application host dies',
    expected: 'the sessions of a conmgr that was known before and does not return are ended',
    proof: 'watchdog-gone',
    load: QUERIES,
    times: { 'sessions ended after the start of the watchdog': ['T-I', 'T+1s+eps'] },
    never: ['sessions of other hosts ended'],
  },
];
