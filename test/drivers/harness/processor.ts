/** How long processes were ready to run while the machine was busy with others: what a bound in time has to allow for. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * The time in milliseconds that the threads of these processes, and of all that descend from them, have waited for a
 * processor since they were born: second field of /proc/PID/task/TID/schedstat (Documentation/scheduler/sched-stats.rst
 * of Linux).
 */
export function waitedForProcessorMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + waitedOfTreeMs(pid), 0);
}

function waitedOfTreeMs(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.reduce((sum, thread) => {
      const place = `/proc/${pid}/task/${thread}`;
      const waitedNs = Number(readFileSync(`${place}/schedstat`, 'utf8').split(' ')[1]);
      const children = readFileSync(`${place}/children`, 'utf8').split(' ').map(Number).filter(Boolean);
      return sum + waitedNs / 1e6 + waitedForProcessorMs(children);
    }, 0);
  } catch {
    // It has ended meanwhile.
    return 0;
  }
}
