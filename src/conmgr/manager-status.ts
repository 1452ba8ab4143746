/** The line that `systemctl status` shows of conmgr. */
import type { ConmgrCore } from '../core/conmgr/core.js';
import type { Clock, TimerHandle } from '../core/time.js';
import type { Notifier } from '../io/notify.js';

/** systemd takes a datagram and tells all of D-Bus for every line, so it hears of changes at most this often. */
const INTERVAL_MS = 500;

export class ManagerStatus {
  readonly #notifier: Notifier;
  readonly #clock: Clock;
  readonly #core: ConmgrCore;
  #told = '';
  #timer: TimerHandle | undefined;

  constructor(notifier: Notifier, clock: Clock, core: ConmgrCore) {
    this.#notifier = notifier;
    this.#clock = clock;
    this.#core = core;
  }

  /** Something has changed: told at once if nothing was told just now, else when the interval is over. */
  changed(): void {
    if (this.#timer !== undefined) return;
    const text = this.#text();
    if (text === this.#told) return;
    this.#told = text;
    this.#notifier.status(text);
    this.#timer = this.#clock.setTimer(INTERVAL_MS, () => {
      this.#timer = undefined;
      this.changed();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #text(): string {
    const { instances, sessions, view } = this.#core;
    const up = instances.filter((instance) => instance.link.phase === 'up').length;
    const primary = view.primary === undefined ? 'none' : `instance ${view.primary}`;
    return `primary ${primary}, ${up} of ${instances.length} links up, ${sessions.size} applications`;
  }
}
