/** The timing constants of the faults, under the names that the bounds of the table use. All in milliseconds. */

export interface Timing {
  /** heartbeat_interval */
  readonly I: number;
  /** heartbeat_timeout */
  readonly T: number;
  /** watchdog.check_attr_interval */
  readonly A: number;
  /** heartbeat_connect_interval */
  readonly CI: number;
  /** heartbeat_connect_timeout */
  readonly CT: number;
  /** watchdog.restart_grace */
  readonly G: number;
  /** watchdog.probe_timeout */
  readonly P: number;
  /** What a test allows beside. */
  readonly eps: number;
}

const QUICK: Timing = { I: 1000, T: 3000, A: 200, CI: 1000, CT: 2000, G: 3000, P: 2000, eps: 500 };

/** The defaults of conmgr.conf and of watchdog.*, for a run by night. */
const DEFAULTS: Timing = {
  I: 10_000,
  T: 20_000,
  A: 1000,
  CI: 1000,
  CT: 10_000,
  G: 10_000,
  P: 20_000,
  eps: 500,
};

/** Set by the runner for `make chaos DEFAULTS=1`. */
export const DEFAULTS_VARIABLE = 'CHAOS_DEFAULTS';

export const withDefaults = process.env[DEFAULTS_VARIABLE] === '1';

export const TIMING: Timing = withDefaults ? DEFAULTS : QUICK;

/**
 * The value of a bound: terms joined by + and -, each a constant of `Timing`, a number of milliseconds ("100ms") or
 * seconds ("1.2s"), or a multiple of a constant ("2*CT").
 */
export function boundMs(text: string, timing: Timing = TIMING): number {
  let sum = 0;
  for (const [, sign = '', factor, name = ''] of text.replace(/\s/g, '').matchAll(TERM)) {
    sum += (sign === '-' ? -1 : 1) * Number(factor ?? 1) * unit(name, timing);
  }
  return sum;
}

const TERM = /([-+]?)(?:([\d.]+)\*?)?([A-Za-z]+)/g;

function unit(name: string, timing: Timing): number {
  if (name === 'ms') return 1;
  if (name === 's') return 1000;
  const value = (timing as unknown as Readonly<Record<string, number>>)[name];
  if (value === undefined) throw new Error(`no constant of time is called ${name}`);
  return value;
}
