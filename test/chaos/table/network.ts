/** Faults of the path between an application host and a database host. */
import type { FaultRow } from './row.js';

const QUERIES = ['queries answered in half a second', 5] as const;
const TOLD = 'sessions told of a loss';
const ENDED = 'sessions ended by a watchdog';

export const NETWORK_ROWS: readonly FaultRow[] = [
  {
    row: 1,
    fault: 'path cut both ways, packets disappear',
    expected: 'the application is told, the watchdog ends the sessions of the host, the link is tried again',
    proof: 'cut',
    load: QUERIES,
    times: {
      'application told': ['T-I', 'T+eps'],
      'first session ended': ['T-I', 'T+eps'],
      'last session ended': ['T-I', 'T+eps+1s'],
      'link up after the end of the fault': [undefined, 'CT+CI+eps'],
    },
    never: ['sessions of other hosts ended', 'applications at the other server told'],
    ci: true,
  },
  {
    row: 2,
    fault: 'packets from conmgr to the watchdog disappear',
    expected:
      'both ends act: the watchdog for the silence, conmgr as it hears of it or for the silence that follows',
    proof: 'one-way',
    load: QUERIES,
    times: { 'last session ended': ['T-I', 'T+eps+1s'], 'application told': [undefined, 'T+I+eps'] },
    never: ['applications at the other server told'],
  },
  {
    row: 3,
    fault: 'packets from the watchdog to conmgr disappear',
    expected:
      'conmgr acts and closes its end of the link; that reaches the watchdog, which ends the sessions after restart_grace',
    proof: 'one-way',
    load: QUERIES,
    times: { 'application told': ['T-I', 'T+eps'], 'last session ended': [undefined, 'T+G+eps+1s'] },
    never: ['applications at the other server told'],
    ci: true,
  },
  {
    row: 4,
    fault: 'path cut for less than T - I and healed, at any moment between two beats',
    expected: 'nothing is told, nobody is ended, queries go on',
    proof: 'short-cuts',
    load: QUERIES,
    never: [TOLD, ENDED],
    ci: true,
  },
  {
    row: 5,
    fault: 'path cut and healed every T/2 for a minute',
    expected: 'nothing is told, nobody is ended; each new link is logged once at most',
    proof: 'short-cuts',
    load: QUERIES,
    amounts: { 'messages of a kind in a second': { atMost: 2, unit: '' } },
    never: [TOLD, ENDED],
  },
  {
    row: 6,
    fault: '10 % of the packets lost each way, for 5 minutes on 8 links',
    expected: 'nothing is told, nobody is ended',
    proof: 'packet-loss',
    long: true,
    load: QUERIES,
    never: ['instances called lost', TOLD, ENDED],
  },
  {
    row: 7,
    fault: '30 % of the packets lost each way, I = 10 s and T = 20 s, for 9 minutes on 12 links',
    expected:
      'one false loss in an hour of links at the most, with Linux 6.15 or later (decision 39); all links are back without anybody’s help',
    proof: 'heavy-loss',
    long: true,
    load: QUERIES,
    amounts: { 'instances called lost, in an hour of links': { atMost: 1, unit: '' } },
    never: [],
  },
  {
    row: 8,
    fault: 'the network refuses: every packet is answered with a reset, or with an ICMP error',
    expected:
      'by a reset the link is closed, the postmaster is probed in vain: told; sessions are ended after restart_grace. ICMP errors end no connection that is established (RFC 1122, 4.2.3.9): as row 1',
    proof: 'refusing',
    load: QUERIES,
    times: {
      'application told, resets': [undefined, 'I+200ms'],
      'sessions ended, resets': ['G', 'G+I+1s'],
      'application told, ICMP': ['T-I', 'T+eps'],
      'sessions ended, ICMP': ['T-I', 'T+eps+1s'],
    },
    never: ['sessions ended before restart_grace'],
    ci: true,
  },
  {
    row: 9,
    fault: 'everything is delayed by 3 I, from the first packet on',
    expected: 'no event: beats keep their spacing',
    proof: 'delay',
    load: QUERIES,
    never: [TOLD, ENDED],
  },
  {
    row: 10,
    fault: 'delay jumps beyond T, then goes away',
    expected: 'the instance is lost for the time of it, and back afterwards',
    proof: 'delay',
    load: QUERIES,
    times: {
      'application told': ['T-I', 'T+eps'],
      'link up after the end of the fault': [undefined, 'CI+CT+eps'],
    },
    never: ['applications at the other server told'],
  },
  {
    row: 11,
    fault: 'interface down, on the application host or on the database host',
    expected: 'as row 1; applications are told over loopback although their host has no network',
    proof: 'cut',
    load: QUERIES,
    times: {
      'application told, application host off': ['T-I', 'T+eps'],
      'sessions ended, application host off': ['T-I', 'T+eps+1s'],
      'application told, database host off': ['T-I', 'T+eps'],
      'sessions ended, database host off': ['T-I', 'T+eps+1s'],
    },
    never: ['conmgr or watchdog ended'],
  },
];
