// @ts-check
/**
 * Makes the unit that is installed of one in `units/`: with the prefix of the installation, and for the service
 * managers of users without what only the system's can do.
 *
 * A user's manager cannot change the user, drop capabilities or hide devices (its services end with status 216 or 218
 * then), and has neither the targets of the boot nor the directories of the system.
 */

/** Settings that a user's manager cannot carry out, or that mean something else there. */
const SYSTEM_ONLY = new Set([
  'User',
  'CapabilityBoundingSet',
  'AmbientCapabilities',
  'PrivateDevices',
  // These drop capabilities too, or need a namespace that it may not make (systemd.exec(5)).
  'ProtectClock',
  'ProtectKernelLogs',
  'ProtectKernelModules',
  'ProtectHostname',
  // A user's manager mounts nothing.
  'RequiresMountsFor',
  'PartOf',
  'Wants',
  'After',
]);

/** What takes the place of a setting's value in a user's unit. */
const FOR_USERS = /** @type {Readonly<Record<string, (value: string) => string>>} */ ({
  ExecStart: (value) => (value.includes('conmgr-watchdog') ? value : `${value} --user`),
  ReadWritePaths: () => '-%h/.local/state/conmgr -%f',
  WantedBy: () => 'default.target',
});

/**
 * @param {string} text of a file in `units/`
 * @param {{ prefix: string, manager: 'system' | 'user' }} installation
 */
export function renderUnit(text, { prefix, manager }) {
  const placed = text.replaceAll('=/usr/bin/', `=${prefix}/bin/`);
  if (manager === 'system') return placed;
  /** @type {string[]} */
  const lines = [];
  for (const line of placed.split('\n')) {
    const { 1: key = '', 2: value = '' } = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (SYSTEM_ONLY.has(key)) {
      // A comment belongs to what follows it.
      while (lines.at(-1)?.startsWith('#')) lines.pop();
      continue;
    }
    const replace = FOR_USERS[key];
    lines.push(replace === undefined ? line : `${key}=${replace(value)}`);
  }
  return forUsers(lines.join('\n'));
}

/**
 * The comment in front of the first section tells of the system's units.
 * @param {string} text
 */
function forUsers(text) {
  const begin = text.indexOf('[Unit]');
  return `# For the service manager of a user: systemctl --user start NAME. Made from the system's unit of this name.\n${text.slice(begin)}`;
}
