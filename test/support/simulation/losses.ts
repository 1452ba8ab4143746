/** The terminator of a simulated watchdog: the machine of core/terminator, and what is remembered over a restart. */
import type { Caller, Departure } from '../../../src/core/session/session.js';
import {
  type LossEffect,
  type LossEvent,
  type LossSettings,
  type LossState,
  lossWakeAt,
  newLoss,
} from '../../../src/core/terminator/loss.js';
import { stepLoss } from '../../../src/core/terminator/loss-table.js';
import { planPass, type SqlSession, sessionKey } from '../../../src/core/terminator/pass.js';
import { reasonAgainst, verdictOf } from '../../../src/core/terminator/verdict.js';
import type { WatchedSessions } from '../../../src/core/terminator/watched.js';
import { NEVER } from '../../../src/core/time.js';
import type { SimPostgres } from './postgres.js';
import type { SimLink, WatchdogSettings } from './watchdog-process.js';
import type { World } from './world.js';

/** authentication_timeout of a simulated instance. */
const REPEAT_FOR_MS = 3000;
/** How long one pass over the sessions takes. */
const PASS_MS = 5;

/** What the watchdog process provides. */
export interface LossesSurroundings {
  /** A conmgr of the address is alive. */
  readonly otherLink: (address: string) => boolean;
  /** Does something later, within the process. */
  readonly later: (delayMs: number, deed: () => void) => void;
}

interface Known {
  readonly conmgrId: string;
  readonly address: string;
  readonly label: string;
  readonly timeoutMs: number;
  readonly beats: number;
  readonly watched: WatchedSessions;
}

interface Loss {
  readonly known: Known;
  /** With terminate_scope = monitored: which sessions are the conmgr's own. */
  readonly own: ((session: SqlSession) => boolean) | undefined;
  state: LossState;
}

export class Losses {
  readonly #world: World;
  readonly #instance: SimPostgres;
  readonly #settings: WatchdogSettings;
  readonly #surroundings: LossesSurroundings;
  readonly #losses = new Set<Loss>();
  /** The file that outlives the process. */
  readonly #file = new Map<string, Known>();

  constructor(
    world: World,
    instance: SimPostgres,
    settings: WatchdogSettings,
    surroundings: LossesSurroundings,
  ) {
    this.#world = world;
    this.#instance = instance;
    this.#settings = settings;
    this.#surroundings = surroundings;
  }

  wakeAt(): number {
    let at = NEVER;
    for (const { state } of this.#losses) at = Math.min(at, lossWakeAt(state));
    return at;
  }

  wake(): void {
    const { now } = this.#world;
    for (const loss of [...this.#losses]) {
      const due = lossWakeAt(loss.state);
      if (now < due) continue;
      const otherLink = loss.own === undefined && this.#surroundings.otherLink(loss.known.address);
      this.#step(loss, {
        type: 'woke',
        lateMs: this.#world.flaw === 'hasty-watchdog' ? 0 : now - due,
        paused: false,
        otherLink,
      });
    }
  }

  /** A link that is up, as it stands now. */
  remember(link: SimLink, caller: Caller, beats: number): void {
    const { conmgrId, label } = caller;
    const { timeoutMs } = link.state.data;
    const { address, watched } = link;
    this.#file.set(conmgrId, { conmgrId, address, label, timeoutMs, beats, watched });
  }

  /** The process ends: only the file is left. */
  forgetTimers(links: readonly SimLink[]): void {
    for (const { known } of this.#losses) this.#file.set(known.conmgrId, known);
    this.#losses.clear();
    for (const { state } of links) {
      const { caller, beats } = state.data;
      const known = caller === undefined ? undefined : this.#file.get(caller.conmgrId);
      if (known !== undefined) this.#file.set(known.conmgrId, { ...known, beats });
    }
  }

  /** A new process: whoever was known has some time to come back. */
  recall(): void {
    for (const known of this.#file.values()) {
      if (this.#against(known, false) !== undefined) continue;
      this.#add(known, 'timeout', Math.max(known.timeoutMs, this.#settings.graceMs), false);
    }
  }

  /** What the lost link of a conmgr had reported. */
  priorWatched(conmgrId: string, address: string): WatchedSessions | undefined {
    return [...this.#losses].find(({ known }) => known.conmgrId === conmgrId && known.address === address)
      ?.known.watched;
  }

  get #monitored(): boolean {
    return this.#settings.terminateScope === 'monitored';
  }

  #against({ beats, watched }: Known, disputed: boolean): string | undefined {
    const untold = this.#monitored && !watched.told;
    return reasonAgainst({ welcomed: true, beats, allowed: true, disputed, untold, authenticated: true });
  }

  priorBeats(conmgrId: string, address: string): number {
    return [...this.#losses]
      .filter(({ known }) => known.conmgrId === conmgrId && known.address === address)
      .reduce((most, { known }) => Math.max(most, known.beats), 0);
  }

  linkUp(link: SimLink): void {
    for (const loss of [...this.#losses]) {
      if (loss.known.conmgrId === link.state.data.caller?.conmgrId) this.#step(loss, { type: 'back' });
      if (loss.known.address === link.address && loss.own === undefined)
        this.#step(loss, { type: 'addressBack' });
    }
  }

  lost(link: SimLink, departure: Departure): void {
    const { caller, beats, timeoutMs } = link.state.data;
    if (caller === undefined) return;
    this.#file.delete(caller.conmgrId);
    const { verdict, logOnly } = verdictOf(departure, this.#settings.terminateOn);
    if (verdict === 'spare') {
      this.#note(`nothing is ended for ${caller.label} (${departure})`);
      return;
    }
    const { address, watched } = link;
    const known = { conmgrId: caller.conmgrId, address, label: caller.label, timeoutMs, beats, watched };
    const against = this.#against(known, link.disputed);
    if (against !== undefined) {
      this.#note(`nothing is ended for ${caller.label}: ${against}`);
      return;
    }
    this.#add(known, departure, verdict === 'afterGrace' ? this.#settings.graceMs : 0, logOnly);
  }

  instanceDown(): void {
    for (const loss of [...this.#losses]) this.#step(loss, { type: 'instanceDown' });
  }

  #add(known: Known, departure: Departure, graceMs: number, logOnly: boolean): void {
    const settings: LossSettings = {
      conmgrId: known.conmgrId,
      address: known.address,
      departure,
      text: '',
      graceMs,
      logOnly,
      repeatForMs: REPEAT_FOR_MS,
    };
    if (graceMs > 0) this.#note(`sessions of ${known.label} are ended in ${graceMs} ms unless it is back`);
    const own = this.#monitored ? known.watched.recogniser(known.address) : undefined;
    this.#losses.add({ known, own, state: newLoss(settings, this.#world.now) });
  }

  #step(loss: Loss, event: LossEvent): void {
    if (!this.#losses.has(loss)) return;
    const { state, effects } = stepLoss(loss.state, event, this.#world.now);
    loss.state = state;
    if (state.phase === 'over') this.#losses.delete(loss);
    for (const effect of effects) this.#carryOut(loss, effect);
  }

  #carryOut(loss: Loss, effect: LossEffect): void {
    const { label } = loss.known;
    switch (effect.do) {
      case 'pass':
        this.#pass(loss, effect);
        return;
      case 'reportOmitted':
        this.#note(`${label} is lost, but its address is alive: nothing is ended`);
        return;
      case 'reportLogOnly':
        this.#note(`${label} is lost: sessions would be ended`);
        return;
      case 'reportBack':
        this.#note(`${label} is back after ${effect.afterMs} ms: nothing is ended`);
        return;
      case 'reportDoubt':
        this.#note(`was late by ${effect.lateMs} ms; ${label} is given that time`);
        return;
      case 'reportPass': {
        const { ended, replication } = effect.result;
        const applications = ended.map((session) => session.application);
        const names = applications.join(', ');
        const server = this.#instance.name;
        if (names !== '') this.#world.observer?.({ kind: 'ended', server, conmgr: label, applications });
        const spared = replication.length === 0 ? '' : `, ${replication.length} walsenders spared`;
        this.#note(`ended sessions of ${label}: ${names === '' ? 'none' : names}${spared}`);
        return;
      }
      case 'reportDeferred':
        this.#note(`${effect.session.application} waits for synchronous replication and is left alone`);
        return;
      case 'reportHeld':
      case 'reportFailure':
      case 'reportOver':
        return;
    }
  }

  /** Ends what is to be ended; the answer comes a moment later, as from a server. */
  #pass(loss: Loss, { only }: Extract<LossEffect, { do: 'pass' }>): void {
    const sessions = this.#instance
      .activity(loss.known.address)
      .filter((session) => only === undefined || only.has(sessionKey(session)))
      .filter(
        (session) =>
          loss.own === undefined || this.#world.flaw === 'boundless-terminator' || loss.own(session),
      );
    const plan = planPass(sessions, { excludeReplication: true });
    for (const session of plan.end) this.#instance.end(session.application, 'terminator');
    this.#surroundings.later(PASS_MS, () =>
      this.#step(loss, {
        type: 'passed',
        result: {
          serverTime: 'now',
          ended: plan.end,
          deferred: plan.deferred,
          replication: plan.replication,
          forbidden: [],
          prepared: 0,
        },
      }),
    );
  }

  #note(text: string): void {
    this.#world.note(`watchdog ${this.#instance.name}`, text);
  }
}
