/** What commands and expectations of a scenario have in common. */
import { parseTarget, type TargetSessionAttrs } from '../../../src/core/cluster/target-session.js';
import type { Promises } from './promises.js';
import type { World } from './world.js';

/** A world with what a scenario remembers of it. */
export interface Stage {
  readonly world: World;
  /** When the last fault was injected: bounds count from here. */
  faultAt: number;
  /** Looks after the promises from the command `promises` on. */
  promises?: Promises;
}

export interface Words {
  readonly args: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

export class ScenarioError extends Error {}

export function durationMs(text: string | undefined): number {
  const match = /^([\d.]+)(ms|s)$/.exec(text ?? '');
  if (match === null) throw new ScenarioError(`"${text}" is no duration`);
  return Number(match[1]) * (match[2] === 's' ? 1000 : 1);
}

export function targetOf(text: string | undefined): TargetSessionAttrs {
  const parsed = parseTarget(text ?? '');
  if ('refusal' in parsed) throw new ScenarioError(parsed.refusal);
  return parsed.target;
}
