/** What the health of an instance means for those who look at it. */
import type { HealthPhase } from './health.js';

/** What a phase means for offering the instance and for showing it. */
export const HEALTH_MEANING: Readonly<
  Record<
    HealthPhase,
    { readonly linked: boolean; readonly stale: boolean; readonly offered: boolean; readonly shown: string }
  >
> = {
  unseen: { linked: false, stale: true, offered: false, shown: 'not yet seen' },
  monitored: { linked: true, stale: false, offered: true, shown: 'monitored' },
  down: { linked: true, stale: false, offered: false, shown: 'down' },
  checking: { linked: false, stale: true, offered: true, shown: 'checking' },
  grace: { linked: false, stale: true, offered: true, shown: 'watchdog restarting' },
  unmonitored: { linked: false, stale: true, offered: true, shown: 'not monitored' },
  leaving: { linked: false, stale: true, offered: false, shown: 'shutting down' },
  lost: { linked: false, stale: true, offered: false, shown: 'lost' },
};
