/** Paths that lose one packet of three: row 7. */
import { it } from 'node:test';
import { losePackets } from './harness/packet-loss.js';
import { row } from './harness/trial.js';

it(
  ...row(7, async (trial) => {
    const [minutes, links] = [9, 12];
    const timing = { heartbeat_interval: '10s', heartbeat_timeout: '20s' };
    const { lost } = await losePackets(trial, { percent: 30, minutes, links, timing });
    trial.amount('instances called lost, in an hour of links', (lost * 60) / (links * minutes));
  }),
);
