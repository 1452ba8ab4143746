/** `cm_ctl unregister`: the instance no longer starts with the host; its directory and its process stay as they are. */
import { existsSync } from 'node:fs';
import { lstat, readlink, realpath, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DROP_INS } from '../core/ctl/drop-in.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { unitOfName } from '../core/ctl/instance-name.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { linksTo } from '../io/unit-links.js';
import type { Call } from './call.js';
import { removeHelperList } from './helper-list.js';
import { assertInstanceName, unitsFor } from './register-directory.js';
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

/** What is to be undone. */
interface Registered {
  readonly unit: string;
  /** The directory, as far as it is known. */
  readonly directory: string;
  /** The link of its name; undefined for none. */
  readonly link: string | undefined;
}

/** `places`: where the manager keeps its things, unless it is one of this host. */
export async function runUnregister(call: Call, places?: RegistryPlaces): Promise<ExitStatus> {
  const { options, world } = call;
  if (options.name !== undefined) assertInstanceName(options.name);
  const question = {
    template: 'conmgr@.service',
    action: 'unregister an instance',
    command: asRoot(call, 'unregister', options.directory),
  };
  const scope = await scopeOf(call, () => usualScope(call));
  const registry = await openRegistry(call, scope, question, places);
  const { unit, directory, link } = await findRegistered(call, registry);
  const done = await takeAway(registry, unit);
  if (link !== undefined) {
    await attempt('remove', link, () => unlink(link));
    done.push(`removed link ${link}`);
  }
  world.output.lines([
    `${unit} is no longer registered`,
    ...done.filter((line) => line !== '').map((line) => `    ${line}`),
    ...(existsSync(directory) ? [`Directory ${directory} stays as it is.`] : []),
  ]);
  const stop = commandLine('cm_ctl', 'stop', '-D', directory);
  await tellRest(call, registry, unit, stop);
  return EXIT.done;
}

async function findRegistered(call: Call, registry: Registry): Promise<Registered> {
  const { name, directory: given } = call.options;
  if (name !== undefined && given === undefined) {
    const place = join(registry.places.named, name);
    const unit = unitOfName(name);
    const link = await linkAt(place);
    if (link === undefined && !(await registry.knows(unit))) {
      throw new MessageError(CTL_MESSAGES.notRegistered, { what: `instance "${name}"` });
    }
    const directory = await realpath(place).catch(() => link ?? place);
    return { unit, directory, link: link === undefined ? undefined : place };
  }
  // It may be gone already.
  const path = resolve(given ?? '');
  const directory = await realpath(path).catch(() => path);
  const links = await linksTo(directory, registry.places.named);
  const linkOf = (unit: string): string | undefined => {
    const found = links.find((one) => unitOfName(one) === unit && (name === undefined || one === name));
    return found === undefined ? undefined : join(registry.places.named, found);
  };
  for (const unit of await unitsFor(directory, registry)) {
    if (name !== undefined && unit !== unitOfName(name)) continue;
    if (await registry.knows(unit)) return { unit, directory, link: linkOf(unit) };
  }
  throw new MessageError(CTL_MESSAGES.notRegistered, { what: `directory "${directory}"` });
}

/** Where the link of a name leads; undefined when there is none. */
async function linkAt(place: string): Promise<string | undefined> {
  const found = await lstat(place).catch(() => undefined);
  return found?.isSymbolicLink() === true ? readlink(place) : undefined;
}

/** Disables a unit and removes what cm_ctl wrote for it. Returns what was done, '' for nothing. */
export async function takeAway(registry: Registry, unit: string): Promise<string[]> {
  const done = [await registry.disable(unit), await removeHelperList(registry, unit)];
  for (const name of Object.values(DROP_INS)) done.push(await registry.setDropIn(unit, name, undefined));
  if (done.some((line) => line.startsWith('removed'))) await registry.reload();
  return done;
}

/** What stays: somebody else's settings, and a process. */
export async function tellRest(call: Call, registry: Registry, unit: string, stop: string): Promise<void> {
  const { output } = call.world;
  const kept = await registry.foreignDropIns(unit);
  if (kept.length > 0) {
    const directory = registry.folderOf(unit);
    output.report(CTL_MESSAGES.dropInsKept, { directory, lines: kept.join('\n') });
  }
  const { running } = await registry.look(unit);
  if (running) output.report(CTL_MESSAGES.stillRunning, { unit, command: stop });
}
