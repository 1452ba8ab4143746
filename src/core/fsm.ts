/**
 * The interpreter of the project's state machines.
 *
 * A machine is a table of rows: in these phases, on this event, when this holds, go there, because.
 * The first row that fits is taken. The sentence of the row (`why`) is what documentation and
 * diagrams show. Machines never do IO and never read a clock: the shell hands in events and the
 * present moment and carries out the effects that come back.
 */
import type { MonotonicMs } from './time.js';

/** What every event of every machine looks like. */
export interface MachineEvent {
  readonly type: string;
}

/** Phase plus data of one machine. Never changed in place. */
export interface MachineState<Phase extends string, Data> {
  readonly phase: Phase;
  readonly data: Data;
}

/** What taking a row yields; an absent member means "as it was" or "none". */
export interface Outcome<Data, Effect> {
  readonly data?: Data;
  readonly effects?: readonly Effect[];
}

/** One row of a transition table. Build it with `rowsOf` so that the event is narrowed by `on`. */
export interface Row<Phase extends string, Data, Event extends MachineEvent, Effect> {
  readonly from: readonly Phase[];
  readonly on: Event['type'];
  /** Next phase; 'same' stays. */
  readonly to: Phase | 'same';
  /** One sentence: why this is the right answer. */
  readonly why: string;
  readonly when: (data: Data, event: never, now: MonotonicMs) => boolean;
  readonly act: (data: Data, event: never, now: MonotonicMs) => Outcome<Data, Effect>;
}

type Narrowed<Event extends MachineEvent, Type extends Event['type']> = Extract<Event, { type: Type }>;

/** Thrown when a table has no row for a phase and event: a mistake in the table, never in the input. */
export class MissingRowError extends Error {
  constructor(machine: string, phase: string, event: string) {
    super(`${machine}: no row for event "${event}" in phase "${phase}"`);
    this.name = 'MissingRowError';
  }
}

/** The condition of a row that states none: later rows for the same phases and event are never reached. */
export const ALWAYS = (): boolean => true;

/** Returns a row builder for one machine whose `act` and `when` see the narrowed event. */
export function rowsOf<Phase extends string, Data, Event extends MachineEvent, Effect>() {
  return <Type extends Event['type']>(row: {
    readonly from: readonly Phase[];
    readonly on: Type;
    readonly to: Phase | 'same';
    readonly why: string;
    readonly when?: (data: Data, event: Narrowed<Event, Type>, now: MonotonicMs) => boolean;
    readonly act?: (data: Data, event: Narrowed<Event, Type>, now: MonotonicMs) => Outcome<Data, Effect>;
  }): Row<Phase, Data, Event, Effect> =>
    ({ when: ALWAYS, act: () => ({}), ...row }) as unknown as Row<Phase, Data, Event, Effect>;
}

/** A table with its name, ready to be stepped. */
export interface Machine<Phase extends string, Data, Event extends MachineEvent, Effect> {
  readonly name: string;
  readonly phases: readonly Phase[];
  readonly events: readonly Event['type'][];
  readonly rows: readonly Row<Phase, Data, Event, Effect>[];
}

/** Rows by phase and event, in the order of their table: a step looks at a few of them instead of at all. */
type Index = ReadonlyMap<string, ReadonlyMap<string, readonly unknown[]>>;

/** Of each machine that has been stepped. */
const INDEXES = new WeakMap<object, Index>();

function indexOf<Phase extends string, Data, Event extends MachineEvent, Effect>(
  machine: Machine<Phase, Data, Event, Effect>,
): Index {
  const known = INDEXES.get(machine);
  if (known !== undefined) return known;
  const index = new Map<string, Map<string, unknown[]>>();
  for (const row of machine.rows) {
    for (const phase of row.from) {
      const ofPhase = index.get(phase) ?? new Map<string, unknown[]>();
      index.set(phase, ofPhase);
      ofPhase.set(row.on, [...(ofPhase.get(row.on) ?? []), row]);
    }
  }
  INDEXES.set(machine, index);
  return index;
}

/** The first row that fits, undefined when the table has none. */
export function rowFor<Phase extends string, Data, Event extends MachineEvent, Effect>(
  machine: Machine<Phase, Data, Event, Effect>,
  state: MachineState<Phase, Data>,
  event: Event,
  now: MonotonicMs,
): Row<Phase, Data, Event, Effect> | undefined {
  const candidates = indexOf(machine).get(state.phase)?.get(event.type) as
    | readonly Row<Phase, Data, Event, Effect>[]
    | undefined;
  return candidates?.find((candidate) => candidate.when(state.data, event as never, now));
}

/** Takes the first fitting row. Throws MissingRowError when the table has none. */
export function step<Phase extends string, Data, Event extends MachineEvent, Effect>(
  machine: Machine<Phase, Data, Event, Effect>,
  state: MachineState<Phase, Data>,
  event: Event,
  now: MonotonicMs,
): { readonly state: MachineState<Phase, Data>; readonly effects: readonly Effect[] } {
  const row = rowFor(machine, state, event, now);
  if (row === undefined) throw new MissingRowError(machine.name, state.phase, event.type);
  const outcome = row.act(state.data, event as never, now);
  return {
    state: { phase: row.to === 'same' ? state.phase : row.to, data: outcome.data ?? state.data },
    effects: outcome.effects ?? [],
  };
}

/** Phase/event pairs for which no row could ever fit; tests demand that there are none. */
export function missingRows<Phase extends string, Data, Event extends MachineEvent, Effect>(
  machine: Machine<Phase, Data, Event, Effect>,
): readonly string[] {
  return machine.phases.flatMap((phase) =>
    machine.events
      .filter((type) => !machine.rows.some((row) => row.on === type && row.from.includes(phase)))
      .map((type) => `${phase} x ${type}`),
  );
}
