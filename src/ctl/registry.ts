/**
 * The service manager that an instance is registered with: that of the host for root, that of the user otherwise
 * (docs/decisions/0021-cm_ctl-and-systemd.md), and what is set up there for one unit.
 */
import { constants, existsSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { DROP_INS, type DropInName, isOwnDropIn } from '../core/ctl/drop-in.js';
import { unmaskCommand } from '../core/ctl/unit-words.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { namesIn, readUnitFile, removeUnitFile, writeUnitFile } from '../io/drop-in-files.js';
import { makeDirectories } from '../io/make-directories.js';
import { errorText } from '../io/native.js';
import { type ManagerScope, Systemctl, SystemctlError, systemdRuns } from '../io/systemctl.js';
import { TARGET_LISTS } from '../io/target-lists.js';
import { homeOfUser, namedDirectories } from '../io/unit-directory.js';
import { lookUpUser } from '../io/user-lookup.js';
import type { Call } from './call.js';
import { shellWord } from './init.js';
import { pathOf } from './manager-of.js';
import { refuseRoot } from './root.js';

/** Where a manager keeps its things; tests have their own. */
export interface RegistryPlaces {
  /** Unit files of the administrator, or of the user. */
  readonly units: string;
  /** Directories that are known by a name. */
  readonly named: string;
  /** Exists where systemd runs. */
  readonly booted?: string;
  /** Holds a file for each user whose manager lingers (loginctl(1)). */
  readonly linger: string;
  /** Lists of conmgr-helper; only the manager of the host has any. */
  readonly lists?: string;
}

export function usualPlaces(scope: ManagerScope): RegistryPlaces {
  const home = homeOfUser();
  const units = scope === 'system' ? '/etc/systemd/system' : join(home, '.config/systemd/user');
  const places = {
    units,
    named: namedDirectories(scope === 'user', home),
    linger: '/var/lib/systemd/linger',
  };
  return scope === 'system' ? { ...places, lists: TARGET_LISTS } : places;
}

/** The one target that starts what is enabled on a host; the manager of a user has none of ours. */
const TARGET = 'conmgr.target';

/** What a manager says of one unit. */
export interface RegisteredUnit {
  readonly enabled: boolean;
  readonly running: boolean;
  /** LimitNOFILE=, the hard limit; undefined when it is not told. */
  readonly limit: number | undefined;
}

export class Registry {
  readonly scope: ManagerScope;
  readonly places: RegistryPlaces;
  readonly systemctl: Systemctl;

  constructor(scope: ManagerScope, places: RegistryPlaces, systemctl: Systemctl) {
    this.scope = scope;
    this.places = places;
    this.systemctl = systemctl;
  }

  /** Path of a drop-in. */
  fileOf(unit: string, name: DropInName): string {
    return join(this.folderOf(unit), name);
  }

  folderOf(unit: string): string {
    return join(this.places.units, `${unit}.d`);
  }

  async look(unit: string): Promise<RegisteredUnit> {
    const shown = await told('show', () =>
      this.systemctl.show(unit, ['UnitFileState', 'ActiveState', 'LimitNOFILE']),
    );
    return {
      enabled: shown['UnitFileState'] === 'enabled',
      running: ['active', 'activating', 'reloading', 'deactivating'].includes(shown['ActiveState'] ?? ''),
      limit: limitOf(shown['LimitNOFILE']),
    };
  }

  /**
   * Has the manager read what others have changed, so that what it says of the unit holds. Rejects with MessageError when
   * the administrator has forbidden to start the unit, or what starts all of them.
   */
  async prepare(unit: string): Promise<void> {
    for (const one of this.#toEnable(unit)) await refuseMasked(this.systemctl, one);
    const shown = await told('show', () => this.systemctl.show(unit, ['NeedDaemonReload']));
    if (shown['NeedDaemonReload'] === 'yes') await this.reload();
  }

  /** Whether cm_ctl has written something for the unit, or it starts with the manager. */
  async knows(unit: string): Promise<boolean> {
    const files = await Promise.all(Object.values(DROP_INS).map((name) => this.ownText(unit, name)));
    return files.some((text) => text !== undefined) || (await this.look(unit)).enabled;
  }

  /** Text of a drop-in that cm_ctl wrote; undefined for none. Rejects when somebody else's has its place. */
  async ownText(unit: string, name: DropInName): Promise<string | undefined> {
    const file = this.fileOf(unit, name);
    const text = await attempt('read', file, () => readUnitFile(file));
    if (text !== undefined && !isOwnDropIn(text)) {
      throw new MessageError(CTL_MESSAGES.dropInForeign, { file });
    }
    return text;
  }

  /** Writes a drop-in, or removes it when `text` is undefined. Tells what was done, '' for nothing. */
  async setDropIn(unit: string, name: DropInName, text: string | undefined): Promise<string> {
    const file = this.fileOf(unit, name);
    const present = await this.ownText(unit, name);
    if (present === text) return '';
    if (text === undefined) {
      await attempt('remove', file, () => removeUnitFile(file));
      return `removed ${file}`;
    }
    await attempt('write', file, () => writeUnitFile(file, text));
    return `wrote ${file}`;
  }

  /** Drop-ins of others. */
  async foreignDropIns(unit: string): Promise<readonly string[]> {
    const folder = this.folderOf(unit);
    const names = await attempt('read', folder, () => namesIn(folder));
    return names.filter((name) => !Object.values<string>(DROP_INS).includes(name));
  }

  async reload(): Promise<void> {
    await told('daemon-reload', () => this.systemctl.act('daemon-reload', []));
  }

  /** Has the unit started with the manager. Tells what was done, '' for nothing. */
  async enable(unit: string): Promise<string> {
    const wanted = this.#toEnable(unit);
    const states = await Promise.all(wanted.map((one) => this.look(one)));
    if (states.every(({ enabled }) => enabled)) return '';
    if (this.scope === 'user') {
      const { units } = this.places;
      await attempt('create', units, () => makeDirectories(units));
    }
    await told('enable', () => this.systemctl.act('enable', wanted));
    return `enabled ${unit}`;
  }

  async disable(unit: string): Promise<string> {
    if (!(await this.look(unit)).enabled) return '';
    await told('disable', () => this.systemctl.act('disable', [unit]));
    return `disabled ${unit}`;
  }

  #toEnable(unit: string): readonly string[] {
    return this.scope === 'system' ? [TARGET, unit] : [unit];
  }

  /** Whether the manager of this user ends with his last session. */
  lingers(user: string): boolean {
    return existsSync(join(this.places.linger, user));
  }
}

/** `infinity` or a number. */
export function limitOf(text: string | undefined): number | undefined {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : undefined;
}

/** What is registered. */
export interface RegistryQuestion {
  /** `conmgr@.service` */
  readonly template: string;
  /** What the caller does, for a refusal: `register an instance`. */
  readonly action: string;
  /** The same as root, for a person to paste. */
  readonly command: string;
}

/**
 * Which manager the caller means: --manager, that of the host for root, and what `usual` says for others. Rejects with
 * MessageError.
 */
export async function scopeOf(
  { world, options }: Call,
  usual: () => Promise<ManagerScope>,
): Promise<ManagerScope> {
  if (options.manager === 'none') throw new MessageError(CTL_MESSAGES.registerWithNone);
  const scope = options.manager ?? (world.uid === 0 ? 'system' : await usual());
  // conmgr does not run as root, so the manager of root has nothing to run.
  if (scope === 'user') refuseRoot(world.uid);
  return scope;
}

/** That of the host has the directory already, or would start it (docs/decisions/0021-cm_ctl-and-systemd.md). */
export async function usualScope({ world, options }: Call): Promise<ManagerScope> {
  if (options.directory === undefined) return 'user';
  const directory = await pathOf(options.directory);
  const question = { directory, pid: undefined, wanted: undefined, logFile: undefined, toStart: false };
  const manager = await world.managers.choose(question);
  return manager.kind === 'system' ? 'system' : 'user';
}

/** Rejects with MessageError: there is none, it cannot be reached, has no such unit, or this user may not. */
export async function openRegistry(
  call: Call,
  scope: ManagerScope,
  { template, action, command }: RegistryQuestion,
  places = usualPlaces(scope),
): Promise<Registry> {
  const { world } = call;
  if (!systemdRuns(places.booted)) throw new MessageError(CTL_MESSAGES.systemdAbsent);
  const systemctl = new Systemctl({ scope, environment: world.environment });
  if (scope === 'system' && world.uid !== 0 && !(await isWritable(places.units))) {
    throw new MessageError(CTL_MESSAGES.registerNeedsRoot, { action, command });
  }
  if (!(await systemctl.isReachable())) {
    if (scope === 'system') throw new MessageError(CTL_MESSAGES.managerSilent);
    const user = (await lookUpUser(world.uid))?.name ?? String(world.uid);
    throw new MessageError(CTL_MESSAGES.userManagerSilent, { user });
  }
  if (!(await systemctl.hasTemplate(template))) {
    await refuseMasked(systemctl, template.replace('@.', '@x.'), template);
    throw new MessageError(CTL_MESSAGES.templateMissing, { template });
  }
  return new Registry(scope, places, systemctl);
}

/** `named`: how the message names it. */
async function refuseMasked(systemctl: Systemctl, unit: string, named = unit): Promise<void> {
  const shown = await told('show', () => systemctl.show(unit, ['LoadState', 'FragmentPath']));
  if (shown['LoadState'] !== 'masked') return;
  const command = unmaskCommand(systemctl.scope, unit, shown['FragmentPath'] ?? '');
  throw new MessageError(CTL_MESSAGES.unitMasked, { unit: named, command });
}

/** A command line for a person to paste. */
export function commandLine(...words: readonly (string | undefined)[]): string {
  return words.flatMap((word) => (word === undefined ? [] : shellWord(word))).join(' ');
}

/** The caller's command line anew, for root. */
export function asRoot(call: Call, mode: string, directory: string | undefined): string {
  const { name, user, writeLimits } = call.options;
  return commandLine(
    'sudo',
    'cm_ctl',
    ...mode.split(' '),
    ...(directory === undefined ? [] : ['-D', directory]),
    ...(name === undefined ? [] : ['-N', name]),
    ...(user === undefined ? [] : ['-U', user]),
    ...(writeLimits ? ['--write-limits'] : []),
  );
}

function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** Rejects with MessageError instead of the system's error. */
export async function attempt<T>(action: string, path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const params = { action, path, reason: errorText(error) };
    throw new MessageError(CTL_MESSAGES.registerFileFailed, params, { cause: error });
  }
}

/** Rejects with MessageError instead of systemctl's refusal. */
async function told<T>(verb: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof SystemctlError)) throw error;
    throw new MessageError(CTL_MESSAGES.registerFailed, { verb, lines: error.message }, { cause: error });
  }
}
