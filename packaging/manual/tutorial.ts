/**
 * The commands of conmgr(7), for a program that follows the page literally.
 *
 * A literal display that is to be typed has a comment before it, which names the hosts: `.\" step 3 on db1 db2`.
 * Displays without one are pictures, what is printed, and what is optional.
 */

/** One step: what root types on each of some hosts. */
export interface TutorialStep {
  /** Counted from 1, in the order of the page. */
  readonly step: number;
  /** One after the other. */
  readonly hosts: readonly string[];
  /** Lines for one shell. */
  readonly commands: string;
}

const MARK = /^\.\\" step (.*)$/;
const PLACES = /^(\d+) on ((?:[a-z]\w*)(?: [a-z]\w*)*)$/;

/**
 * The steps of a page, from its source. Throws Error for a mark that is not understood or not followed by a display,
 * for a display without an end, and for steps out of order.
 */
export function tutorialSteps(source: string): TutorialStep[] {
  const lines = source.split('\n');
  const steps: TutorialStep[] = [];
  for (const [at, line] of lines.entries()) {
    const mark = MARK.exec(line)?.[1];
    if (mark === undefined) continue;
    const [, number, places = ''] = PLACES.exec(mark) ?? [];
    const step = steps.length + 1;
    if (number !== String(step)) throw new Error(`expected "step ${step} on HOST...": ${line}`);
    const end = lines.indexOf('.Ed', at);
    if (!lines[at + 1]?.startsWith('.Bd -literal') || end === -1)
      throw new Error(`no literal display follows: ${line}`);
    steps.push({ step, hosts: places.split(' '), commands: `${lines.slice(at + 2, end).join('\n')}\n` });
  }
  return steps;
}
