/**
 * Tells one watchdog which SQL sessions conmgr watches on its instance, when it wants to know: changes only, gathered
 * and paced, so that ten thousand sessions neither hold up the heartbeats nor fill the queue of the link.
 */
import type { HeartbeatMessage } from '../protocol/messages.js';
import {
  encodeSessions,
  entriesPerPiece,
  pieceBytes,
  SESSIONS_HEAD_BYTES,
  type WatchedEnd,
} from '../protocol/session-list.js';
import { type MonotonicMs, NEVER } from '../time.js';
import type { Outbox } from './outbox.js';
import { endKey, type SeenSessions } from './seen-sessions.js';
import type { SessionTable } from './sessions.js';

/** Changes are gathered for this long. */
export const TELL_INTERVAL_MS = 100;
/** Octets sent in one go; the queue of a link takes 64 kB. */
export const TELL_BYTES = 16 * 1024;

export class SessionTeller {
  /** Session ids whose end may differ from what was told. */
  readonly #touched = new Set<number>();
  readonly #told = new Map<number, WatchedEnd>();
  /** Who was told last with an address and port: the kernel gives them away again. */
  readonly #holders = new Map<string, number>();
  #wanted = false;
  #begun = false;
  #maxFrame = 0;
  #notBefore: MonotonicMs = 0;

  /** The watchdog of an instance wants to know, or no more. */
  want(
    { wanted, maxFrame }: { readonly wanted: boolean; readonly maxFrame: number },
    { number, seen }: Pick<Told, 'number' | 'seen'>,
    sessions: SessionTable,
    now: MonotonicMs,
  ): void {
    const ids = sessions.of(number).map(({ id }) => id);
    if (wanted) this.begin([...ids, ...seen.ids()], maxFrame, now);
    else this.end();
  }

  get wanted(): boolean {
    return this.#wanted;
  }

  /** The watchdog wants to know; `ids`: the sessions of the instance now. */
  begin(ids: Iterable<number>, maxFrame: number, now: MonotonicMs): void {
    this.end();
    this.#wanted = true;
    this.#maxFrame = maxFrame;
    this.#notBefore = now;
    for (const id of ids) this.#touched.add(id);
  }

  /** It no longer wants to know, or the link has gone. */
  end(): void {
    this.#wanted = false;
    this.#begun = false;
    this.#touched.clear();
    this.#told.clear();
    this.#holders.clear();
  }

  /** Something about a session has changed. */
  touch(id: number): void {
    if (this.#wanted) this.#touched.add(id);
  }

  /** When `take` is due; NEVER when there is nothing to tell. */
  get dueAt(): MonotonicMs {
    const idle = !this.#wanted || (this.#begun && this.#touched.size === 0);
    return idle ? NEVER : this.#notBefore;
  }

  /** What is to be sent now. `endOf`: the end of a session that goes to this instance now. */
  take(endOf: (id: number) => WatchedEnd | undefined, now: MonotonicMs): readonly HeartbeatMessage[] {
    const messages: (HeartbeatMessage | undefined)[] = [];
    if (!this.#begun) messages.push(encodeSessions('first', '::', []));
    this.#begun = true;
    this.#notBefore = now + TELL_INTERVAL_MS;
    const groups = { removed: new Map<string, WatchedEnd[]>(), added: new Map<string, WatchedEnd[]>() };
    let bytes = 0;
    const note = (part: keyof typeof groups, end: WatchedEnd): void => {
      const group = groups[part].get(end.address);
      bytes += pieceBytes(1) - (group === undefined ? 0 : SESSIONS_HEAD_BYTES);
      if (group === undefined) groups[part].set(end.address, [end]);
      else group.push(end);
    };
    for (const id of this.#touched) {
      if (bytes >= TELL_BYTES) break;
      this.#touched.delete(id);
      this.#compare(id, endOf(id), note);
    }
    const most = entriesPerPiece(this.#maxFrame);
    // Removed first: the same address and port may be another session's by now.
    for (const part of ['removed', 'added'] as const) {
      for (const [address, ends] of groups[part]) {
        for (let at = 0; at < ends.length; at += most) {
          messages.push(encodeSessions(part, address, ends.slice(at, at + most)));
        }
      }
    }
    return messages.filter((message) => message !== undefined);
  }

  #compare(
    id: number,
    next: WatchedEnd | undefined,
    note: (part: 'removed' | 'added', end: WatchedEnd) => void,
  ): void {
    const before = this.#told.get(id);
    const same =
      before?.address === next?.address && before?.port === next?.port && before?.pid === next?.pid;
    if (same) return;
    if (before !== undefined) {
      this.#told.delete(id);
      const moved = before.address !== next?.address || before.port !== next.port;
      if (this.#holders.get(endKey(before)) === id && moved) {
        this.#holders.delete(endKey(before));
        note('removed', before);
      }
    }
    if (next === undefined) return;
    this.#told.set(id, next);
    this.#holders.set(endKey(next), id);
    note('added', next);
  }
}

/** An instance whose watchdog may want to know. */
interface Told {
  readonly number: number;
  readonly teller: SessionTeller;
  readonly seen: SeenSessions;
}

/** Tells the watchdogs that want to know which sessions are watched, as far as it is time. */
export function tellSessions(
  instances: readonly Told[],
  sessions: SessionTable,
  out: Outbox,
  now: MonotonicMs,
): void {
  for (const { number, teller, seen } of instances) {
    if (now < teller.dueAt) continue;
    const endOf = (id: number): WatchedEnd | undefined => seen.endOf(id) ?? sessions.endOf(id, number);
    for (const message of teller.take(endOf, now)) out.push({ do: 'send', instance: number, message });
  }
}
