/** `cm_ctl register`: an instance starts with the host, by a unit of systemd that has what it needs. */
import { symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { conmgrDescriptors, type DescriptorNeed } from '../core/config/descriptors.js';
import { sampleConfig } from '../core/config/render.js';
import type { ConmgrConfig } from '../core/config/types.js';
import { DROP_INS, limitsDropIn, type Registrar, serviceDropIn } from '../core/ctl/drop-in.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { CONFIG_FILE, readConfigFile } from '../io/conmgr-directory.js';
import { conmgrOf } from '../io/conmgr-process.js';
import { makeDirectories } from '../io/make-directories.js';
import { groupExists } from '../io/user-lookup.js';
import type { Call } from './call.js';
import { readConfiguration } from './configuration.js';
import { HELPER_GROUP, remindOfHelper, setHelperList, wantsList } from './helper-list.js';
import {
  assertInstanceName,
  findRegistrant,
  makeDirectoryFor,
  type Registrant,
} from './register-directory.js';
import {
  asRoot,
  attempt,
  commandLine,
  openRegistry,
  type Registry,
  type RegistryPlaces,
  scopeOf,
  usualScope,
} from './registry.js';

const TEMPLATE = 'conmgr@.service';
/** The account that the template names. */
const TEMPLATE_USER = 'conmgr';

/** `places`: where the manager keeps its things, unless it is one of this host. */
export async function runRegister(call: Call, places?: RegistryPlaces): Promise<ExitStatus> {
  const { options } = call;
  if (options.name !== undefined) assertInstanceName(options.name);
  const scope = await scopeOf(call, () => usualScope(call));
  const question = {
    template: TEMPLATE,
    action: 'register an instance',
    command: asRoot(call, 'register', options.directory),
  };
  const registry = await openRegistry(call, scope, question, places);
  const registrant = await findRegistrant(call, registry);
  const config = await configurationOf(call, registrant);
  const need =
    config === undefined
      ? undefined
      : conmgrDescriptors(config.instances.length, config.maxConnections, config.statusPort);
  const done = await setUp(registry, registrant, config);
  done.push(
    await setHelperList(registry, registrant.unit, config, userWord(registrant.account), call.world.output),
  );
  if (need !== undefined) done.push(...(await checkLimit(call, registry, registrant, need)));
  done.push(await registry.enable(registrant.unit));
  await tell(
    call,
    registry,
    registrant,
    need === undefined,
    done.filter((line) => line !== ''),
  );
  await remindOfHelper(registry, config, call.world.output);
  return EXIT.done;
}

/**
 * What its conmgr.conf asks for; undefined for one that is still to be written. Rejects when the file has errors.
 * A directory that this mode made is registered again before somebody has named the servers in it.
 */
async function configurationOf(
  { options }: Call,
  { directory, isNew }: Registrant,
): Promise<ConmgrConfig | undefined> {
  if (isNew) return undefined;
  if (options.directory === undefined) {
    const text = await readConfigFile(directory).catch(() => '');
    if (text === sampleConfig()) return undefined;
  }
  return (await readConfiguration(directory)).config;
}

/** Makes what is missing: directory, link, drop-in. Returns what was done, '' for nothing. */
async function setUp(
  registry: Registry,
  registrant: Registrant,
  config: ConmgrConfig | undefined,
): Promise<string[]> {
  const { directory, unit, missingLink, linked, isNew, account } = registrant;
  const done: string[] = [];
  // Refused before anything is made.
  await registry.prepare(unit);
  await Promise.all(Object.values(DROP_INS).map((name) => registry.ownText(unit, name)));
  if (isNew) {
    await makeDirectoryFor(directory, account);
    done.push(`made ${directory}`);
  }
  if (missingLink !== undefined) {
    await attempt('create', missingLink, async () => {
      await makeDirectories(dirname(missingLink), 0o755);
      await symlink(directory, missingLink);
    });
    done.push(`linked ${missingLink} to ${directory}`);
  }
  const user = registry.scope === 'user' || account.name === TEMPLATE_USER ? undefined : userWord(account);
  const inGroup = user !== undefined && wantsList(registry, config) && (await groupExists(HELPER_GROUP));
  const text = serviceDropIn(registrarOf(registry, unit), {
    user,
    writable: linked ? [directory] : [],
    group: inGroup ? HELPER_GROUP : undefined,
  });
  const written = await registry.setDropIn(unit, DROP_INS.service, text);
  if (written !== '') await registry.reload();
  return [...done, written];
}

function registrarOf({ scope }: Registry, unit: string): Registrar {
  return { mode: 'register', unit, scope };
}

/** A name that systemd may not take as one is given as a number (systemd.exec(5), User=). */
export function userWord({ name, uid }: { readonly name: string; readonly uid: number }): string {
  return /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name) ? name : String(uid);
}

/** Compares the documented figure with what the unit gets, and with --write-limits sees to it. */
async function checkLimit(
  call: Call,
  registry: Registry,
  { directory, unit }: Registrant,
  { figure: needed, formula }: DescriptorNeed,
): Promise<string[]> {
  const { output } = call.world;
  const present = await registry.ownText(unit, DROP_INS.limits);
  const { limit } = await registry.look(unit);
  if (!call.options.writeLimits) {
    if (limit === undefined || limit >= needed) return [];
    const command = commandLine('cm_ctl', 'register', '-D', directory, '--write-limits');
    output.report(CTL_MESSAGES.unitLimitLow, { limit, unit, needed, formula, command });
    return [];
  }
  const isEnough = (figure: number | undefined): boolean => figure === undefined || figure >= needed;
  if (present === undefined && isEnough(limit)) return [];
  const own = limitsDropIn(registrarOf(registry, unit), { figure: needed, formula });
  // The template alone, by the instance name of "/", which cannot be that of a conmgr.
  const { limit: usual = 0 } = await registry.look(TEMPLATE.replace('@', '@-'));
  // One that the template makes needless goes, unless somebody else's drop-in proves to make it needed.
  const texts = present !== undefined && usual >= needed ? [undefined, own] : [own];
  let done = '';
  let now: number | undefined = limit;
  for (const text of texts) {
    done = await registry.setDropIn(unit, DROP_INS.limits, text);
    if (done !== '') await registry.reload();
    now = (await registry.look(unit)).limit;
    if (isEnough(now)) break;
  }
  if (!isEnough(now)) output.report(CTL_MESSAGES.unitLimitOverruled, { unit, limit: now, needed, formula });
  const isAsBefore = (await registry.ownText(unit, DROP_INS.limits)) === present;
  return done === '' || isAsBefore ? [] : [done];
}

async function tell(
  call: Call,
  registry: Registry,
  registrant: Registrant,
  unwritten: boolean,
  done: readonly string[],
): Promise<void> {
  const { output } = call.world;
  const { directory, unit, account } = registrant;
  const { running } = await registry.look(unit);
  const whose = registry.scope === 'user' ? `the service manager of ${account.name}` : 'systemd';
  output.lines(
    done.length === 0
      ? [`${unit} is registered already with ${whose}; nothing was changed`]
      : [`registered with ${whose} as ${unit}`, ...done.map((line) => `    ${line}`)],
  );
  output.lines([`It runs in ${directory} as user ${account.name}.`]);
  const start = commandLine('cm_ctl', 'start', '-D', directory);
  if (unwritten) {
    output.lines([
      'Now name the servers in',
      `    ${directory}/${CONFIG_FILE}`,
      'then check and start:',
      `    ${commandLine('cm_ctl', 'check', '-D', directory)}`,
      `    ${start}`,
    ]);
  } else if (!running) output.lines(['Start it with:', `    ${start}`]);
  else if (done.some((line) => line.includes('/'))) {
    const restart = commandLine('cm_ctl', 'restart', '-D', directory);
    output.lines(['It is running; new settings hold after:', `    ${restart}`]);
  }
  const process = running ? undefined : await conmgrOf(directory);
  if (process !== undefined) {
    const command = `${commandLine('cm_ctl', 'stop', '-D', directory)}, then ${start}`;
    output.report(CTL_MESSAGES.runsByItself, { pid: process.pid, directory, command });
  }
  if (registry.scope === 'user' && !registry.lingers(account.name)) {
    output.report(CTL_MESSAGES.lingerOff, { user: account.name });
  }
}
