/** Finds the manager of a conmgr, running or not: the rules of docs/decisions/0021-cm_ctl-and-systemd.md carried out. */
import { realpath } from 'node:fs/promises';
import { chooseKind } from '../core/ctl/manager-choice.js';
import { isKnown, readUnitState, UNIT_PROPERTIES } from '../core/ctl/unit-state.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { lookAtConmgr } from '../io/conmgr-process.js';
import { type ManagerScope, Systemctl, type SystemctlOptions, systemdRuns } from '../io/systemctl.js';
import { conmgrDirectory, namedDirectories } from '../io/unit-directory.js';
import { unitsOfDirectory } from '../io/unit-links.js';
import { userNames } from '../io/users.js';
import type { ListedUnit, Manager, ManagerQuestion, Managers } from './manager.js';
import { SystemdManager } from './systemd-manager.js';

export interface HostManagersOptions {
  readonly uid: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** cm_ctl itself. */
  readonly direct: Manager;
  /** Tests have their own of all that follows. */
  readonly booted?: () => boolean;
  readonly systemctl?: string;
  readonly journalctl?: string;
  readonly home?: string;
}

const SCOPES: readonly ManagerScope[] = ['system', 'user'];
const TEMPLATE = 'conmgr@.service';
const INSTANCE = /^conmgr@(.+)\.service$/;

/** The managers of this host. */
export class HostManagers implements Managers {
  readonly #options: HostManagersOptions;
  readonly #booted: () => boolean;

  constructor(options: HostManagersOptions) {
    this.#options = options;
    this.#booted = options.booted ?? systemdRuns;
  }

  async choose(question: ManagerQuestion): Promise<Manager> {
    const { direct, uid } = this.#options;
    const { directory, pid, wanted, logFile, toStart } = question;
    const booted = this.#booted();
    if (!booted && wanted !== undefined && wanted !== 'none') {
      throw new MessageError(CTL_MESSAGES.managerMissing);
    }
    if (pid !== undefined) return (booted ? await this.#managerOf(pid) : undefined) ?? direct;
    const known = { system: await this.#candidates('system', directory, booted), user: NOTHING };
    const kind = await chooseKind(wanted, {
      logFileGiven: logFile !== undefined,
      systemdRuns: booted,
      root: uid === 0,
      belongsToSystem: await isBelow(directory, namedDirectories(false)),
      knownToSystem: async () => known.system.known !== undefined,
      knownToUser: async () => {
        known.user = await this.#candidates('user', directory, booted);
        return known.user.known !== undefined;
      },
      userCanServe: async () =>
        known.user.first !== undefined && new Systemctl(this.#reach('user')).hasTemplate(TEMPLATE),
    });
    if (kind === 'none') return direct;
    if (wanted === 'user') known.user = await this.#candidates('user', directory, booted);
    const unit = known[kind].known ?? known[kind].first;
    if (unit !== undefined) return this.#managed(this.#reach(kind), unit);
    if (toStart) throw new MessageError(CTL_MESSAGES.unitImpossible, { directory });
    return direct;
  }

  async list(): Promise<readonly ListedUnit[]> {
    if (!this.#booted()) return [];
    const lists = await Promise.all(
      SCOPES.map(async (kind): Promise<readonly ListedUnit[]> => {
        const systemctl = new Systemctl(this.#reach(kind));
        const lines = await systemctl.list(TEMPLATE.replace('@', '@*')).catch(() => []);
        return Promise.all(
          lines.map(async ({ unit, active }) => ({
            kind,
            name: unit,
            active,
            directory: this.#directoryOf(unit, kind),
            state: readUnitState(await systemctl.show(unit, UNIT_PROPERTIES).catch(() => ({}))),
          })),
        );
      }),
    );
    return lists.flat();
  }

  /** The units that stand for the directory: the one that the manager has to do with, and the one to prefer. */
  async #candidates(kind: ManagerScope, directory: string, booted: boolean): Promise<Candidates> {
    if (!booted) return NOTHING;
    const { home } = this.#options;
    const units = await unitsOfDirectory(directory, {
      user: kind === 'user',
      ...(home !== undefined && { home }),
    });
    const systemctl = new Systemctl(this.#reach(kind));
    for (const unit of units) {
      const properties = await systemctl.show(unit, UNIT_PROPERTIES).catch(() => undefined);
      if (properties !== undefined && isKnown(readUnitState(properties))) return { known: unit, first: unit };
    }
    return { known: undefined, first: units[0] };
  }

  /** The service manager that a process belongs to; undefined when nobody but itself would stop it. */
  async #managerOf(pid: number): Promise<Manager | undefined> {
    const process = await lookAtConmgr(pid);
    if (process?.unit === undefined) return undefined;
    const { unit, user } = process.unit;
    const owner = user && process.uid !== this.#options.uid ? await nameOf(process.uid) : undefined;
    const reach = { ...this.#reach(user ? 'user' : 'system'), ...(owner !== undefined && { owner }) };
    // A terminal is a service, too, and so is a container with services of its own: only what the unit runs counts.
    const unasked = { MainPID: INSTANCE.test(unit) ? String(pid) : '' };
    const { MainPID } = await new Systemctl(reach).show(unit, ['MainPID']).catch(() => unasked);
    if (MainPID !== String(pid)) return undefined;
    return this.#managed(reach, unit);
  }

  #managed(systemctl: SystemctlOptions, unit: string): Manager {
    const { direct, journalctl } = this.#options;
    return new SystemdManager({ systemctl, unit, direct, ...(journalctl !== undefined && { journalctl }) });
  }

  #reach(scope: ManagerScope): SystemctlOptions {
    const { environment, systemctl: program } = this.#options;
    return { scope, environment, ...(program !== undefined && { program }) };
  }

  #directoryOf(name: string, kind: ManagerScope): string | undefined {
    const { 1: unit = '' } = INSTANCE.exec(name) ?? [];
    try {
      return conmgrDirectory({ by: 'unit', unit, user: kind === 'user' }, this.#options.home);
    } catch {
      return undefined;
    }
  }
}

interface Candidates {
  readonly known: string | undefined;
  readonly first: string | undefined;
}

const NOTHING: Candidates = { known: undefined, first: undefined };

async function nameOf(uid: number): Promise<string> {
  return (await userNames()).get(uid) ?? String(uid);
}

async function isBelow(directory: string, place: string): Promise<boolean> {
  const real = await realpath(directory).catch(() => directory);
  return [directory, real].some((path) => path.startsWith(`${place}/`));
}
