/**
 * The shape of a message that a user may meet, and its rendering.
 *
 * Wording follows PostgreSQL's error message style guide (PostgreSQL documentation, 57.3): primary
 * text lower case without full stop, detail and hint full sentences. The tables of this folder are
 * the only place where such texts stand; log, man page conmgr-messages(7) and journald fields derive
 * from them.
 */

/** Severities in the order of log_min_messages (conmgr.conf(5)): LOG ranks above ERROR. */
export const LEVELS = ['DEBUG', 'INFO', 'NOTICE', 'WARNING', 'ERROR', 'LOG', 'FATAL', 'PANIC'] as const;
export type Level = (typeof LEVELS)[number];

/** What may be put into a message's `{name}` places. */
export type MessageParams = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/** One row of a message table. */
export interface MessageSpec {
  /** Stable number for people and programs, `CM` + four digits; never reused. */
  readonly code: string;
  /** Kind of event for journald's CM_EVENT= and MESSAGE_ID= ("instance_lost"); absent for plain reports. Rows of
   *  different programs may share one. */
  readonly event?: string;
  readonly level: Level;
  /** Primary text with `{param}` places. */
  readonly text: string;
  readonly detail?: string;
  readonly hint?: string;
  /** Why a user meets it, one or two full sentences (conmgr-messages(7)). */
  readonly cause: string;
  /** What to do about it, one or two full sentences; "None." where nothing is to be done. */
  readonly cure: string;
  /** Exit status when this message ends the process (sysexits.h: 77 EX_NOPERM, 78 EX_CONFIG). */
  readonly exit?: number;
  /** At most one line per `everyMs` for the same code and peer, then one line with the count. Default 1000; 0 = no limit. */
  readonly everyMs?: number;
}

/** A message filled in, ready for a log sink or a terminal. */
export interface RenderedMessage {
  readonly code: string;
  readonly event: string | undefined;
  readonly level: Level;
  readonly text: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly exit: number | undefined;
}

/** What a message is an instance of, for those who look for all of one kind: its event, or else its own number. */
export function kindOf({ event, code }: Pick<MessageSpec, 'code'> & { event?: string | undefined }): string {
  return event ?? code;
}

/** Puts `params` into the places of one template; a place without a value stays visible as `{name}`. */
export function fill(template: string, params: MessageParams): string {
  return template.replace(/\{(\w+)\}/g, (place, name: string) => {
    const value = params[name];
    return value === undefined ? place : String(value);
  });
}

/** Fills a row of a message table. */
export function renderMessage(spec: MessageSpec, params: MessageParams = {}): RenderedMessage {
  return {
    code: spec.code,
    event: spec.event,
    level: spec.level,
    text: fill(spec.text, params),
    detail: spec.detail === undefined ? undefined : fill(spec.detail, params),
    hint: spec.hint === undefined ? undefined : fill(spec.hint, params),
    exit: spec.exit,
  };
}

/** Whether a message of `level` is written when log_min_messages is `minimum`. */
export function isWritten(level: Level, minimum: Level): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(minimum);
}

/** What conmgr, the watchdog and their parts write messages to. `params` fill the row; well-known ones
 *  (instance, host, port, reason, peer) also become journald fields and the key of the rate limit. */
export interface Log {
  write(spec: MessageSpec, params?: MessageParams): void;
}
