/** A host that falls silent below a session, and both ends that act for it. */
import { type Application, nowMs } from './application.js';
import type { Backends } from './backends.js';
import type { Lateness } from './lateness.js';
import type { Scene } from './scene.js';
import type { Trial } from './trial.js';

/** Nothing of it may take longer. */
const SILENCE_PATIENCE_MS = 60_000;

/** Names of what is measured; one that is left out is not. */
export interface SilenceFigures {
  readonly told: string;
  readonly firstEnded?: string;
  readonly ended: string;
}

/**
 * Causes the fault and measures, from there on, when the application is told of its losses, and when its sessions have been
 * ended. Yields what the fault yields.
 */
export async function measureSilence<Healing>(
  trial: Trial,
  { scene, app, backends }: { scene: Scene; app: Application; backends: Backends },
  fault: () => Healing,
  names: SilenceFigures,
): Promise<Healing> {
  const lateness: Lateness = scene.lateness(app);
  const cutMs = nowMs();
  const healing = fault();
  for (const { atMs } of await app.losses(0, SILENCE_PATIENCE_MS)) {
    trial.took(names.told, atMs - cutMs, lateness);
  }
  const { firstMs, allMs } = await backends.ended(SILENCE_PATIENCE_MS);
  if (names.firstEnded !== undefined) trial.took(names.firstEnded, firstMs - cutMs, lateness);
  trial.took(names.ended, allMs - cutMs, lateness);
  return healing;
}
