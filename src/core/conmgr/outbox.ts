/** Collects the effects of one call of ConmgrCore in their order. */
import type { ConmgrMessageName } from '../messages/conmgr.js';
import type { MessageParams } from '../messages/message.js';
import type { ConmgrMessage } from '../protocol/first-phase.js';
import type { ConmgrEffect } from './effects.js';

export class Outbox {
  #effects: ConmgrEffect[] = [];

  push(effect: ConmgrEffect): void {
    this.#effects.push(effect);
  }

  log(message: ConmgrMessageName, params: MessageParams): void {
    this.#effects.push({ do: 'log', message, params });
  }

  /** The same messages to each of these sessions. */
  tell(sessions: readonly number[], ...messages: readonly ConmgrMessage[]): void {
    if (sessions.length > 0) this.#effects.push({ do: 'tell', sessions, messages, close: false });
  }

  /** A last message; the connections are closed behind it. */
  dismiss(sessions: readonly number[], message: ConmgrMessage): void {
    if (sessions.length > 0) this.#effects.push({ do: 'tell', sessions, messages: [message], close: true });
  }

  /** Everything collected since the last call. */
  take(): readonly ConmgrEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
