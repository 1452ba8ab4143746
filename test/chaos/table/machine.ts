/** Faults of the machine and of the services around: names, clocks, addresses, descriptors, disks, logs, processors. */
import type { FaultRow } from './row.js';

const QUERIES = ['queries answered in half a second', 5] as const;
const TOLD = 'sessions told of a loss';
const ENDED = 'sessions ended by a watchdog';
const SILENCE = 'longest silence of a link';

export const MACHINE_ROWS: readonly FaultRow[] = [
  {
    row: 26,
    fault: 'wall clock jumps by a day ahead and an hour back, of conmgr and of the server',
    expected: 'nothing but the stamps of the log: all timers are monotonic',
    proof: 'clock',
    load: QUERIES,
    never: [TOLD, ENDED, 'links that were down'],
    ci: true,
  },
  {
    row: 27,
    fault: 'the name of a server cannot be resolved: at the start, and later',
    expected:
      'at the start it is tried again and other instances are served; later the last good address is kept',
    proof: 'names',
    load: QUERIES,
    times: {
      'linked after the name is there': [undefined, 'CI+eps'],
      'linked again without the name': [undefined, 'CI+CT+eps'],
    },
    never: [TOLD, ENDED],
  },
  {
    row: 28,
    fault: 'name server that does not answer, for six names at once',
    expected: 'beats are on time: what resolves names stands in nobody’s way',
    proof: 'names',
    load: QUERIES,
    times: { [SILENCE]: [undefined, 'I+eps'] },
    never: [TOLD, ENDED],
    ci: true,
  },
  {
    row: 29,
    fault: 'name with three addresses, two of them dead',
    expected:
      'the third is reached; the loss is told only when all fail; the link stays with the address that answers',
    proof: 'names',
    times: { 'link up after the start': [undefined, '2*CT+CI+eps'] },
    never: ['links to other addresses'],
  },
  {
    row: 30,
    fault: 'name whose addresses are different servers, of one cluster or of two',
    expected: 'the server that is not the one of the sessions is refused, and said so; nothing is mixed up',
    proof: 'names',
    load: QUERIES,
    never: ['sessions led to the other server', 'other server taken for the instance'],
  },
  {
    row: 31,
    fault: 'path cut between hosts with IPv6 only, with link-local addresses, and with IPv4 mapped into IPv6',
    expected: 'as row 1: the addresses of link and sessions are recognised as the same',
    proof: 'ipv6',
    load: QUERIES,
    times: { 'application told': ['T-I', 'T+eps'], 'sessions ended': ['T-I', 'T+eps+1s'] },
    never: ['sessions left'],
  },
  {
    row: 32,
    fault: 'conmgr with 60 descriptors, asked by 200 applications',
    expected: 'the surplus is refused with 57P03 by its own limit; beats go on',
    proof: 'descriptors',
    load: QUERIES,
    times: { [SILENCE]: [undefined, 'I+eps'] },
    never: [TOLD, ENDED, 'applications neither served nor refused with 57P03'],
    ci: true,
  },
  {
    row: 33,
    fault: 'watchdog without descriptors left, and 200 connections to it',
    expected: 'new connections are refused or closed, the links that are up stay',
    proof: 'descriptors',
    load: QUERIES,
    times: { [SILENCE]: [undefined, 'I+eps'] },
    never: [TOLD, ENDED],
  },
  {
    row: 34,
    fault: 'disk full under the log file; standard error a pipe that nobody reads',
    expected: 'messages are dropped and counted, nothing waits',
    proof: 'log',
    load: ['messages while nothing can be written', 1000],
    times: { [SILENCE]: [undefined, 'I+eps'] },
    amounts: { 'growth of memory': { atMost: 40, unit: 'MB' } },
    never: [TOLD, ENDED, 'losses of messages that are not counted in the log'],
  },
  {
    row: 35,
    fault: 'socket of syslog missing, its reader stopped, and a new one',
    expected: 'said once on standard error, nothing waits; used again when it is there',
    proof: 'log',
    load: ['messages while nobody reads', 1000],
    times: { [SILENCE]: [undefined, 'I+eps'], 'used again': [undefined, '10s+eps'] },
    never: [TOLD, ENDED],
  },
  {
    row: 65,
    fault: 'all processors busy with other work, for ten minutes, ten conmgrs on the host',
    expected: 'no false time-out with T = 3 I',
    proof: 'starved',
    long: true,
    load: QUERIES,
    never: [TOLD, ENDED, 'instances called lost'],
  },
];
