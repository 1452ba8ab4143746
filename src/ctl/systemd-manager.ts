/** Starts and stops conmgr through the service manager that runs it, or should run it. */
import type { StopMode } from '../core/control/protocol.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { Systemctl, type SystemctlOptions } from '../io/systemctl.js';
import type { Manager, StartedConmgr, StartRequest } from './manager.js';
import { SystemdUnit } from './systemd-unit.js';

export interface SystemdManagerOptions {
  /** Which manager, and how it is reached. */
  readonly systemctl: SystemctlOptions;
  /** `conmgr@app1.service`. */
  readonly unit: string;
  /** Talks to a process itself: systemctl has no smart and no immediate stop. */
  readonly direct: Pick<Manager, 'stop'>;
  readonly journalctl?: string;
}

export class SystemdManager implements Manager {
  readonly kind: 'system' | 'user';
  readonly unit: SystemdUnit;
  readonly #mayAsk: boolean;
  readonly #direct: Pick<Manager, 'stop'>;

  constructor({ systemctl, unit, direct, journalctl }: SystemdManagerOptions) {
    const program = new Systemctl(systemctl);
    this.kind = systemctl.scope;
    this.#mayAsk = program.mayAsk;
    this.#direct = direct;
    this.unit = new SystemdUnit({
      systemctl: program,
      name: unit,
      mayAsk: program.mayAsk,
      ...(journalctl !== undefined && { journalctl }),
    });
  }

  async start({ logFile }: StartRequest): Promise<StartedConmgr> {
    if (logFile !== undefined) throw new MessageError(CTL_MESSAGES.logFileOfUnit, { unit: this.unit.name });
    return this.unit.start();
  }

  /**
   * fast is the manager's own stop. smart and immediate are told to the process, which ends with status 0 then, so that
   * it is not started again. Whoever owns the process may stop it, whatever he may do with the unit.
   */
  async stop(directory: string, pid: number, mode: StopMode): Promise<void> {
    if (mode === 'smart' || mode === 'immediate') {
      await this.#direct.stop(directory, pid, mode).catch((cause: unknown) => {
        if (!(cause instanceof MessageError) || cause.spec !== CTL_MESSAGES.signalFailed) throw cause;
        const params = { mode, unit: this.unit.name };
        throw new MessageError(CTL_MESSAGES.unitModeDenied, params, { cause });
      });
      return;
    }
    try {
      await this.unit.orderStop({ quiet: true });
    } catch (refusal) {
      if (!isDenied(refusal)) throw refusal;
      try {
        await this.#direct.stop(directory, pid, 'fast');
      } catch {
        if (!this.#mayAsk) throw refusal;
        await this.unit.orderStop();
      }
    }
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof MessageError && error.spec === CTL_MESSAGES.unitDenied;
}
