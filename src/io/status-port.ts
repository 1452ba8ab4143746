/** status_port of a program: the events that it notes from the start on, and the server that shows them. */
import type { Log, MessageSpec } from '../core/messages/message.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { EventLog } from '../core/status/event-log.js';
import type { Clock } from '../core/time.js';
import type { Logger } from './log/logger.js';
import { type Picture, StatusServer } from './status-server.js';

export interface StatusPortOptions {
  /** 0 = off: then nothing is noted and nothing is opened. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** The messages of the program. */
  readonly tables: readonly Readonly<Record<string, MessageSpec>>[];
}

export class StatusPort {
  readonly #port: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #events: EventLog;
  #server: StatusServer | undefined;

  constructor({ port, clock, log, tables }: StatusPortOptions) {
    this.#port = port;
    this.#clock = clock;
    this.#log = log;
    this.#events = new EventLog([...tables, PROCESS_MESSAGES]);
    if (port !== 0) log.observe((spec, params = {}) => this.#events.record(spec, params, clock.wallMs()));
  }

  /** Serves what `take` tells. A port that cannot be had is a WARNING: monitoring must not keep a program from its
   *  work. Never rejects. */
  async open(take: (events: EventLog) => Promise<Picture>): Promise<void> {
    const port = this.#port;
    if (port === 0) return;
    const opened = await StatusServer.open({ port, clock: this.#clock, take: () => take(this.#events) });
    if (opened instanceof StatusServer) {
      this.#server = opened;
      this.#log.write(PROCESS_MESSAGES.statusListening, { port });
    } else {
      const reason = opened.map(({ address, text }) => `${address}: ${text}`).join('; ');
      this.#log.write(PROCESS_MESSAGES.statusUnavailable, { port, reason });
    }
  }

  /** Ends it at once. */
  close(): void {
    this.#server?.close();
  }
}
