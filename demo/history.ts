/** What has happened, with its moments, and the next thing of a kind that will. */

/** Milliseconds of the process's monotonic clock; all moments of the demo are told by it. */
export const now = (): number => performance.now();

/** Something that happened at a moment. */
export interface Happened {
  /** See `now`. */
  readonly at: number;
}

export interface WaitOptions {
  readonly timeoutMs: number;
  /** What is waited for, for the message of the error. */
  readonly what: string;
}

interface Waiting<T> {
  readonly matches: (entry: T) => boolean;
  readonly found: (entry: T) => void;
}

/** A list that grows at its end and can be waited on. */
export class History<T extends Happened> {
  readonly entries: T[] = [];
  readonly #waiting = new Set<Waiting<T>>();
  readonly #listeners: ((entry: T) => void)[] = [];

  add(entry: T): void {
    this.entries.push(entry);
    for (const one of [...this.#waiting]) if (one.matches(entry)) one.found(entry);
    for (const listener of this.#listeners) listener(entry);
  }

  get last(): T | undefined {
    return this.entries.at(-1);
  }

  /** Calls `listener` with every entry from now on. */
  onEntry(listener: (entry: T) => void): void {
    this.#listeners.push(listener);
  }

  /** The first entry that matches, of those there are or of those to come. Rejects when the time is up. */
  first(matches: (entry: T) => boolean, { timeoutMs, what }: WaitOptions): Promise<T> {
    const known = this.entries.find(matches);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(one);
        act();
      };
      const one: Waiting<T> = { matches, found: (entry) => settle(() => resolve(entry)) };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`not within ${timeoutMs / 1000} s: ${what}`))),
        timeoutMs,
      );
      this.#waiting.add(one);
    });
  }

  /** The entries of a stretch of time, its end not included. */
  between(from: number, to: number): T[] {
    return this.entries.filter(({ at }) => at >= from && at < to);
  }
}
