/** Rows that the metrics of both programs have. */
import type { CertificateStatus } from '../control/protocol.js';
import type { EventCounts } from './event-log.js';
import type { MetricRow } from './exposition.js';

/** When the certificates expire that protect the links. */
export function certificateRow<Source>(
  prefix: string,
  certificates: (source: Source) => readonly CertificateStatus[] | undefined,
): MetricRow<Source> {
  return {
    name: `${prefix}_certificate_expiry_time_seconds`,
    type: 'gauge',
    help: 'When a certificate of the heartbeat links expires, in seconds since 1970-01-01 UTC, by the parameter that names its file.',
    labels: ['parameter'],
    of: (source) =>
      (certificates(source) ?? []).map(({ parameter, validTo }) => [[parameter], validTo / 1000]),
  };
}

/** How often what happened, from the messages that the program writes. */
export function eventRows<Source>(
  prefix: string,
  counts: (source: Source) => EventCounts,
): readonly MetricRow<Source>[] {
  return [
    {
      name: `${prefix}_events_total`,
      type: 'counter',
      help: 'Events by kind, as CM_EVENT= of the journal names them.',
      labels: ['event'],
      of: (source) => [...counts(source).events].map(([event, number]) => [[event], number]),
    },
    {
      name: `${prefix}_problems_total`,
      type: 'counter',
      help: 'Messages of level WARNING and above, but for LOG, whether they were written or not.',
      labels: ['level'],
      of: (source) => [...counts(source).levels].map(([level, number]) => [[level], number]),
    },
  ];
}
