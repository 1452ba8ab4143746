/** What status_port shows of conmgr at one moment. */
import type { StatusReport } from '../core/control/protocol.js';
import { CONMGR_METRICS } from '../core/status/conmgr-metrics.js';
import { conmgrPage } from '../core/status/conmgr-page.js';
import type { EventLog } from '../core/status/event-log.js';
import { renderMetrics } from '../core/status/exposition.js';
import type { Picture } from '../io/status-server.js';

export function conmgrPicture(report: StatusReport, events: EventLog): Picture {
  return {
    metrics: () => renderMetrics(CONMGR_METRICS, { report, counts: events.counts }),
    status: () => `${JSON.stringify(report)}\n`,
    page: () => conmgrPage(report, events.recent(report.now)),
  };
}
