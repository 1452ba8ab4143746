/** Which manager runs a conmgr that does not run yet (docs/decisions/0021-cm_ctl-and-systemd.md). */

/** The host's service manager, that of the user, or cm_ctl itself. */
export const MANAGER_CHOICES = ['system', 'user', 'none'] as const;
export type ManagerKind = (typeof MANAGER_CHOICES)[number];

/** What the choice depends on. Each is asked only when those before it do not decide: asking takes time. */
export interface ChoiceFacts {
  /** -l: only a process of its own has a log file. */
  readonly logFileGiven: boolean;
  /** sd_booted(3). */
  readonly systemdRuns: boolean;
  readonly root: boolean;
  /** The directory lies below /var/lib/conmgr. */
  readonly belongsToSystem: boolean;
  /** The system's manager has a unit of the directory that is registered, or that it is at. */
  readonly heldBySystem: () => Promise<boolean>;
  /** The user's manager has one, if only one that has failed. For root: that of the owner of the directory. */
  readonly knownToUser: () => Promise<boolean>;
  /** The system's manager has one that has failed and is not registered: somebody has tried. */
  readonly failedInSystem: () => Promise<boolean>;
  /** The user has a manager with the template, and a unit can serve the directory. */
  readonly userCanServe: () => Promise<boolean>;
}

interface ChoiceRule {
  readonly when: (facts: ChoiceFacts) => boolean | Promise<boolean>;
  readonly choose: ManagerKind;
}

/** The first rule that holds decides; none: cm_ctl itself. */
const RULES: readonly ChoiceRule[] = [
  { when: ({ logFileGiven }) => logFileGiven, choose: 'none' },
  { when: ({ systemdRuns }) => !systemdRuns, choose: 'none' },
  { when: ({ belongsToSystem }) => belongsToSystem, choose: 'system' },
  { when: ({ heldBySystem }) => heldBySystem(), choose: 'system' },
  { when: ({ knownToUser }) => knownToUser(), choose: 'user' },
  { when: ({ root }) => root, choose: 'system' },
  { when: ({ failedInSystem }) => failedInSystem(), choose: 'system' },
  { when: ({ userCanServe }) => userCanServe(), choose: 'user' },
];

/** `wanted`: --manager, which comes before all rules. Rejects as the facts do. */
export async function chooseKind(wanted: ManagerKind | undefined, facts: ChoiceFacts): Promise<ManagerKind> {
  if (wanted !== undefined) return wanted;
  for (const { when, choose } of RULES) {
    if (await when(facts)) return choose;
  }
  return 'none';
}
