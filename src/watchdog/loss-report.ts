/** What the terminator says about a loss. */
import type { Log, MessageParams } from '../core/messages/message.js';
import { TERMINATOR_MESSAGES } from '../core/messages/terminator.js';
import type { LossData, LossEffect } from '../core/terminator/loss.js';
import { describeSessions, type PassPlan, type SqlSession, wouldEnd } from '../core/terminator/pass.js';
import { DEPARTURE_VERDICTS } from '../core/terminator/verdict.js';

/** Pids named in a message; more are counted only. */
const MOST_PIDS = 20;

/** Writes the lines of one loss. */
export class LossReport {
  readonly #log: Log;
  readonly #label: string;

  constructor(log: Log, label: string) {
    this.#log = log;
    this.#label = label;
  }

  /** Carries out a report effect; those that need a count come with a plan. */
  effect(effect: LossEffect, data: LossData, plan?: PassPlan): void {
    const log = (spec: Parameters<Log['write']>[0], params: MessageParams = {}): void =>
      this.#log.write(spec, { peer: data.settings.address, label: this.#label, ...params });
    const words = DEPARTURE_VERDICTS[data.settings.departure].words;
    switch (effect.do) {
      case 'pass':
        return;
      case 'reportOmitted':
      case 'reportLogOnly': {
        const { sessions, programs } = wouldEnd(plan ?? { end: [], deferred: [], replication: [] });
        const spec =
          effect.do === 'reportOmitted' ? TERMINATOR_MESSAGES.lossOmitted : TERMINATOR_MESSAGES.lossLogged;
        log(spec, {
          sessions,
          programs: plan === undefined ? 'They could not be counted' : orNone(programs),
        });
        return;
      }
      case 'reportHeld':
        log(TERMINATOR_MESSAGES.lossHeld);
        return;
      case 'reportBack':
        log(TERMINATOR_MESSAGES.conmgrBack, { afterMs: effect.afterMs });
        return;
      case 'reportDoubt':
        log(TERMINATOR_MESSAGES.lossDoubt, { lateMs: effect.lateMs });
        return;
      case 'reportPass': {
        const { ended, replication, prepared } = effect.result;
        if (effect.first || ended.length > 0) this.ended(data, ended, replication.length);
        if (effect.first && prepared > 0) log(TERMINATOR_MESSAGES.preparedSurvive, { count: prepared });
        if (effect.forbidden.length > 0) {
          log(TERMINATOR_MESSAGES.sessionsForbidden, {
            sessions: effect.forbidden.length,
            programs: describeSessions(effect.forbidden),
            pids: pidList(effect.forbidden),
          });
        }
        return;
      }
      case 'reportDeferred': {
        const { session } = effect;
        log(TERMINATOR_MESSAGES.sessionDeferred, {
          pid: session.pid,
          seconds: Math.round(session.stateAgeMs / 1000),
          programs: describeSessions([session]),
        });
        return;
      }
      case 'reportFailure':
        log(TERMINATOR_MESSAGES.passFailed, { reason: effect.text });
        return;
      case 'reportOver':
        log(TERMINATOR_MESSAGES.lossOver, { sessions: effect.ended, words });
        return;
    }
  }

  /** Sessions that were ended, also where the pass broke off. */
  ended(data: LossData, sessions: readonly SqlSession[], replication: number): void {
    this.#log.write(TERMINATOR_MESSAGES.sessionsEnded, {
      peer: data.settings.address,
      label: this.#label,
      words: DEPARTURE_VERDICTS[data.settings.departure].words,
      sessions: sessions.length,
      programs: orNone(describeSessions(sessions)),
      spared: replication === 0 ? '' : `; ${replication} replication connections are spared`,
    });
  }
}

function orNone(programs: string): string {
  return programs === '' ? 'None' : programs;
}

function pidList(sessions: readonly SqlSession[]): string {
  const pids = sessions.slice(0, MOST_PIDS).map(({ pid }) => pid);
  return pids.join(', ') + (sessions.length > MOST_PIDS ? ', …' : '');
}
