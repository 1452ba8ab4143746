/** Which directory `cm_ctl register` is about, which unit stands for it, and as which user it runs. */
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, readlink, realpath, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sampleConfig } from '../core/config/render.js';
import { fitsUnitFile } from '../core/ctl/drop-in.js';
import {
  isInstanceName,
  isPossibleUnit,
  LONGEST_INSTANCE_NAME,
  unitOfName,
} from '../core/ctl/instance-name.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { conmgrUnitsOf, escapeUnitPath, isPrivateToServices } from '../core/unit-name.js';
import { CONFIG_FILE } from '../io/conmgr-directory.js';
import { makeDirectories } from '../io/make-directories.js';
import { linksTo } from '../io/unit-links.js';
import { type Account, lookUpUser } from '../io/user-lookup.js';
import type { Call } from './call.js';
import { realDirectory } from './real-directory.js';
import { refuseTwoManagers } from './registered-elsewhere.js';
import { asRoot, attempt, commandLine, type Registry } from './registry.js';

/** An instance as it is going to be registered. */
export interface Registrant {
  /** Without symbolic links. */
  readonly directory: string;
  /** `conmgr@app1.service` */
  readonly unit: string;
  /** Link that the unit needs and that is not there yet. */
  readonly missingLink: string | undefined;
  /** The unit finds the directory through a link. */
  readonly linked: boolean;
  /** The directory is to be made. */
  readonly isNew: boolean;
  readonly account: Account;
}

/** Throws MessageError for a name that cannot be one. */
export function assertInstanceName(name: string): void {
  if (isInstanceName(name)) return;
  throw new MessageError(CTL_MESSAGES.wrongInstanceName, { name, limit: LONGEST_INSTANCE_NAME });
}

/** Changes nothing. Rejects with MessageError when it cannot be registered. */
export async function findRegistrant(call: Call, registry: Registry): Promise<Registrant> {
  const { name, directory: given } = call.options;
  const place = name === undefined ? undefined : join(registry.places.named, name);
  if (place !== undefined && given === undefined && (await entryAt(place)) === undefined) {
    return newDirectory(call, registry, place);
  }
  const directory = await realDirectory(given ?? place ?? '');
  assertFit(directory, place !== undefined);
  const units = await unitsFor(directory, registry);
  const facts = await stat(directory);
  const account = await accountFor(call, registry, directory, facts);
  await refuseTwoManagers(call, registry, directory, account);
  const enabled: string[] = [];
  for (const one of units) if (await registry.knows(one)) enabled.push(one);
  const [registered] = enabled;
  if (name === undefined || place === undefined) {
    const unit = registered ?? units[0] ?? '';
    const links = await linksTo(directory, registry.places.named);
    const linked = links.some((link) => unitOfName(link) === unit);
    return { directory, unit, linked, missingLink: undefined, isNew: false, account };
  }
  const unit = unitOfName(name);
  const there = await entryAt(place);
  if (there !== undefined && (await realpath(place).catch(() => undefined)) !== directory) {
    const target = there.isSymbolicLink() ? await readlink(place).catch(() => '') : '';
    const what = target === '' ? 'is another directory' : `leads to "${target}"`;
    throw new MessageError(CTL_MESSAGES.nameTaken, { name, place, what });
  }
  const other = enabled.find((one) => one !== unit);
  if (other !== undefined) {
    const command = commandLine('cm_ctl', 'unregister', '-D', directory);
    throw new MessageError(CTL_MESSAGES.registeredElsewhere, { directory, unit: other, command });
  }
  return {
    directory,
    unit,
    linked: there === undefined || there.isSymbolicLink(),
    missingLink: there === undefined ? place : undefined,
    isNew: false,
    account,
  };
}

/** The units that can stand for a directory, the preferred one first. */
export async function unitsFor(directory: string, registry: Registry): Promise<readonly string[]> {
  const links = await linksTo(directory, registry.places.named);
  return conmgrUnitsOf(directory, { place: await realNamed(registry), links });
}

function realNamed({ places }: Registry): Promise<string> {
  return realpath(places.named).catch(() => places.named);
}

function entryAt(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(() => undefined);
}

/** `named`: the unit knows the directory by a name. */
function assertFit(directory: string, named: boolean): void {
  if (isPrivateToServices(directory)) throw new MessageError(PROCESS_MESSAGES.directoryHidden, { directory });
  const refuse = (reason: string, hint: string): never => {
    throw new MessageError(CTL_MESSAGES.directoryUnfit, { directory, reason, hint });
  };
  if (!fitsUnitFile(directory)) refuse('its name has control characters', 'Rename it.');
  if (directory === '/') refuse('it is the root of the file system', 'Name the directory with conmgr.conf.');
  if (named) return;
  const giveName = 'Give the instance a name with -N NAME.';
  if (directory.lastIndexOf('/') === 0) refuse('it lies directly below /', giveName);
  if (!isPossibleUnit(`conmgr@${escapeUnitPath(directory)}.service`))
    refuse('its path is too long', giveName);
}

async function accountFor(
  call: Call,
  registry: Registry,
  directory: string,
  { uid, gid }: Stats,
): Promise<Account> {
  const wanted = await wantedAccount(call, registry);
  if (wanted === undefined) {
    if (uid !== 0) return (await lookUpUser(uid)) ?? { name: String(uid), uid, gid };
    const command = commandLine('chown', '-R', 'conmgr:', directory);
    throw new MessageError(CTL_MESSAGES.directoryOfRoot, { directory, command });
  }
  if (wanted.uid === uid) return wanted;
  const chown = commandLine('chown', '-R', `${wanted.name}:`, directory);
  if (uid === 0) throw new MessageError(CTL_MESSAGES.directoryOfRoot, { directory, command: chown });
  const owner = (await lookUpUser(uid))?.name ?? String(uid);
  const hint = `Leave -U out to run it as ${owner}, or give the directory away: ${chown}`;
  const params = { directory, owner, user: wanted.name, hint };
  throw new MessageError(CTL_MESSAGES.directoryOfOther, params);
}

/** -U, or the caller himself where his own manager runs it; undefined: the owner. */
async function wantedAccount(call: Call, { scope }: Registry): Promise<Account | undefined> {
  const { world, options } = call;
  const { user } = options;
  const caller = scope === 'user' ? await lookUpUser(world.uid) : undefined;
  if (user === undefined) {
    return scope === 'user' ? (caller ?? { name: String(world.uid), uid: world.uid, gid: -1 }) : undefined;
  }
  const account = await lookUpUser(user);
  if (account === undefined) throw new MessageError(CTL_MESSAGES.userUnknown, { user });
  if (account.uid === 0) throw new MessageError(CTL_MESSAGES.userIsRoot);
  if (scope === 'user' && account.uid !== world.uid) {
    const command = asRoot(call, 'register', options.directory);
    const params = { caller: caller?.name ?? world.uid, user: account.name, command };
    throw new MessageError(CTL_MESSAGES.otherUsersManager, params);
  }
  return account;
}

async function newDirectory(call: Call, registry: Registry, place: string): Promise<Registrant> {
  const account = await wantedAccount(call, registry);
  if (account === undefined) throw new MessageError(CTL_MESSAGES.userNeeded, { directory: place });
  const directory = join(await realNamed(registry), call.options.name ?? '');
  assertFit(directory, true);
  const unit = unitOfName(call.options.name ?? '');
  return { directory, unit, linked: false, missingLink: undefined, isNew: true, account };
}

/**
 * Makes the directory with a commented conmgr.conf, as init does, for another user. The place belongs to a user
 * itself, who could exchange what is in it at any moment: so everything goes through the open directory.
 */
export async function makeDirectoryFor(directory: string, { uid, gid }: Account): Promise<void> {
  await attempt('create', directory, async () => {
    await makeDirectories(dirname(directory), 0o755);
    await mkdir(directory, { mode: 0o700 });
    const folder = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      const mine = process.geteuid?.();
      const { uid: maker } = await folder.stat();
      if (maker !== mine) throw new Error('somebody else has made it at the same time');
      const path = `/proc/self/fd/${folder.fd}/${CONFIG_FILE}`;
      const file = await open(path, 'wx', 0o600);
      try {
        await file.writeFile(sampleConfig());
        await file.sync();
        if (uid !== mine) await file.chown(uid, gid);
      } catch (error) {
        // Half a configuration would be taken for that of the user.
        await unlink(path);
        throw error;
      } finally {
        await file.close();
      }
      if (uid !== mine) await folder.chown(uid, gid);
    } catch (error) {
      // One that is empty goes, so that the command can be repeated when the disk has room again.
      await rmdir(directory).catch(() => {});
      throw error;
    } finally {
      await folder.close();
    }
  });
}
