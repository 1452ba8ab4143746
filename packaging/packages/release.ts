/**
 * What a package says of itself: version, revision, date, changes. The version stands in package.json, the changes in
 * CHANGELOG.md, and nowhere else.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Who the packages name as their maintainer. */
export const MAINTAINER = 'conmgr developers <developers@conmgr.invalid>';

/** The date of trees that know none: neither a commit nor a date in the changelog. */
const NO_DATE = Date.UTC(2026, 0, 1) / 1000;

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** A section of CHANGELOG.md: `## 1.2.3 (2027-01-31)` and its points. */
export interface Entry {
  readonly version: string;
  /** Seconds since 1970; undefined for one that is not released yet. */
  readonly date: number | undefined;
  readonly points: readonly string[];
}

/** What is packaged. */
export interface Release {
  readonly version: string;
  /** Counts packages of the same version, from 1. */
  readonly revision: string;
  /** SOURCE_DATE_EPOCH: seconds since 1970, the same for everybody who builds this commit. */
  readonly epoch: number;
  /** Newest first; the first one is this version's and is dated. */
  readonly entries: readonly Entry[];
}

/**
 * Reads the release from the tree. `environment` may have SOURCE_DATE_EPOCH and REVISION.
 * @throws Error where CHANGELOG.md does not begin with the version of package.json, or a word is not a number.
 */
export function releaseOf(root: string, environment: NodeJS.ProcessEnv): Release {
  const read = (name: string): string => readFileSync(join(root, name), 'utf8');
  const { version } = JSON.parse(read('package.json')) as { version: string };
  const [first, ...older] = parseChangelog(read('CHANGELOG.md'));
  if (first?.version !== version) {
    throw new Error(`CHANGELOG.md begins with ${first?.version ?? 'nothing'}, package.json has ${version}`);
  }
  const revision = numberFrom(environment, 'REVISION') ?? 1;
  const epoch = numberFrom(environment, 'SOURCE_DATE_EPOCH') ?? first.date ?? commitDate(root) ?? NO_DATE;
  return { version, revision: String(revision), epoch, entries: [{ ...first, date: epoch }, ...older] };
}

/** The sections of a changelog, in their order. */
export function parseChangelog(text: string): Entry[] {
  return text
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [title = '', ...body] = section.split('\n');
      const { 1: version = '', 2: day } = /^(\S+)(?: \((\d{4}-\d\d-\d\d)\))?/.exec(title) ?? [];
      const points = body
        .join('\n')
        .split(/^- /m)
        .slice(1)
        .map((point) => point.trim().replace(/\s+/g, ' '));
      return { version, date: day === undefined ? undefined : Date.parse(`${day}T00:00:00Z`) / 1000, points };
    });
}

/** debian/changelog, deb-changelog(5). */
export function debianChangelog({ revision, entries }: Release): string {
  const dated = entries.flatMap(({ date, ...entry }) => (date === undefined ? [] : [{ ...entry, date }]));
  return dated
    .map((entry, index) => {
      const points = entry.points.map((point) => fold(point, '  * ', '    ')).join('\n');
      const full = `${entry.version}-${index === 0 ? revision : '1'}`;
      return `conmgr (${full}) unstable; urgency=medium\n\n${points}\n\n -- ${MAINTAINER}  ${mailDate(entry.date)}\n`;
    })
    .join('\n');
}

/** The section %changelog of a spec. */
export function rpmChangelog({ revision, entries }: Release): string {
  return entries
    .flatMap(({ version, date, points }, index) => {
      if (date === undefined) return [];
      const { day, month, number, year } = dateParts(date);
      const title = `* ${day} ${month} ${number} ${year} ${MAINTAINER} - ${version}-${index === 0 ? revision : '1'}`;
      // A percent sign begins a macro there.
      const text = points.map((point) => fold(point.replaceAll('%', '%%'), '- ', '  '));
      return [[title, ...text].join('\n')];
    })
    .join('\n\n');
}

function numberFrom(environment: NodeJS.ProcessEnv, name: string): number | undefined {
  const word = environment[name];
  if (word === undefined || word === '') return undefined;
  if (!/^\d{1,11}$/.test(word)) throw new Error(`${name} is "${word}", which is not a number`);
  return Number(word);
}

function commitDate(root: string): number | undefined {
  // Not that of a repository which this tree merely lies in.
  if (!existsSync(join(root, '.git'))) return undefined;
  try {
    // Whoever builds, also where the tree is somebody else's.
    const args = ['-c', 'safe.directory=*', '-C', root, 'log', '-1', '--format=%ct'];
    return Number(execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch {
    return undefined;
  }
}

function fold(text: string, first: string, next: string): string {
  const lines: string[] = [];
  let line = first.trimEnd();
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > 78) {
      lines.push(line);
      line = `${next}${word}`;
    } else line = `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

function dateParts(date: number) {
  const time = new Date(date * 1000);
  const number = String(time.getUTCDate()).padStart(2, '0');
  return {
    day: DAYS[time.getUTCDay()] ?? '',
    month: MONTHS[time.getUTCMonth()] ?? '',
    number,
    year: String(time.getUTCFullYear()),
    clock: time.toISOString().slice(11, 19),
  };
}

/** RFC 5322, in UTC. */
function mailDate(date: number): string {
  const { day, month, number, year, clock } = dateParts(date);
  return `${day}, ${number} ${month} ${year} ${clock} +0000`;
}
