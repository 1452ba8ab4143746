/** What `cm_ctl status` shows of the kernel: which connections are guarded, and which way each listener goes. */
import type { KernelStatus, StatusReport } from '../control/protocol.js';
import { count } from './amounts.js';
import type { Cell } from './table.js';

/** Facts with their names; none where nothing is wanted of the kernel. */
export function kernelFacts({ kernel }: StatusReport): [string, Cell][] {
  if (kernel === undefined) return [];
  const facts: [string, Cell][] = [];
  if (kernel.guard.wanted) facts.push(['Guard', guardOf(kernel)]);
  const lines = kernel.listeners.map(listenerLine).join('\n');
  if (lines !== '') facts.push(['Listeners', { text: lines, style: undefined }]);
  return facts;
}

function guardOf({ guard, connections }: KernelStatus): Cell {
  if (guard.problem !== '') return { text: `not possible: ${guard.problem}`, style: 'bad' };
  const counted = connections.map((one) => `${count(one.count, 'connection')} to instance ${one.instance}`);
  return counted.length === 0 ? 'on' : `on, ${counted.join(', ')}`;
}

function listenerLine(listener: KernelStatus['listeners'][number]): string {
  const { port, target, via, reason, instances, connections } = listener;
  const head = `${port} (${target})`;
  if (via === 'gateway') return `${head}: gateway, ${reason}`;
  const places = instances.length === 0 ? 'no instance' : `instance ${instances.join(', ')}`;
  const counted = connections === null ? '' : `, ${count(connections, 'connection')}`;
  return `${head}: redirect to ${places}${counted}`;
}
