/**
 * Ends the SQL sessions of client hosts that are lost. Everything is done in its own SQL connection and awaited, so
 * heartbeats never wait for it.
 */
import type { WatchdogConfig } from '../core/config/types.js';
import type { LossStatus, TerminateReport } from '../core/control/watchdog.js';
import type { Log } from '../core/messages/message.js';
import { TERMINATOR_MESSAGES } from '../core/messages/terminator.js';
import type { Departure } from '../core/session/session.js';
import {
  type LossEffect,
  type LossEvent,
  type LossState,
  lossWakeAt,
  newLoss,
} from '../core/terminator/loss.js';
import { stepLoss } from '../core/terminator/loss-table.js';
import { describeSessions, type PassPlan, type SqlSession, wouldEnd } from '../core/terminator/pass.js';
import { DEPARTURE_VERDICTS, reasonAgainst, type Standing, verdictOf } from '../core/terminator/verdict.js';
import type { WatchedSessions } from '../core/terminator/watched.js';
import type { Clock, TimerHandle } from '../core/time.js';
import { type PgSession, SqlUnreachable } from '../io/pg-session.js';
import { PassBroken, type PassOptions, planFor, runPass } from './end-sessions.js';
import { LinkUpSurvey } from './link-up-survey.js';
import { LossReport } from './loss-report.js';

/** A pass ends all sessions of an address, so more losses of one address than that add nothing but work. */
const MOST_LOSSES_OF_ADDRESS = 32;
/** With watchdog.terminate_scope = monitored each loss has its own; a site behind one address may be lost at once. */
const MOST_MONITORED_LOSSES = 512;

/** A conmgr whose link is gone. */
export interface LostLink {
  readonly conmgrId: string;
  /** Normalised. */
  readonly address: string;
  readonly label: string;
  readonly timeoutMs: number;
  readonly beats: number;
  /** What it had reported; undefined when it never did. */
  readonly watched?: WatchedSessions | undefined;
  /** It has proven a secret or a certificate. */
  readonly authenticated: boolean;
}

export interface TerminatorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly config: () => Pick<
    WatchdogConfig,
    'terminateOn' | 'terminateScope' | 'excludeReplication' | 'restartGraceMs'
  >;
  /** The SQL connection kept for ending sessions. */
  readonly session: () => PgSession | undefined;
  readonly ownPids: () => readonly number[];
  /** A conmgr is connected from the address and has sent a packet within its own time-out. */
  readonly otherLink: (address: string) => boolean;
  /** Tells, for each other conmgr that is alive at the address, which sessions it has reported. */
  readonly alsoWatched: (address: string, otherThan: string) => readonly ((session: SqlSession) => boolean)[];
  /** authentication_timeout of the instance. */
  readonly authenticationTimeoutMs: () => number;
  /** What is remembered over a restart has changed. */
  readonly onChange: () => void;
}

interface Loss {
  readonly link: LostLink;
  readonly report: LossReport;
  readonly lostWallMs: number;
  /** Whose sessions are ended with it: undefined: all of its address. */
  readonly own: ((session: SqlSession) => boolean) | undefined;
  state: LossState;
  timer: TimerHandle | undefined;
}

export class Terminator {
  readonly #options: TerminatorOptions;
  readonly #losses = new Set<Loss>();
  readonly #survey: LinkUpSurvey;
  #paused = false;
  #ended = 0;
  #stopped = false;

  constructor(options: TerminatorOptions) {
    this.#options = options;
    const { clock, log } = options;
    this.#survey = new LinkUpSurvey(clock, log, (address) => this.#plan(address));
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Sessions ended since the start. */
  get ended(): number {
    return this.#ended;
  }

  /** Losses that are not over: remembered over a restart of the watchdog. */
  get pending(): readonly LostLink[] {
    return [...this.#losses].map(({ link }) => link);
  }

  /** A link has gone. */
  lost(link: LostLink, standing: Standing, departure: Departure, text: string): void {
    const { log, config } = this.#options;
    const { verdict, logOnly } = verdictOf(departure, config().terminateOn);
    const names = { peer: link.address, label: link.label, words: DEPARTURE_VERDICTS[departure].words };
    if (verdict === 'spare') {
      if (departure !== 'replaced') log.write(TERMINATOR_MESSAGES.lossSpared, names);
      return;
    }
    const against = reasonAgainst(standing);
    if (against !== undefined) {
      log.write(TERMINATOR_MESSAGES.lossWithoutRight, { ...names, reason: against });
      return;
    }
    const most = this.#monitored ? MOST_MONITORED_LOSSES : MOST_LOSSES_OF_ADDRESS;
    if ([...this.#losses].filter((loss) => loss.link.address === link.address).length >= most) {
      const reason = `${most} losses of its address are being dealt with already`;
      log.write(TERMINATOR_MESSAGES.lossWithoutRight, { ...names, reason });
      return;
    }
    const graceMs = verdict === 'afterGrace' ? config().restartGraceMs : 0;
    if (graceMs > 0) log.write(TERMINATOR_MESSAGES.lossWaits, { ...names, seconds: graceMs / 1000 });
    this.#add(link, departure, text, graceMs, logOnly);
  }

  /** A link known before a restart of the watchdog: it counts as timed out unless the conmgr comes back. */
  remember(link: LostLink, standing: Standing): void {
    const { log, config } = this.#options;
    if (reasonAgainst(standing) !== undefined) return;
    const graceMs = Math.max(link.timeoutMs, config().restartGraceMs);
    const names = { peer: link.address, label: link.label, seconds: graceMs / 1000 };
    log.write(TERMINATOR_MESSAGES.lossFromBefore, names);
    this.#add(
      link,
      'timeout',
      'not back after the restart of the watchdog',
      graceMs,
      config().terminateOn === 'never',
    );
  }

  #add(link: LostLink, departure: Departure, text: string, graceMs: number, logOnly: boolean): void {
    const { clock, log, authenticationTimeoutMs } = this.#options;
    const { conmgrId, address } = link;
    const repeatForMs = authenticationTimeoutMs();
    const settings = { conmgrId, address, departure, text, graceMs, logOnly, repeatForMs };
    const left = this.#monitored ? (link.watched?.unrecognisable(address) ?? 0) : 0;
    if (left > 0)
      log.write(TERMINATOR_MESSAGES.sessionsUnrecognised, {
        peer: address,
        label: link.label,
        sessions: left,
      });
    const loss: Loss = {
      link,
      report: new LossReport(log, link.label),
      lostWallMs: clock.wallMs(),
      own: this.#monitored ? (link.watched?.recogniser(address) ?? (() => false)) : undefined,
      state: newLoss(settings, clock.monotonicMs()),
      timer: undefined,
    };
    this.#losses.add(loss);
    this.#arm(loss);
    this.#options.onChange();
  }

  /** BEATs that the lost link of a conmgr had had, if it is among the losses: it goes on where it was. */
  priorBeats(conmgrId: string, address: string): number {
    return [...this.#losses]
      .filter(({ link }) => link.conmgrId === conmgrId && link.address === address)
      .reduce((most, { link }) => Math.max(most, link.beats), 0);
  }

  /** What the lost link of a conmgr had reported, if it is among the losses. */
  priorWatched(conmgrId: string, address: string): WatchedSessions | undefined {
    const known = this.pending.filter((link) => link.conmgrId === conmgrId && link.address === address);
    return known.at(-1)?.watched;
  }

  get #monitored(): boolean {
    return this.#options.config().terminateScope === 'monitored';
  }

  /** A conmgr has connected. */
  linkUp(conmgrId: string, address: string): void {
    for (const loss of [...this.#losses]) {
      if (loss.link.conmgrId === conmgrId) this.#step(loss, { type: 'back' });
      // Sessions that were reported are told from those of the other conmgrs of the address.
      if (loss.link.address === address && loss.own === undefined) this.#step(loss, { type: 'addressBack' });
    }
    if (!this.#monitored) this.#survey.add(address);
  }

  /** There is an SQL connection again. */
  connected(): void {
    this.#survey.run();
  }

  instanceDown(): void {
    for (const loss of [...this.#losses]) this.#step(loss, { type: 'instanceDown' });
  }

  pause(): void {
    this.#paused = true;
    this.#options.log.write(TERMINATOR_MESSAGES.paused);
    this.#options.onChange();
  }

  resume(): void {
    this.#paused = false;
    this.#options.log.write(TERMINATOR_MESSAGES.resumed);
    for (const loss of [...this.#losses]) this.#step(loss, { type: 'resumed' });
    this.#options.onChange();
  }

  /** As before a restart of the watchdog; says nothing. */
  restorePause(paused: boolean): void {
    this.#paused = paused;
  }

  stop(): void {
    this.#stopped = true;
    this.#survey.stop();
    for (const { timer } of this.#losses) timer?.cancel();
  }

  /** Ends the sessions of an address by order, or only tells which. Rejects with PassBroken, SqlError, SqlUnreachable. */
  async order(address: string, dryRun: boolean): Promise<TerminateReport> {
    const session = this.#session();
    const plan = await planFor(session, this.#pass([address]));
    const report = { address, dryRun, would: wouldEnd(plan) };
    if (dryRun) return { ...report, ended: 0, forbidden: 0, deferred: plan.deferred.length, prepared: 0 };
    const { ended, forbidden, deferred, prepared } = await runPass(session, this.#pass([address]));
    this.#ended += ended.length;
    this.#options.log.write(TERMINATOR_MESSAGES.terminatedByOperator, {
      peer: address,
      sessions: ended.length,
      programs: describeSessions(ended) || 'None',
    });
    return {
      ...report,
      ended: ended.length,
      forbidden: forbidden.length,
      deferred: deferred.length,
      prepared,
    };
  }

  status(): readonly LossStatus[] {
    const now = this.#options.clock.monotonicMs();
    return [...this.#losses].map(({ state, lostWallMs }) => ({
      address: state.data.settings.address,
      conmgrId: state.data.settings.conmgrId,
      departure: state.data.settings.departure,
      text: state.data.settings.text,
      phase: state.data.held ? 'held' : state.phase,
      lostAt: lostWallMs,
      dueInMs: Number.isFinite(state.data.dueAt) ? Math.max(0, Math.round(state.data.dueAt - now)) : null,
      ended: state.data.ended,
      waiting: state.data.deferred.length,
    }));
  }

  #step(loss: Loss, event: LossEvent): void {
    if (this.#stopped) return;
    const { state, effects } = stepLoss(loss.state, event, this.#options.clock.monotonicMs());
    loss.state = state;
    for (const effect of effects) this.#carryOut(loss, effect);
    this.#arm(loss);
    if (state.phase === 'over' && this.#losses.delete(loss)) this.#options.onChange();
  }

  #arm(loss: Loss): void {
    const { clock } = this.#options;
    loss.timer?.cancel();
    const dueAt = lossWakeAt(loss.state);
    loss.timer = clock.setTimer(dueAt - clock.monotonicMs(), () => {
      const lateMs = clock.monotonicMs() - dueAt;
      // What has arrived meanwhile, a HELLO perhaps, is read first.
      setImmediate(() => {
        const otherLink = loss.own === undefined && this.#options.otherLink(loss.link.address);
        this.#step(loss, { type: 'woke', lateMs, paused: this.#paused, otherLink });
      });
    });
  }

  #carryOut(loss: Loss, effect: LossEffect): void {
    const { data } = loss.state;
    if (effect.do === 'pass') void this.#runPass(loss, effect);
    else if (effect.do === 'reportOmitted' || effect.do === 'reportLogOnly') {
      void this.#plan(loss.link.address, this.#ownOf(loss)).then((plan) =>
        loss.report.effect(effect, data, plan),
      );
    } else loss.report.effect(effect, data);
  }

  async #runPass(loss: Loss, { notAfter, only }: Extract<LossEffect, { do: 'pass' }>): Promise<void> {
    try {
      const options = { ...this.#pass([loss.link.address]), notAfter, only, own: this.#ownOf(loss) };
      const result = await runPass(this.#session(), options);
      this.#ended += result.ended.length;
      this.#step(loss, { type: 'passed', result });
    } catch (error) {
      if (error instanceof PassBroken && error.ended.length > 0) {
        this.#ended += error.ended.length;
        loss.report.ended(loss.state.data, error.ended, 0);
      }
      this.#step(loss, { type: 'passFailed', text: (error as Error).message });
    }
  }

  /** Whose sessions are ended now: a guarded session may be watched by a neighbour as well, and then its host is alive. */
  #ownOf({ own, link }: Loss): Loss['own'] {
    if (own === undefined) return undefined;
    const others = this.#options.alsoWatched(link.address, link.conmgrId);
    return (session) => own(session) && !others.some((watches) => watches(session));
  }

  async #plan(address: string, own?: Loss['own']): Promise<PassPlan | undefined> {
    try {
      return await planFor(this.#session(), { ...this.#pass([address]), own });
    } catch {
      return undefined;
    }
  }

  #pass(addresses: readonly string[]): PassOptions {
    const { ownPids, config } = this.#options;
    return { addresses, ownPids: ownPids(), excludeReplication: config().excludeReplication };
  }

  #session(): PgSession {
    const session = this.#options.session();
    if (session === undefined) throw new SqlUnreachable('no connection to the instance');
    return session;
  }
}
