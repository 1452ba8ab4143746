/**
 * Makes a plan that breaks a promise smaller for as long as it breaks the same one: fewer parties, fewer faults,
 * shorter pauses. What is left reads as a scenario (`scenarioOf`).
 */
import { type Plan, RECOVERY } from './plan.js';
import { type Breach, runPlan } from './run.js';

const PAUSE = /^advance ([\d.]+)(ms|s)$/;

/** The breach of a plan; undefined also for a plan that cannot be carried out. */
function breachOf(plan: Plan): Breach | undefined {
  try {
    return runPlan(plan, { notes: false }).breach;
  } catch {
    return undefined;
  }
}

/** Throws when the plan breaks no promise. */
export function shrink(plan: Plan): Plan {
  const first = breachOf(plan);
  if (first === undefined) throw new Error('there is nothing to shrink: the plan breaks no promise');
  let smallest = upTo(plan, first);
  const attempt = (smaller: Plan): boolean => {
    // What was never there, or never mended, does not recover: another finding, and none.
    if (first.promise === 'recovery' && !canRecover(smaller)) return false;
    const breach = breachOf(smaller);
    if (breach?.promise !== first.promise) return false;
    smallest = upTo(smaller, breach);
    return true;
  };
  for (let size = Number.POSITIVE_INFINITY; weight(smallest) < size; ) {
    size = weight(smallest);
    leaveOutParties(() => smallest, attempt);
    leaveOutLines(() => smallest, attempt);
    joinPauses(() => smallest, attempt);
    shortenPauses(() => smallest, attempt);
    leaveOutOptions(() => smallest, attempt);
  }
  return smallest;
}

/** Lines count most, then the time that passes, then words. */
function weight(plan: Plan): number {
  const ms = plan.reduce((sum, line) => sum + pauseMs(line), 0);
  return plan.length * 1e9 + ms * 1e3 + plan.join(' ').length;
}

/** Whether a plan mends everything, leaves time to recover and has a server behind each instance. */
function canRecover(plan: Plan): boolean {
  const end = plan.slice(-RECOVERY.length);
  const servers = plan.flatMap((line) => /^server (\S+)/.exec(line)?.[1] ?? []);
  const instances = plan.flatMap((line) => /instances=(\S+)/.exec(line)?.[1]?.split(',') ?? []);
  return (
    RECOVERY.every((line, index) => end[index] === line) && instances.every((name) => servers.includes(name))
  );
}

function upTo(plan: Plan, { line }: Breach): Plan {
  return plan.slice(0, line + 1);
}

type Attempt = (smaller: Plan) => boolean;

/** Whole hosts and applications, with every line that names them. */
function leaveOutParties(plan: () => Plan, attempt: Attempt): void {
  const parties = plan().flatMap((line) => /^(?:server|conmgr|attach) (\S+)/.exec(line)?.[1] ?? []);
  for (const party of parties) {
    const without = plan()
      .map((line) =>
        line.replace(/instances=(\S+)/, (_, names: string) => {
          const others = names.split(',').filter((name) => name !== party);
          return `instances=${others.join(',')}`;
        }),
      )
      .filter((line) => !line.split(/[ ,=]+/).includes(party));
    attempt(without);
  }
}

/** Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002), from the end. */
function leaveOutLines(plan: () => Plan, attempt: Attempt): void {
  for (let size = Math.ceil(plan().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let end = plan().length; end > 0; end -= size) {
      const start = Math.max(0, end - size);
      const without = [...plan().slice(0, start), ...plan().slice(end)];
      if (without.length < plan().length) attempt(without);
    }
  }
}

function joinPauses(plan: () => Plan, attempt: Attempt): void {
  for (let at = plan().length - 2; at >= 0; at -= 1) {
    const lines = plan();
    const [one, two] = [pauseMs(lines[at] ?? ''), pauseMs(lines[at + 1] ?? '')];
    if (one > 0 && two > 0) attempt([...lines.slice(0, at), pause(one + two), ...lines.slice(at + 2)]);
  }
}

function shortenPauses(plan: () => Plan, attempt: Attempt): void {
  for (let at = 0; at < plan().length; at += 1) {
    const replaced = (ms: number): Plan => plan().map((line, index) => (index === at ? pause(ms) : line));
    const ms = pauseMs(plan()[at] ?? '');
    if (ms === 0) continue;
    // Whole seconds read better, and half of them is less.
    let [least, most] = [0, ms];
    while (most - least > 250) {
      const middle = Math.floor((least + most) / 2);
      if (attempt(replaced(middle))) most = middle;
      else least = middle;
      if (pauseMs(plan()[at] ?? '') === 0) break;
    }
    for (const unit of [1000, 500, 100]) {
      const now = pauseMs(plan()[at] ?? '');
      const round = Math.ceil(now / unit) * unit;
      if (now === 0 || now % unit === 0 || attempt(replaced(round))) break;
    }
  }
}

function leaveOutOptions(plan: () => Plan, attempt: Attempt): void {
  for (let at = 0; at < plan().length; at += 1) {
    for (const option of plan()[at]?.match(/ (?!instances=)\w+=\S+/g) ?? [])
      attempt(plan().map((line, index) => (index === at ? line.replace(option, '') : line)));
  }
}

function pauseMs(line: string): number {
  const match = PAUSE.exec(line);
  return match === null ? 0 : Number(match[1]) * (match[2] === 's' ? 1000 : 1);
}

function pause(ms: number): string {
  return ms % 1000 === 0 ? `advance ${ms / 1000}s` : `advance ${ms}ms`;
}

/** The text of a scenario for test/scenarios. */
export function scenarioOf(plan: Plan, title: string): string {
  return [`# ${title}`, ...plan.map((line) => `> ${line}`), ''].join('\n');
}

/** What a breach is called where it is reported. */
export function breachText({ promise, what, atMs }: Breach): string {
  return `${promise}, at ${(atMs / 1000).toFixed(3)} s: ${what}`;
}
