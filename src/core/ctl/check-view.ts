/** `cm_ctl check`: what became of one try of each instance, as people read it. */
import { formatRoundTrip } from './amounts.js';
import { renderTable, type TableLayout, type TableRow } from './table.js';

/** One try. */
export interface TrialView {
  readonly number: number;
  readonly host: string;
  readonly port: number;
  readonly watchdogPort: number;
  /** '' when the postmaster answered. */
  readonly postmasterFailure: string;
  readonly watchdog:
    | {
        readonly software: string;
        readonly rttMs: number;
        readonly state: string;
        readonly role: 'primary' | 'standby' | 'unknown';
      }
    | { readonly failure: string };
}

/** Whether conmgr could use the instance now. A starting one counts: its watchdog will tell. */
export function isUsable({ watchdog, postmasterFailure }: TrialView): boolean {
  return !('failure' in watchdog) && postmasterFailure === '';
}

/** The lines of the table, without line ends. */
export function renderTrials(trials: readonly TrialView[], layout: TableLayout): string[] {
  const columns = [
    { title: '#', align: 'right' as const },
    { title: 'host', shrinkTo: 9 },
    { title: 'port', align: 'right' as const },
    { title: 'postmaster' },
    { title: 'watchdog', align: 'right' as const },
    { title: 'link' },
    { title: 'state' },
    { title: 'role' },
    { title: 'rtt', align: 'right' as const },
    { title: 'version' },
  ];
  const rows = trials.map((trial): TableRow => {
    const { watchdog, postmasterFailure } = trial;
    const linked = 'failure' in watchdog ? undefined : watchdog;
    return {
      cells: [
        String(trial.number),
        trial.host,
        String(trial.port),
        postmasterFailure === '' ? { text: 'answers', style: 'good' } : { text: 'silent', style: 'bad' },
        String(trial.watchdogPort),
        linked === undefined ? { text: 'failed', style: 'bad' } : { text: 'welcome', style: 'good' },
        linked?.state ?? '-',
        linked === undefined || linked.role === 'unknown' ? '-' : linked.role,
        linked === undefined ? '-' : formatRoundTrip(linked.rttMs),
        linked === undefined ? '-' : versionOf(linked.software),
      ],
      remark: { text: failuresOf(trial), style: 'bad' },
    };
  });
  return renderTable(columns, rows, 'reason', layout);
}

/** Why either is not there; a reason that both have is said once. */
function failuresOf({ watchdog, postmasterFailure }: TrialView): string {
  const watchdogFailure = 'failure' in watchdog ? watchdog.failure : '';
  if (watchdogFailure === postmasterFailure) return watchdogFailure;
  return [
    ...(watchdogFailure === '' ? [] : [`watchdog: ${watchdogFailure}`]),
    ...(postmasterFailure === '' ? [] : [`postmaster: ${postmasterFailure}`]),
  ].join('; ');
}

/** The version of `conmgr-watchdog 1.2.3`. */
function versionOf(software: string): string {
  return software.slice(software.lastIndexOf(' ') + 1);
}
