/** How long processes were ready to run while the machine was busy with others: what a bound in time has to allow for. */
import { readdirSync, readFileSync } from 'node:fs';

/** For each process and each of its threads: how long it has waited for a processor since it was born, in milliseconds. */
export type Waits = ReadonlyMap<number, ReadonlyMap<string, number>>;

/**
 * The waits of the threads of these processes, and of all that descend from `trees`: second field of
 * /proc/PID/task/TID/schedstat (Documentation/scheduler/sched-stats.rst of Linux).
 */
export function waits(processes: readonly number[], trees: readonly number[]): Waits {
  const found = new Map<number, Map<string, number>>();
  const look = (pid: number, descend: boolean): void => {
    const threads = new Map<string, number>();
    found.set(pid, threads);
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const place = `/proc/${pid}/task/${thread}`;
        threads.set(thread, Number(readFileSync(`${place}/schedstat`, 'utf8').split(' ')[1]) / 1e6);
        if (!descend) continue;
        const children = readFileSync(`${place}/children`, 'utf8').split(' ').filter(Boolean);
        for (const child of children) look(Number(child), true);
      }
    } catch {
      // It has ended meanwhile.
    }
  };
  for (const pid of processes) look(pid, false);
  for (const pid of trees) look(pid, true);
  return found;
}

/**
 * How long the processes of `now` have waited since `before`, one after the other: in each of them as long as the thread
 * that has waited longest, because what is on its way is in one thread at a time.
 */
export function waitedMs(before: Waits, now: Waits): number {
  return [...now].reduce((sum, [pid, threads]) => {
    const known = before.get(pid);
    const longest = [...threads].map(([thread, waited]) => waited - (known?.get(thread) ?? 0));
    return sum + Math.max(0, ...longest);
  }, 0);
}
