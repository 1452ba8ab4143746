/** What a mode of cm_ctl is given, and what it is. */
import type { ModeSpec } from '../core/ctl/arguments.js';
import type { ExitStatus } from '../core/ctl/exit-status.js';
import type { CtlOptions } from '../core/ctl/options.js';
import type { Managers } from './manager.js';
import type { Output } from './output.js';

/** The surroundings of cm_ctl; tests put in their own. */
export interface World {
  readonly output: Output;
  readonly managers: Managers;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Version of this cm_ctl. */
  readonly version: string;
  readonly uid: number;
  /** Aborted when the user or the reader of the output wants no more. Whoever looks at it takes care of that; until
   *  then an interruption ends the program. */
  readonly interrupted: AbortSignal;
}

/** One use of a mode. */
export interface Call {
  readonly world: World;
  readonly options: CtlOptions;
  readonly operands: readonly string[];
  /** -D or the variable; '' for a mode without directory. */
  readonly directory: string;
}

/** One mode: its row in the table, and what it does. Rejects with MessageError for what a user is to be told. */
export interface Mode extends ModeSpec {
  readonly doc: string;
  readonly run: (call: Call) => Promise<ExitStatus>;
}
