/** Plays a plan and says which promise it breaks, if any. */
import { carryOut } from './commands.js';
import type { Plan } from './plan.js';
import { PromiseBroken, type PromiseName } from './promises.js';
import type { Stage } from './stage.js';
import { type Note, World } from './world.js';

export interface Breach {
  readonly promise: PromiseName;
  readonly what: string;
  /** Index of the line at which it came to light, and the moment. */
  readonly line: number;
  readonly atMs: number;
}

export interface Played {
  readonly breach: Breach | undefined;
  readonly notes: readonly Note[];
  readonly events: number;
}

/** Without `notes` it is faster. Throws what is no breach of a promise, such as a line that cannot be carried out. */
export function runPlan(plan: Plan, { notes = true }: { readonly notes?: boolean } = {}): Played {
  const stage: Stage = { world: new World(), faultAt: 0 };
  const { world } = stage;
  world.quiet = !notes;
  const played = (breach?: Breach): Played => ({
    breach,
    notes: world.notes,
    events: world.timeline.happened,
  });
  for (const [line, command] of plan.entries()) {
    try {
      carryOut(stage, command);
    } catch (error) {
      if (!(error instanceof PromiseBroken)) throw error;
      return played({ promise: error.promise, what: error.what, line, atMs: world.now });
    }
  }
  return played();
}
