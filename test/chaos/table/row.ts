/** What a row of the fault suite says: the fault, what must follow and within which bound, and what must never. */

/** Bounds of a time from the fault: terms as `boundMs` reads them; a lower one only where it was too early otherwise. */
export type Span = readonly [atLeast: string | undefined, atMost: string];

/** A quantity that is not a time: at most so much of it. */
export interface Quantity {
  readonly atMost: number;
  readonly unit: string;
}

/** A test of another suite that asserts what a row says. */
export interface OtherProof {
  /** What runs it: "make test-system ONLY=service". */
  readonly by: string;
  /** The words of the test's name. */
  readonly test: string;
}

export interface FaultRow {
  readonly row: number;
  readonly fault: string;
  readonly expected: string;
  /** The test file in test/chaos, without its ending; or where else the row is proven. */
  readonly proof: string | OtherProof;
  /** What must be going on before the fault, and how much of it at least; less makes the trial invalid. */
  readonly load?: readonly [what: string, least: number];
  /** By the name of what happens. */
  readonly times?: Readonly<Record<string, Span>>;
  readonly amounts?: Readonly<Record<string, Quantity>>;
  /** What must not happen; each is counted, and the count must be 0. */
  readonly never: readonly string[];
  /** It takes minutes in which it mostly waits: it runs with the likes of it when the others are done. */
  readonly long?: true;
  /** It replaces programs by those of a next version, which must be built before. */
  readonly wantsNextVersion?: true;
  /** Cheap and telling: part of what continuous integration runs. */
  readonly ci?: true;
}
