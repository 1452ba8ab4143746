/**
 * The commands of conmgr(7), for a program that follows the page literally.
 *
 * A literal display that is to be typed has a comment before it, which names the hosts, and the user unless that is root:
 * `.\" step 3 on db1 db2`, `.\" step 4 on app as ann`. The last command of a step marked `until Ctrl-C` goes on until then.
 * `.\" not typed` stands before pictures and files. A display without a comment is an error, so that no command of the
 * page is left out.
 */

/** One step: what somebody types on each of some hosts. */
export interface TutorialStep {
  /** Counted from 1, in the order of the page. */
  readonly step: number;
  /** In any order. */
  readonly hosts: readonly string[];
  readonly user: string;
  /** Lines for one shell. */
  readonly commands: string;
  /** Whether the last command stays in the foreground until somebody ends it. */
  readonly stays: boolean;
}

const MARK = /^\.\\" step (.*)$/;
const NOT_TYPED = '.\\" not typed';
/** What begins a display: mdoc(7), "Displays and lists". */
const DISPLAY = /^\.(Bd|D1|Dl)\b/;
const PLACES = /^(\d+) on ([a-z]\w*(?: (?!as\b|until\b)[a-z]\w*)*)(?: as ([a-z]\w*))?( until Ctrl-C)?$/;

/**
 * The steps of a page, from its source. Throws Error for a mark that is not understood or not followed by a display,
 * for a display without a mark or without an end, and for steps out of order.
 */
export function tutorialSteps(source: string): TutorialStep[] {
  const lines = source.split('\n');
  const steps: TutorialStep[] = [];
  for (const [at, line] of lines.entries()) {
    const before = lines[at - 1] ?? '';
    if (DISPLAY.test(line) && before !== NOT_TYPED && !MARK.test(before))
      throw new Error(`neither a step nor marked as not typed: ${line} ${lines[at + 1]}`);
    const mark = MARK.exec(line)?.[1];
    if (mark === undefined) continue;
    const [, number, places = '', user = 'root', stays] = PLACES.exec(mark) ?? [];
    const step = steps.length + 1;
    if (number !== String(step)) throw new Error(`expected "step ${step} on HOST...": ${line}`);
    const end = lines.indexOf('.Ed', at);
    if (!lines[at + 1]?.startsWith('.Bd -literal') || end === -1)
      throw new Error(`no literal display follows: ${line}`);
    const commands = `${lines.slice(at + 2, end).join('\n')}\n`;
    steps.push({ step, hosts: places.split(' '), user, commands, stays: stays !== undefined });
  }
  return steps;
}
