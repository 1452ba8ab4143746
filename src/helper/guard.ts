/** Ends sockets at once, and again and again while a target is swept. */
import { AF_INET, AF_INET6, STATES_WITH_PEER, TCP_STATE, type TcpSocket } from '../core/guard/inet-diag.js';
import { familiesOf, isTo, socketsToEnd } from '../core/guard/match.js';
import { SweepList, sweepPauseMs } from '../core/guard/sweep.js';
import type { Target } from '../core/guard/target.js';
import { HELPER_MESSAGES } from '../core/messages/kernel-helper.js';
import type { Log } from '../core/messages/message.js';
import type { Clock, TimerHandle } from '../core/time.js';
import type { SocketTable } from '../io/sock-diag.js';

const NOTHING_SPARED: ReadonlySet<number> = new Set();

export class Guard<Owner> {
  readonly #table: SocketTable;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #swept = new SweepList<Owner>();
  #timer: TimerHandle | undefined;

  constructor(table: SocketTable, clock: Clock, log: Log) {
    this.#table = table;
    this.#clock = clock;
    this.#log = log;
  }

  /** Ends the connections to a target; how many. Throws SockDiagError. */
  kill(target: Target, spare: ReadonlySet<number>): number {
    return this.#table.end(this.#socketsTo(target, spare));
  }

  /** Ends those of the connections to a target that are chosen. */
  killChosen(target: Target, chosen: (socket: TcpSocket) => boolean): number {
    return this.#table.end(this.#socketsTo(target, NOTHING_SPARED).filter(chosen));
  }

  /** Connections that stand. */
  standing(target: Target): TcpSocket[] {
    return familiesOf(target).flatMap((family) =>
      this.#table.list(family, [TCP_STATE.ESTABLISHED], target).filter((socket) => isTo(socket, target)),
    );
  }

  /** Begins at once. false: too many targets are swept already. */
  sweep(owner: Owner, target: Target, spare: ReadonlySet<number>): boolean {
    const added = this.#swept.add(owner, target, spare);
    if (added) this.#timer ??= this.#clock.setTimer(0, () => this.#look());
    return added;
  }

  /** How many attempts were ended for this owner. */
  endSweep(owner: Owner, target: Target): number {
    return this.#swept.remove(owner, target);
  }

  endSweeps(owner: Owner): void {
    this.#swept.removeAll(owner);
  }

  close(): void {
    this.#timer?.cancel();
    this.#table.close();
  }

  #socketsTo(target: Target, spare: ReadonlySet<number>): TcpSocket[] {
    const sockets = familiesOf(target).flatMap((family) =>
      this.#table.list(family, STATES_WITH_PEER, target),
    );
    return socketsToEnd(sockets, target, spare);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#swept.size === 0) return;
    const begun = this.#clock.monotonicMs();
    try {
      // Few sockets of a host are in this state, so one list serves all targets.
      const connecting = [AF_INET, AF_INET6] as const;
      const sockets = connecting.flatMap((family) => this.#table.list(family, [TCP_STATE.SYN_SENT]));
      this.#table.end(this.#swept.choose(sockets));
    } catch (error) {
      this.#log.write(HELPER_MESSAGES.endingFailed, {
        target: 'lost instances',
        reason: (error as Error).message,
      });
    }
    const pauseMs = sweepPauseMs(this.#clock.monotonicMs() - begun);
    this.#timer = this.#clock.setTimer(pauseMs, () => this.#look());
  }
}
