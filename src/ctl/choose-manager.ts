/** Finds the manager of a conmgr, running or not: the rules of docs/decisions/0021-cm_ctl-and-systemd.md carried out. */
import { realpath, stat } from 'node:fs/promises';
import { chooseKind } from '../core/ctl/manager-choice.js';
import { isHeld, readUnitState, UNIT_PROPERTIES } from '../core/ctl/unit-state.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { lookAtConmgr } from '../io/conmgr-process.js';
import { type ManagerScope, Systemctl, type SystemctlOptions, systemdRuns } from '../io/systemctl.js';
import { conmgrDirectory, homeOfUser, namedDirectories } from '../io/unit-directory.js';
import { unitsOfDirectory } from '../io/unit-links.js';
import { lookUpUser } from '../io/user-lookup.js';
import { isEnabledByUser, userManagerRuns } from '../io/user-units.js';
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
  readonly #home: string;

  constructor(options: HostManagersOptions) {
    this.#options = options;
    this.#home = options.home ?? homeOfUser();
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
    const user = await this.#userOf(directory);
    const lookAtUser = async (): Promise<Candidates> => {
      if (user !== undefined) known.user = await this.#candidates('user', directory, booted, user);
      return known.user;
    };
    const kind = await chooseKind(wanted, {
      logFileGiven: logFile !== undefined,
      systemdRuns: booted,
      root: uid === 0,
      belongsToSystem: await isBelow(directory, namedDirectories(false)),
      heldBySystem: async () => known.system.held,
      knownToUser: async () => {
        const { held, failed, silent } = await lookAtUser();
        return silent ? toStart && held : held || failed;
      },
      failedInSystem: async () => known.system.failed,
      userCanServe: async () =>
        known.user.unit !== undefined && new Systemctl(this.#reach('user')).hasTemplate(TEMPLATE),
    });
    if (kind === 'none') return direct;
    if (wanted === 'user') await lookAtUser();
    const { unit, silent } = known[kind];
    if (toStart && silent && kind === 'user') {
      const params = { directory, user: user?.name ?? uid };
      if (wanted === undefined) throw new MessageError(CTL_MESSAGES.ownManagerSilent, params);
      if (user?.runs === false) throw new MessageError(CTL_MESSAGES.userManagerSilent, params);
    }
    if (unit !== undefined)
      return this.#managed(kind === 'user' && user ? user.reach : this.#reach(kind), unit);
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

  /** Whose own manager may have to do with a directory: that of the caller, for root that of the owner. */
  async #userOf(directory: string): Promise<User | undefined> {
    const { uid } = this.#options;
    const reach = this.#reach('user');
    if (uid !== 0) return { name: await nameOf(uid), home: this.#home, reach, runs: true };
    const owner = await stat(directory).catch(() => undefined);
    const account = owner === undefined || owner.uid === 0 ? undefined : await lookUpUser(owner.uid);
    if (account?.home === undefined) return undefined;
    const { name, home } = account;
    return { name, home, reach: { ...reach, owner: name }, runs: userManagerRuns(account.uid) };
  }

  /** What the manager has for the directory. */
  async #candidates(
    kind: ManagerScope,
    directory: string,
    booted: boolean,
    { home, reach, runs }: Omit<User, 'name'> = { home: this.#home, reach: this.#reach(kind), runs: true },
  ): Promise<Candidates> {
    if (!booted) return NOTHING;
    const units = await unitsOfDirectory(directory, { user: kind === 'user', home });
    const systemctl = new Systemctl(reach);
    let failed: string | undefined;
    let silent = units.length > 0;
    for (const unit of units) {
      const properties = runs
        ? await systemctl.show(unit, UNIT_PROPERTIES).catch(() => undefined)
        : undefined;
      if (properties === undefined) continue;
      silent = false;
      const state = readUnitState(properties);
      if (isHeld(state)) return { unit, held: true, failed: false, silent };
      if (state.active === 'failed') failed ??= unit;
    }
    if (silent && kind === 'user') {
      for (const unit of units) {
        if (await isEnabledByUser(home, unit)) return { unit, held: true, failed: false, silent };
      }
    }
    return { unit: failed ?? units[0], held: false, failed: failed !== undefined, silent };
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
      return conmgrDirectory({ by: 'unit', unit, user: kind === 'user' }, this.#home);
    } catch {
      return undefined;
    }
  }
}

/** Of the units that can stand for a directory. */
interface Candidates {
  /** The one that the manager has to do with, or else the preferred one; undefined when there can be none. */
  readonly unit: string | undefined;
  /** It runs, or is registered. */
  readonly held: boolean;
  /** It is neither, and has failed. */
  readonly failed: boolean;
  /** The manager does not run or does not answer; what is held is known from the files of the user. */
  readonly silent: boolean;
}

const NOTHING: Candidates = { unit: undefined, held: false, failed: false, silent: false };

/** A user with a service manager of his own. */
interface User {
  readonly name: string;
  readonly home: string;
  readonly reach: SystemctlOptions;
  /** Whether it may be asked. */
  readonly runs: boolean;
}

async function nameOf(uid: number): Promise<string> {
  return (await userNames()).get(uid) ?? String(uid);
}

async function isBelow(directory: string, place: string): Promise<boolean> {
  const real = await realpath(directory).catch(() => directory);
  return [directory, real].some((path) => path.startsWith(`${place}/`));
}
