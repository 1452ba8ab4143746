/** Paths that lose one packet of three: row 7. */
import { it } from 'node:test';
import { LINKS, losePackets, MINUTES } from './harness/packet-loss.js';
import { row } from './harness/trial.js';

it(
  ...row(7, async (trial) => {
    const { lost } = await losePackets(trial, 30, { heartbeat_interval: '10s', heartbeat_timeout: '20s' });
    trial.amount('instances called lost, in an hour of links', (lost * 60) / (LINKS * MINUTES));
  }),
);
