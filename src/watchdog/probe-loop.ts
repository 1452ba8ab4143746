/**
 * Asks the postmaster for a sign of life again and again: a kept connection alone would call a stopped one healthy.
 */
import type { PostmasterPid } from '../core/instance/postmaster-files.js';
import type { Clock, TimerHandle } from '../core/time.js';
import { type ProbeTarget, probePostmaster } from '../io/pg-probe.js';
import { tcpHost } from './sql-connections.js';

/** However much of watchdog.probe_timeout has passed since the last answer, a probe gets this long (or all of it). */
const SHORTEST_PROBE_MS = 1000;
/** After a probe that failed at once the next one is made this much later. */
const RETRY_MS = 1000;

export interface ProbeTiming {
  /** watchdog.probe_interval */
  readonly intervalMs: number;
  /** watchdog.probe_timeout: without an answer for so long the postmaster counts as silent. */
  readonly timeoutMs: number;
}

export interface ProbeLoopOptions {
  readonly clock: Clock;
  readonly timing: () => ProbeTiming;
  /** The postmaster has not answered for the time-out, or answers again. */
  readonly onVerdict: (answers: boolean, text: string) => void;
}

/** Where a postmaster is probed: over TCP, as applications come, or through the Unix socket where it has no TCP port. */
export function probeTarget(file: PostmasterPid): ProbeTarget {
  const host = tcpHost(file.listenAddress);
  return host === '' ? { path: `${file.socketDirectory}/.s.PGSQL.${file.port}` } : { host, port: file.port };
}

/** Runs while the instance is up. */
export class ProbeLoop {
  readonly #options: ProbeLoopOptions;
  #timer: TimerHandle | undefined;
  #cancel: AbortController | undefined;
  #target: ProbeTarget | undefined;
  #lastAnswerAt = 0;
  #answers = true;

  constructor(options: ProbeLoopOptions) {
    this.#options = options;
  }

  /** Starts, or goes on with another postmaster; one that is probed already is left alone. */
  run(file: PostmasterPid): void {
    const target = probeTarget(file);
    if (JSON.stringify(target) === JSON.stringify(this.#target)) return;
    this.stop();
    this.#target = target;
    this.#lastAnswerAt = this.#options.clock.monotonicMs();
    void this.#probe();
  }

  /** Ends; the next start begins with a postmaster that answers. */
  stop(): void {
    this.#target = undefined;
    this.#answers = true;
    this.#timer?.cancel();
    this.#cancel?.abort();
  }

  async #probe(): Promise<void> {
    const { clock, timing, onVerdict } = this.#options;
    const target = this.#target;
    if (target === undefined) return;
    const cancel = new AbortController();
    this.#cancel = cancel;
    const begunAt = clock.monotonicMs();
    const { timeoutMs, intervalMs } = timing();
    const leftMs = this.#answers ? timeoutMs - (begunAt - this.#lastAnswerAt) : timeoutMs;
    const limitMs = Math.max(Math.min(SHORTEST_PROBE_MS, timeoutMs), leftMs) + 1;
    const { answered, text } = await probePostmaster(target, limitMs, cancel.signal);
    if (cancel.signal.aborted) return;
    const now = clock.monotonicMs();
    if (answered) this.#lastAnswerAt = now;
    const answers = answered || (this.#answers && now - this.#lastAnswerAt < timeoutMs);
    const changed = answers !== this.#answers;
    this.#answers = answers;
    const nextMs = answered ? intervalMs - (now - begunAt) : Math.min(RETRY_MS, intervalMs);
    this.#timer = clock.setTimer(Math.max(0, nextMs), () => void this.#probe());
    if (changed) onVerdict(answers, text);
  }
}
