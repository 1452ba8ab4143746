/** Peers that are many, slow, strange or hostile. */
import type { FaultRow } from './row.js';

const QUERIES = ['queries answered in half a second', 5] as const;
const TOLD = 'sessions told of a loss';
const ENDED = 'sessions ended by a watchdog';

export const PEER_ROWS: readonly FaultRow[] = [
  {
    row: 36,
    fault: 'garbage, HTTP, TLS hello, SSH banner on each port, 100,000 connections',
    expected: 'closed, with one message that is limited in rate; memory is flat',
    proof: 'strangers',
    load: QUERIES,
    times: { 'stranger closed': [undefined, '3s+eps'] },
    amounts: {
      'growth of memory of conmgr': { atMost: 60, unit: 'MB' },
      'growth of memory of the watchdog': { atMost: 60, unit: 'MB' },
    },
    never: [TOLD, ENDED, 'programs that ended'],
    ci: true,
  },
  {
    row: 37,
    fault: 'connections that say nothing, or one octet a second',
    expected: 'closed after 3 s; a real client is served meanwhile',
    proof: 'strangers',
    load: QUERIES,
    times: { 'half-open connection closed': [undefined, '3s+eps'], 'real client served': [undefined, '1s'] },
    never: [TOLD, ENDED],
  },
  {
    row: 38,
    fault: 'HELLO that claims 4 GB, TLV past its end, 10,000 TLVs, sequence numbers that wrap',
    expected: 'refused or closed, nothing is allocated for it',
    proof: 'strangers',
    load: QUERIES,
    times: { 'connection closed': [undefined, '3s+eps'] },
    amounts: { 'growth of memory of the watchdog': { atMost: 30, unit: 'MB' } },
    never: [TOLD, ENDED, 'programs that ended'],
  },
  {
    row: 39,
    fault: '10,000 applications attached, then a loss',
    expected: 'all are told',
    proof: 'many',
    load: ['applications attached', 10_000],
    times: { 'last application told after the first': [undefined, '500ms'] },
    amounts: { 'memory of conmgr': { atMost: 200, unit: 'MB' } },
    never: ['applications not told'],
  },
  {
    row: 40,
    fault: 'reconnect storm: 5,000 applications ask at once after a failover',
    expected: 'answered from memory, with the candidates in an order of each one’s own',
    proof: 'many',
    load: ['applications that ask', 5000],
    times: { 'answer, at 99 %': [undefined, '1s'] },
    never: ['applications without an answer', 'orders of candidates that all are the same'],
  },
  {
    row: 41,
    fault: 'max_connections of conmgr exceeded',
    expected: '57P03 and a LOG line; libpq goes on to the next host',
    proof: 'descriptors',
    load: ['applications attached', 10],
    times: { 'refusal told': [undefined, '50ms'] },
    never: ['refusals with another code than 57P03', 'psql that did not go on'],
    ci: true,
  },
  {
    row: 42,
    fault: 'watchdog.max_heartbeat_connections exceeded',
    expected: 'refused with a reason and a time to wait; conmgr keeps to it and says it once',
    proof: 'descriptors',
    load: QUERIES,
    amounts: { 'attempts a second': { atMost: 1, unit: '' }, 'messages of conmgr': { atMost: 1, unit: '' } },
    never: [TOLD, ENDED],
  },
  {
    row: 45,
    fault: 'peers that are not authenticated, have the wrong secret, or never beat, connect and vanish',
    expected: 'they end nothing',
    proof: 'strangers',
    load: ['sessions of the address', 5],
    never: [ENDED, 'sessions that are gone'],
    ci: true,
  },
  {
    row: 63,
    fault: 'applications that die with an open socket, and that never read',
    expected: 'their sockets are closed, their queue is bounded',
    proof: 'many',
    load: ['applications that never read', 200],
    amounts: { 'growth of memory': { atMost: 60, unit: 'MB' }, 'descriptors left': { atMost: 20, unit: '' } },
    never: [TOLD],
  },
];
