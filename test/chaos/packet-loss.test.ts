/** Paths that lose one packet of ten: row 6. */
import { it } from 'node:test';
import { losePackets } from './harness/packet-loss.js';
import { row } from './harness/trial.js';

it(
  ...row(6, async (trial) => {
    const { scene, app, lost } = await losePackets(trial, { percent: 10, minutes: 5, links: 8 });
    await app.load();
    trial.never('instances called lost', lost);
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
