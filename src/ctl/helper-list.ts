/**
 * The list by which conmgr-helper knows what it does for an instance: written by `cm_ctl register`, as root, where its
 * conmgr.conf wants something of the kernel (docs/decisions/0031-guard-redirect-and-the-helper.md).
 */
import { chmod } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseCidr } from '../core/config/address.js';
import type { ConmgrConfig } from '../core/config/types.js';
import { redirectedListeners, wantsKernel } from '../core/conmgr/kernel-wishes.js';
import { isOwnTargetList, renderTargetList } from '../core/guard/target-list.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { readUnitFile, removeUnitFile, writeUnitFile } from '../io/drop-in-files.js';
import { makeDirectories } from '../io/make-directories.js';
import { resolveHost } from '../io/resolver.js';
import { SystemctlError } from '../io/systemctl.js';
import type { Output } from './output.js';
import { attempt, type Registry } from './registry.js';

/** The unit that reads the lists, and the group to which its socket is open. */
export const HELPER_UNIT = 'conmgr-helper.service';
export const HELPER_GROUP = 'conmgr';

/** Whether a list is to be there: nothing is allowed that conmgr.conf does not ask for. */
export function wantsList(
  { scope, places }: Registry,
  config: ConmgrConfig | undefined,
): config is ConmgrConfig {
  return scope === 'system' && places.lists !== undefined && config !== undefined && wantsKernel(config);
}

/**
 * Writes the list of a unit, or removes it where nothing is wanted of the kernel any more. Names are resolved; one that
 * is not known is told, and left out. Returns what was done, '' for nothing.
 * @param user name or number, as systemd takes it
 */
export async function setHelperList(
  registry: Registry,
  unit: string,
  config: ConmgrConfig | undefined,
  user: string,
  output: Output,
): Promise<string> {
  const file = fileOf(registry, unit);
  if (file === undefined) return '';
  if (!wantsList(registry, config)) return removeHelperList(registry, unit);
  const present = await attempt('read', file, () => readUnitFile(file));
  const text = await listOf(config, user, output);
  if (present === text) return '';
  if (present !== undefined && !isOwnTargetList(present)) {
    output.report(CTL_MESSAGES.helperListForeign, { file });
    return '';
  }
  await attempt('write', file, async () => {
    // Also below a strict umask: it is no secret, and the helper is not root.
    const folder = dirname(dirname(file));
    if ((await makeDirectories(folder)) !== undefined) await chmod(folder, 0o755);
    await writeUnitFile(file, text);
  });
  await tellHelper(registry);
  return `wrote ${file}`;
}

/** Removes what cm_ctl wrote. Returns what was done, '' for nothing. */
export async function removeHelperList(registry: Registry, unit: string): Promise<string> {
  const file = fileOf(registry, unit);
  if (file === undefined) return '';
  const present = await attempt('read', file, () => readUnitFile(file));
  if (present === undefined || !isOwnTargetList(present)) return '';
  await attempt('remove', file, () => removeUnitFile(file));
  await tellHelper(registry);
  return `removed ${file}`;
}

/** `/etc/conmgr/targets.d/app1.conf` for conmgr@app1.service. */
function fileOf({ scope, places }: Registry, unit: string): string | undefined {
  if (scope === 'user') return undefined;
  const [, name] = /^conmgr@(.+)\.service$/.exec(unit) ?? [];
  return places.lists === undefined || name === undefined ? undefined : join(places.lists, `${name}.conf`);
}

async function listOf(config: ConmgrConfig, user: string, output: Output): Promise<string> {
  const found = await Promise.all(
    config.instances.map(async ({ host, hostaddr, backendPort: port }) => {
      const addresses = await resolveHost(hostaddr ?? host ?? '').catch((error: Error) => {
        output.report(CTL_MESSAGES.helperListIncomplete, { reason: error.message });
        return [];
      });
      return addresses.flatMap((address) => {
        const range = parseCidr(address);
        return range === undefined ? [] : [{ range: { ...range, text: address }, port }];
      });
    }),
  );
  const targets = new Map(found.flat().map((target) => [`${target.range.text} ${target.port}`, target]));
  return renderTargetList({
    users: [user],
    targets: [...targets.values()],
    listeners: redirectedListeners(config).map(({ port }) => port),
  });
}

/** It reads the lists again. One that does not run reads them when it starts. */
async function tellHelper(registry: Registry): Promise<void> {
  try {
    if ((await registry.look(HELPER_UNIT)).running) await registry.systemctl.act('reload', [HELPER_UNIT]);
  } catch (error) {
    if (!(error instanceof SystemctlError)) throw error;
  }
}

/** Says so when what is needed for the words of conmgr.conf does not run. */
export async function remindOfHelper(
  registry: Registry,
  config: ConmgrConfig | undefined,
  output: Output,
): Promise<void> {
  if (!wantsList(registry, config)) return;
  const asked = [
    ...(config.guard ? ['guard = on'] : []),
    ...config.listeners.flatMap(({ mode, number }) =>
      mode === 'redirect' ? [`listener_mode${number} = redirect`] : [],
    ),
  ];
  if (asked.length === 0 || (await registry.look(HELPER_UNIT)).running) return;
  output.report(CTL_MESSAGES.helperOff, { what: asked.join(' and ') });
}
