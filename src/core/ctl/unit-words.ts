/** A unit as a person writes it on the command line of systemctl(1) and journalctl(1). */

type Scope = 'system' | 'user';

/** Without what the programs add themselves; of the manager of a user with the option for it. */
export function unitWords(scope: Scope, unit: string): string {
  return scope === 'user' ? `--user ${shortName(unit)}` : shortName(unit);
}

/** What makes a manager read the files of its units again. */
export function rereadCommand(scope: Scope): string {
  return `systemctl ${scope === 'user' ? '--user ' : ''}daemon-reload`;
}

/** What shows the messages of a unit. */
export function journalCommand(scope: Scope, unit: string): string {
  return `journalctl ${scope === 'user' ? '--user ' : ''}-u ${shortName(unit)}`;
}

/**
 * What undoes the mask of a unit. `file`: the link to /dev/null (FragmentPath of org.freedesktop.systemd1(5)), which may
 * be that of the template, may be gone with the next boot, and may be there for all users (systemctl(1), mask, --global,
 * --runtime); '' where it is not known.
 */
export function unmaskCommand(scope: Scope, unit: string, file: string): string {
  const masked = file === '' ? unit : file.slice(file.lastIndexOf('/') + 1);
  const forAll = scope === 'user' && /^\/(?:etc|run)\/systemd\/user\//.test(file);
  const whose = forAll ? ['--global'] : scope === 'user' ? ['--user'] : [];
  const runtime = file.startsWith('/run/') ? ['--runtime'] : [];
  return ['systemctl', ...whose, 'unmask', ...runtime, shortName(masked)].join(' ');
}

function shortName(unit: string): string {
  const name = unit.endsWith('@.service') ? unit : unit.replace(/\.service$/, '');
  return /[^\w@%+=:,./-]/.test(name) ? `'${name}'` : name;
}
