/**
 * What happened in the last hour, for the page, and how often since the start, for the metrics.
 *
 * It takes what the log is given, whatever log_min_messages and the rate limit keep back: messages that are an event,
 * and warnings and errors. It holds a bounded number, so that no peer can fill the memory.
 */
import { escapeParams } from '../messages/format.js';
import { type Level, type MessageParams, type MessageSpec, renderMessage } from '../messages/message.js';
import type { WallMs } from '../time.js';

/** Older ones are not shown. */
const SHOWN_MS = 3_600_000;
/** More are not held. */
const MOST_EVENTS = 200;

/** Levels that are shown even if the message is no event. */
const PROBLEMS: readonly Level[] = ['WARNING', 'ERROR', 'FATAL', 'PANIC'];

/** One message; repetitions of it are one, with the moment of the last. */
export interface StatusEvent {
  readonly at: WallMs;
  readonly level: Level;
  readonly code: string;
  /** Kind of event; '' where the message is none. */
  readonly event: string;
  readonly text: string;
  readonly detail: string;
  readonly count: number;
}

/** How often each happened since the start. */
export interface EventCounts {
  readonly events: ReadonlyMap<string, number>;
  readonly levels: ReadonlyMap<string, number>;
}

export class EventLog {
  #held: StatusEvent[] = [];
  readonly #events: Map<string, number>;
  readonly #levels: Map<string, number>;

  /** @param tables the messages that the program may write, so that what has not happened yet is counted as 0 */
  constructor(tables: readonly Readonly<Record<string, MessageSpec>>[]) {
    const kinds = tables.flatMap((table) => Object.values(table).map(({ event }) => event));
    const named = kinds.filter((kind): kind is string => kind !== undefined);
    this.#events = new Map([...new Set(named)].sort().map((kind) => [kind, 0]));
    this.#levels = new Map(PROBLEMS.map((level) => [level, 0]));
  }

  /** Takes a message as the log is given it. */
  record(spec: MessageSpec, params: MessageParams, at: WallMs): void {
    const problem = PROBLEMS.includes(spec.level);
    if (problem) this.#levels.set(spec.level, (this.#levels.get(spec.level) ?? 0) + 1);
    if (spec.event !== undefined) this.#events.set(spec.event, (this.#events.get(spec.event) ?? 0) + 1);
    else if (!problem) return;
    const { code, event = '', level, text, detail = '' } = renderMessage(spec, escapeParams(params));
    const same = this.#held.findIndex((one) => one.code === code && one.text === text);
    const [before] = same === -1 ? [] : this.#held.splice(same, 1);
    this.#held.push({ at, level, code, event, text, detail, count: (before?.count ?? 0) + 1 });
    if (this.#held.length > MOST_EVENTS) this.#drop();
  }

  /** The oldest of the message that has most: so many of one kind do not drive out the others. */
  #drop(): void {
    const numbers = new Map<string, number>();
    for (const { code } of this.#held) numbers.set(code, (numbers.get(code) ?? 0) + 1);
    const most = Math.max(...numbers.values());
    const at = this.#held.findIndex(({ code }) => numbers.get(code) === most);
    this.#held.splice(at, 1);
  }

  get counts(): EventCounts {
    return { events: this.#events, levels: this.#levels };
  }

  /** Those of the last hour, the newest first. */
  recent(now: WallMs): readonly StatusEvent[] {
    this.#held = this.#held.filter(({ at }) => now - at < SHOWN_MS);
    return [...this.#held].reverse();
  }
}
