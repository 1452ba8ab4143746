/** The unit by which a service manager runs a conmgr, driven with systemctl(1). */
import { complaintsIn } from '../core/ctl/log-excerpt.js';
import { refusalIn } from '../core/ctl/systemctl-refusal.js';
import {
  describeUnit,
  isBusy,
  readUnitState,
  UNIT_PROPERTIES,
  type UnitState,
} from '../core/ctl/unit-state.js';
import { journalCommand } from '../core/ctl/unit-words.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { identifyProcess, untilGone } from '../io/conmgr-process.js';
import { saidByInvocation } from '../io/invocation-journal.js';
import { type ActOptions, type Systemctl, SystemctlError, type UnitVerb } from '../io/systemctl.js';
import type { StartEnd, StartedConmgr, UnitHandle } from './manager.js';
import { isProcessFailure, unitRefused } from './unit-refused.js';

export interface SystemdUnitOptions {
  readonly systemctl: Systemctl;
  /** `conmgr@app1.service`. */
  readonly name: string;
  /** systemctl may ask for a password at the terminal, where nothing else may be printed meanwhile. */
  readonly mayAsk: boolean;
  /** Reads the journal; tests have their own. */
  readonly journalctl?: string;
}

export class SystemdUnit implements UnitHandle {
  readonly name: string;
  readonly #systemctl: Systemctl;
  readonly #mayAsk: boolean;
  readonly #journalctl: string | undefined;

  constructor({ systemctl, name, mayAsk, journalctl }: SystemdUnitOptions) {
    this.name = name;
    this.#systemctl = systemctl;
    this.#mayAsk = mayAsk;
    this.#journalctl = journalctl;
  }

  start(): Promise<StartedConmgr> {
    return this.#launch('start', undefined);
  }

  restart(was: number | undefined): Promise<StartedConmgr> {
    return this.#launch('restart', was);
  }

  orderRestart(): Promise<void> {
    return this.#act('restart', { args: ['--no-block'] });
  }

  /** `quiet`: asks for no password. */
  orderStop({ quiet = false } = {}): Promise<void> {
    return this.#act('stop', { args: ['--no-block'], quiet });
  }

  reload(): Promise<void> {
    return this.#act('reload');
  }

  async state(): Promise<UnitState> {
    try {
      return readUnitState(await this.#systemctl.show(this.name, UNIT_PROPERTIES));
    } catch (error) {
      throw this.#refused('show', error);
    }
  }

  async #launch(verb: 'start' | 'restart', was: number | undefined): Promise<StartedConmgr> {
    const released = new AbortController();
    const job = this.#act(verb, { signal: released.signal }).then(() => this.#assertRun());
    // Whoever types a password has the terminal for himself, so nothing is shown until that is over.
    if (this.#mayAsk) {
      await job.catch((error: unknown) => {
        if (!isProcessFailure(error)) throw error;
      });
    }
    return {
      pid: async () => (await this.state().catch(() => undefined))?.pid,
      isOurs: (pid) => pid !== was,
      log: `with "${journalCommand(this.#systemctl.scope, this.name)}"`,
      ready: new Promise((resolve) => void job.then(resolve, () => {})),
      ended: this.#end(job, released.signal),
      release: () => released.abort(),
    };
  }

  async #end(job: Promise<void>, released: AbortSignal): Promise<StartEnd> {
    try {
      try {
        await job;
        const { pid } = await this.state();
        const process = pid === undefined ? undefined : identifyProcess(pid);
        if (process !== undefined && !(await untilGone(process, released))) return await never();
      } catch (error) {
        if (!isProcessFailure(error)) throw error;
      }
      return await this.#explainEnd();
    } catch (error) {
      // An interruption from the keyboard ends systemctl as well, and cm_ctl says so itself.
      if (released.aborted || isInterruption(error)) return never();
      return { status: null, complaints: [], problem: error };
    }
  }

  async #explainEnd(): Promise<StartEnd> {
    const state = await this.state();
    const { invocation, exitStatus = null } = state;
    const program = this.#journalctl;
    const said = await saidByInvocation({ invocation, ...(program !== undefined && { program }) });
    const complaints = complaintsIn(said);
    return {
      status: exitStatus,
      complaints: complaints.length > 0 ? complaints : [describeUnit(this.name, state)],
      retried: isBusy(state),
    };
  }

  async #act(verb: UnitVerb, options: ActOptions = {}): Promise<void> {
    try {
      await this.#systemctl.act(verb, [this.name], options);
    } catch (error) {
      const isMasked = error instanceof SystemctlError && refusalIn(error.text) === 'masked';
      throw this.#refused(verb, error, isMasked ? await this.#file() : '');
    }
  }

  /** A job is done, too, when a condition made it do nothing. */
  async #assertRun(): Promise<void> {
    const state = await this.state().catch(() => undefined);
    if (state?.skipped !== true) return;
    const command = journalCommand(this.#systemctl.scope, this.name);
    throw new MessageError(CTL_MESSAGES.unitSkipped, { unit: this.name, command });
  }

  /** Never rejects. */
  async #file(): Promise<string> {
    const { FragmentPath = '' } = await this.#systemctl
      .show(this.name, ['FragmentPath'])
      .catch(() => NOTHING);
    return FragmentPath;
  }

  #refused(verb: string, error: unknown, file = ''): unknown {
    if (!(error instanceof SystemctlError)) return error;
    return unitRefused({ verb, unit: this.name, scope: this.#systemctl.scope, file }, error);
  }
}

const NOTHING: Readonly<Record<string, string>> = {};

function never(): Promise<never> {
  return new Promise(() => {});
}

function isInterruption(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof SystemctlError && cause.status === null;
}
