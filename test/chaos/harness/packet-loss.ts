/** One conmgr with several links to a host whose packets are lost by chance. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Application } from './application.js';
import { type Scene, SERVER_PORT, WATCHDOG_PORT } from './scene.js';
import type { Trial } from './trial.js';

const MINUTE_MS = 60_000;
export const MINUTES = 5;
/** Links of the one conmgr, to as many addresses of the database host. */
export const LINKS = 12;

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
  timing: Readonly<Record<string, string>>,
): Promise<{ readonly scene: Scene; readonly app: Application; readonly lost: number }> {
  const addresses = Array.from({ length: LINKS }, (_, number) => `10.92.0.${100 + number}`);
  const scene = await trial.scene({
    withConmgr: false,
    conmgr: timing,
    listen: () => '0.0.0.0',
    lines: () => addresses.map((host) => ({ host, backendPort: SERVER_PORT, watchdogPort: WATCHDOG_PORT })),
  });
  for (const address of addresses)
    scene.primary.host.run('ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  const conmgr = await scene.startConmgr();
  const app = await scene.app({ target: 'any' });
  trial.load(await app.load());
  const heal = scene.primary.host.treat(['in', 'out'], losing(percent));
  await delay(MINUTES * MINUTE_MS);
  heal();
  const lost = conmgr.linesLike(/ is lost: /).length;
  await conmgr.until(
    'all links are back',
    ({ instances }) => instances.every(({ link }) => link.phase === 'up'),
    60_000,
  );
  return { scene, app, lost };
}
