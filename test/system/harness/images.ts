/** What hosts are booted from. The runner makes it before the first test and names it in the environment. */

/** Names and versions of the releases of Debian that are tested. */
export const SUITES = ['bookworm', 'trixie'] as const;
export type SuiteName = (typeof SUITES)[number];

/** A root file system: layers, the uppermost first. Hosts write into a layer of their own. */
export type Image = readonly string[];

/** A release of Debian as the tests see it. */
export interface Suite {
  readonly name: SuiteName;
  /** The major version of PostgreSQL that the release has. */
  readonly postgres: number;
  /** Debian with PostgreSQL, Node.js and rsyslog, without anything of conmgr. No cluster starts at boot. */
  readonly stock: Image;
  /** The same with both packages installed. */
  readonly installed: Image;
}

/** The variable that carries the suites from the runner to the tests, as JSON. */
export const SUITES_VARIABLE = 'SYSTEM_TEST_SUITES';

/** The suites of this run, to be tested one after the other. */
export function suites(): readonly Suite[] {
  const value = process.env[SUITES_VARIABLE];
  if (value === undefined) throw new Error('system tests are run by "make test-system"');
  return JSON.parse(value) as Suite[];
}
