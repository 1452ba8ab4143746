/** `cm_ctl watchdog register` and `unregister`: the watchdog of a data directory starts with the host, or no longer. */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { WATCHDOG_FILES } from '../core/control/watchdog.js';
import { DROP_INS, fitsUnitFile, serviceDropIn } from '../core/ctl/drop-in.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { isPossibleUnit } from '../core/ctl/instance-name.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { escapeUnitPath, isPrivateToServices } from '../core/unit-name.js';
import { type DataDirectory, openDataDirectory } from '../io/data-directory.js';
import type { ManagerScope } from '../io/systemctl.js';
import { type ClusterPlaces, DEBIAN_CLUSTERS } from '../io/unit-directory.js';
import { type Account, lookUpUser } from '../io/user-lookup.js';
import { watchdogUnitsOf } from '../io/watchdog-units.js';
import type { Call } from './call.js';
import { dataDirectoryError } from './data-directory-error.js';
import { pathOf } from './manager-of.js';
import { userWord } from './register.js';
import {
  asRoot,
  commandLine,
  openRegistry,
  type Registry,
  type RegistryPlaces,
  scopeOf,
} from './registry.js';
import { takeAway, tellRest } from './unregister.js';

const TEMPLATE = 'conmgr-watchdog@.service';
/** The account that the template names, and what it lets the program write. */
const TEMPLATE_USER = 'postgres';
const TEMPLATE_WRITABLE = ['/var/lib/postgresql', '/var/lib/pgsql'];

/** `places`: where the manager keeps its things, unless it is one of this host; `clusters` likewise. */
export async function runWatchdogRegister(
  call: Call,
  places?: RegistryPlaces,
  clusters: ClusterPlaces = DEBIAN_CLUSTERS,
): Promise<ExitStatus> {
  const scope = await scopeFor(call, clusters);
  const registry = await open(call, scope, 'register', places);
  const opened = await openDataDirectory(call.directory);
  if ('problem' in opened) throw dataDirectoryError(call.directory, opened.problem);
  const { path } = opened;
  assertFit(path);
  const account = await accountFor(call, scope, opened);
  const unit = await unitToRegister(registry, await watchdogUnitsOf(path, clusters));
  await registry.prepare(unit);
  const user = scope === 'user' || account.name === TEMPLATE_USER ? undefined : userWord(account);
  const registrar = { mode: 'watchdog register', unit, scope } as const;
  const text = serviceDropIn(registrar, { user, writable: await hidden(scope, unit, path) });
  const written = await registry.setDropIn(unit, DROP_INS.service, text);
  if (written !== '') await registry.reload();
  const done = [written, await registry.enable(unit)].filter((line) => line !== '');
  await tell(call, registry, unit, account, path, done);
  return EXIT.done;
}

export async function runWatchdogUnregister(
  call: Call,
  places?: RegistryPlaces,
  clusters: ClusterPlaces = DEBIAN_CLUSTERS,
): Promise<ExitStatus> {
  const registry = await open(call, await scopeFor(call, clusters), 'unregister', places);
  // It may be gone already.
  const path = await pathOf(call.directory);
  for (const unit of await watchdogUnitsOf(path, clusters)) {
    if (!(await registry.knows(unit))) continue;
    const done = await takeAway(registry, unit);
    call.world.output.lines([
      `${unit} is no longer registered`,
      ...done.filter((line) => line !== '').map((line) => `    ${line}`),
    ]);
    await tellRest(call, registry, unit, systemctlLine(registry, 'stop', unit));
    return EXIT.done;
  }
  throw new MessageError(CTL_MESSAGES.notRegistered, { what: `the watchdog of data directory "${path}"` });
}

function open(
  call: Call,
  scope: ManagerScope,
  verb: 'register' | 'unregister',
  places?: RegistryPlaces,
): Promise<Registry> {
  const question = {
    template: TEMPLATE,
    action: `${verb} a watchdog`,
    command: asRoot(call, `watchdog ${verb}`, call.directory),
  };
  return openRegistry(call, scope, question, places);
}

/** A cluster of Debian is started by the manager of the host, so its watchdog is, too. */
function scopeFor(call: Call, clusters: ClusterPlaces): Promise<ManagerScope> {
  return scopeOf(call, async () => {
    const units = await watchdogUnitsOf(await pathOf(call.directory), clusters);
    return units.length > 1 ? 'system' : 'user';
  });
}

/** The one that is registered already, else the preferred one. */
async function unitToRegister(registry: Registry, units: readonly string[]): Promise<string> {
  for (const unit of units) if (await registry.knows(unit)) return unit;
  return units[0] ?? '';
}

function assertFit(directory: string): void {
  if (isPrivateToServices(directory)) throw new MessageError(PROCESS_MESSAGES.directoryHidden, { directory });
  const refuse = (reason: string, hint: string): never => {
    throw new MessageError(CTL_MESSAGES.directoryUnfit, { directory, reason, hint });
  };
  if (!fitsUnitFile(directory)) refuse('its name has control characters', 'Rename it.');
  if (!isPossibleUnit(TEMPLATE.replace('@', `@${escapeUnitPath(directory)}`))) {
    refuse('its path is too long', 'Move it to a place with a shorter path.');
  }
}

/** The watchdog runs as the owner of the data directory; -U only confirms it. */
async function accountFor(
  { world, options }: Call,
  scope: ManagerScope,
  { path: directory, uid, gid }: DataDirectory,
): Promise<Account> {
  const owner = (await lookUpUser(uid)) ?? { name: String(uid), uid, gid };
  const hint = 'The watchdog runs as the owner of the data directory.';
  if (options.user !== undefined) {
    const wanted = await lookUpUser(options.user);
    if (wanted === undefined) throw new MessageError(CTL_MESSAGES.userUnknown, { user: options.user });
    if (wanted.uid !== uid) {
      const params = { directory, owner: owner.name, user: wanted.name, hint };
      throw new MessageError(CTL_MESSAGES.directoryOfOther, params);
    }
  }
  if (uid === 0) {
    const command = commandLine('chown', '-R', `${TEMPLATE_USER}:`, directory);
    throw new MessageError(CTL_MESSAGES.directoryOfRoot, { directory, command });
  }
  if (scope === 'user' && uid !== world.uid) {
    const user = (await lookUpUser(world.uid))?.name ?? String(world.uid);
    throw new MessageError(CTL_MESSAGES.directoryOfOther, { directory, owner: owner.name, user, hint });
  }
  return owner;
}

/** What the watchdog writes to and its unit does not let it: the data directory, and where pg_stat_tmp leads. */
async function hidden(scope: ManagerScope, unit: string, directory: string): Promise<readonly string[]> {
  const ofUnit = unit === TEMPLATE.replace('@', `@${escapeUnitPath(directory)}`) ? [directory] : [];
  const open = [...(scope === 'system' ? TEMPLATE_WRITABLE : []), ...ofUnit];
  const place = join(directory, WATCHDOG_FILES.directory);
  const wanted = new Set([directory, await realpath(place).catch(() => directory)]);
  const isBelow = (path: string, place: string): boolean => path === place || path.startsWith(`${place}/`);
  return [...wanted].filter(
    (path, at, all) =>
      fitsUnitFile(path) &&
      !open.some((one) => isBelow(path, one)) &&
      !all.some((one, other) => other < at && isBelow(path, one)),
  );
}

function systemctlLine({ scope }: Registry, verb: string, unit: string): string {
  return commandLine('systemctl', ...(scope === 'user' ? ['--user'] : []), verb, unit);
}

async function tell(
  { world }: Call,
  registry: Registry,
  unit: string,
  { name }: Account,
  path: string,
  done: readonly string[],
): Promise<void> {
  const { output } = world;
  const { running } = await registry.look(unit);
  const whose = registry.scope === 'user' ? `the service manager of ${name}` : 'systemd';
  output.lines([
    ...(done.length === 0
      ? [`${unit} is registered already with ${whose}; nothing was changed`]
      : [`registered with ${whose} as ${unit}`, ...done.map((line) => `    ${line}`)]),
    `It watches ${path} as user ${name}.`,
  ]);
  if (!running) output.lines(['Start it with:', `    ${systemctlLine(registry, 'start', unit)}`]);
  else if (done.some((line) => line.includes('/'))) {
    output.lines([
      'It is running; new settings hold after:',
      `    ${systemctlLine(registry, 'restart', unit)}`,
    ]);
  }
  if (registry.scope === 'user' && !registry.lingers(name)) {
    output.report(CTL_MESSAGES.lingerOff, { user: name });
  }
}
