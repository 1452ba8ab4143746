/** Several conmgrs on a host that loses packets by chance. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ConmgrSettings } from '../../support/conmgr-process.js';
import type { Application } from './application.js';
import type { Scene } from './scene.js';
import type { Trial } from './trial.js';

const MINUTE_MS = 60_000;
export const MINUTES = 5;
/** Of as many conmgrs, one each. */
export const LINKS = 8;

/** Packets are lost by chance: so many of a hundred, each way. */
const losing = (percent: number): string => `numgen random mod 100 < ${percent} drop`;

/**
 * Loses packets for `MINUTES`.
 * @param percent of all, each way
 * @param timing of conmgr.conf
 */
export async function losePackets(
  trial: Trial,
  percent: number,
  timing: ConmgrSettings,
): Promise<{ readonly scene: Scene; readonly app: Application; readonly lost: number }> {
  const scene = await trial.scene({ conmgr: timing });
  for (let number = 1; number < LINKS; number += 1) {
    await scene.startConmgr({ settings: { port: 27600 + number } });
  }
  const app = await scene.app({ target: 'any' });
  trial.load(await app.load());
  const heal = scene.primary.host.treat(['in', 'out'], losing(percent));
  await delay(MINUTES * MINUTE_MS);
  heal();
  const lost = scene.conmgrs.flatMap((conmgr) => conmgr.linesLike(/ is lost: /)).length;
  for (const conmgr of scene.conmgrs) {
    await conmgr.until('its link is up', ({ instances }) => instances[0]?.link.phase === 'up', MINUTE_MS);
  }
  return { scene, app, lost };
}
