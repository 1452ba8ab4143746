/** What watchdog.status_port shows at one moment. */
import type { WatchdogStatus } from '../core/control/watchdog.js';
import type { EventLog } from '../core/status/event-log.js';
import { renderMetrics } from '../core/status/exposition.js';
import { WATCHDOG_METRICS } from '../core/status/watchdog-metrics.js';
import { watchdogPage } from '../core/status/watchdog-page.js';
import type { Picture } from '../io/status-server.js';

export function watchdogPicture(status: WatchdogStatus, events: EventLog): Picture {
  return {
    metrics: () => renderMetrics(WATCHDOG_METRICS, { status, counts: events.counts }),
    status: () => `${JSON.stringify(status)}\n`,
    page: () => watchdogPage(status, events.recent(status.now)),
  };
}
