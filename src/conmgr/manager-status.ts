/** The line that `systemctl status` shows of conmgr. */
import type { ConmgrCore } from '../core/conmgr/core.js';
import type { Clock, TimerHandle } from '../core/time.js';
import type { Notifier } from '../io/notify.js';

/** systemd takes a datagram and tells all of D-Bus for every line, so it hears of changes at most this often. */
const INTERVAL_MS = 500;

export interface ManagerStatusOptions {
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly core: ConmgrCore;
  /** The file as it is now was refused at the last reload; an older configuration holds. */
  readonly reloadRefused: () => boolean;
}

export class ManagerStatus {
  readonly #options: ManagerStatusOptions;
  #told = '';
  #timer: TimerHandle | undefined;
  #stopped = false;

  constructor(options: ManagerStatusOptions) {
    this.#options = options;
  }

  /** Something has changed: told at once if nothing was told just now, else when the interval is over. */
  changed(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    const { text } = this;
    if (text === this.#told) return;
    this.#told = text;
    this.#options.notifier.status(text);
    this.#timer = this.#options.clock.setTimer(INTERVAL_MS, () => {
      this.#timer = undefined;
      this.changed();
    });
  }

  /** From now on nothing is told. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** The line as it is now. */
  get text(): string {
    const { core, reloadRefused } = this.#options;
    const { instances, sessions, view } = core;
    const up = instances.filter((instance) => instance.link.phase === 'up').length;
    const primary = view.primary === undefined ? 'none' : `instance ${view.primary}`;
    const facts = `primary ${primary}, ${up} of ${instances.length} links up, ${sessions.size} applications`;
    const waiting = core.stopping ? 'smart shutdown waits for applications; ' : '';
    return `${waiting}${facts}${reloadRefused() ? '; last reload refused, see the log' : ''}`;
  }
}
