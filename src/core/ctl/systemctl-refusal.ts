/** Why systemctl did not do it, from what it says in English (its sources: src/systemctl, src/shared/bus-wait-for-jobs.c). */

export type Refusal =
  /** polkit does not let this user. */
  | 'denied'
  /** There is no manager, or no way to it. */
  | 'unreachable'
  /** There is no such unit, so not even the template. */
  | 'missing'
  | 'masked'
  /** Another job took the place of this one. */
  | 'cancelled'
  | 'dependency'
  | 'too often'
  /** The job was carried out and the service failed, or was not ready in time. */
  | 'failed'
  | 'other';

/** The first that fits. The words of a few releases: 239 says "Access denied" where 252 adds a reason. */
const SIGNS: readonly (readonly [Refusal, RegExp])[] = [
  ['denied', /access denied|interactive authentication required|permission denied|not authorized/i],
  ['unreachable', /failed to connect to (?:.* )?bus|transport endpoint|host is down|no medium found/i],
  ['masked', /is masked/i],
  ['missing', /not found|not loaded|no such file or directory|invalid unit (?:name|type)/i],
  [
    'cancelled',
    /job for \S+ (?:was )?cancell?ed|transaction (?:is destructive|contains conflicting)|is queued/i,
  ],
  ['dependency', /dependency job|dependency failed/i],
  ['too often', /too often|start.limit|start request repeated/i],
  ['failed', /^job for /im],
];

export function refusalIn(text: string): Refusal {
  return SIGNS.find(([, sign]) => sign.test(text))?.[0] ?? 'other';
}

/** The first line, without what systemctl puts in front of each. */
export function reasonIn(text: string): string {
  const [line = ''] = text.split('\n');
  return line.replace(/^Failed to \S+ [^:]*: /, '').replace(/\.$/, '');
}
