/** Several conmgrs on a host that loses packets by chance. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ConmgrSettings } from '../../support/conmgr-process.js';
import type { Application } from './application.js';
import type { Scene } from './scene.js';
import type { Trial } from './trial.js';

const MINUTE_MS = 60_000;

/** Packets that are lost: so many of a hundred, each way. */
export interface PacketLoss {
  readonly percent: number;
  readonly minutes: number;
  /** As many conmgrs, one link each. */
  readonly links: number;
  /** In conmgr.conf, if not that of the suite. */
  readonly timing?: ConmgrSettings;
}

/** Packets are lost by chance: so many of a hundred, each way. */
const losing = (percent: number): string => `numgen random mod 100 < ${percent} drop`;

/** Loses packets for some minutes; returns when all links are up again, with the number of losses that were called. */
export async function losePackets(
  trial: Trial,
  { percent, minutes, links, timing = {} }: PacketLoss,
): Promise<{ readonly scene: Scene; readonly app: Application; readonly lost: number }> {
  const scene = await trial.scene({ conmgr: timing });
  for (let number = 1; number < links; number += 1) {
    await scene.startConmgr({ settings: { port: 27600 + number } });
  }
  const app = await scene.app({ target: 'any' });
  trial.load(await app.load());
  const { host } = scene.primary;
  // Where packets come in: what a host drops on their way out, its TCP hears of, which the loss of a network it does not.
  const heals = [
    host.treat(['in'], losing(percent)),
    scene.network.app1.treat(['in'], losing(percent), host),
  ];
  await delay(minutes * MINUTE_MS);
  for (const heal of heals) heal();
  const lost = scene.conmgrs.flatMap((conmgr) => conmgr.linesLike(/ is lost: /)).length;
  for (const conmgr of scene.conmgrs) {
    await conmgr.until('its link is up', ({ instances }) => instances[0]?.link.phase === 'up', MINUTE_MS);
  }
  return { scene, app, lost };
}
