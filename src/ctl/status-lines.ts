/** The view of a status as the options and the terminal want it. */
import type { StatusReport } from '../core/control/protocol.js';
import type { ZoneOffset } from '../core/ctl/amounts.js';
import { type RunningUnit, renderStatus } from '../core/ctl/status-view.js';
import type { Call } from './call.js';

/** The time zone of this process. */
export const localZone: ZoneOffset = (at) => -new Date(at).getTimezoneOffset() * 60_000;

export function statusLines(
  { world, options }: Call,
  status: StatusReport,
  unit: RunningUnit | undefined,
): string[] {
  return renderStatus(status, { ...world.output.layout, show: options.show, zone: localZone, unit });
}
