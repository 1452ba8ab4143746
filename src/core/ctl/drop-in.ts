/**
 * The drop-ins that cm_ctl writes for a unit and takes away again (docs/decisions/0021-cm_ctl-and-systemd.md). Syntax:
 * systemd.syntax(7), systemd.unit(5) "Specifiers" and RequiresMountsFor=, systemd.exec(5) User=, ReadWritePaths=, LimitNOFILE=.
 */

/** Names of the files. The usual name of an administrator's own, override.conf, sorts behind them and so prevails. */
export const DROP_INS = {
  /** Which user, and what may be written. */
  service: '50-cm_ctl.conf',
  /** A file of its own, so that it can be taken away alone. */
  limits: '51-cm_ctl-limits.conf',
} as const;
export type DropInName = (typeof DROP_INS)[keyof typeof DROP_INS];

/** What the unit needs beyond its template. */
export interface ServiceSettings {
  /** Name or number; undefined: the template's own. */
  readonly user: string | undefined;
  /** Absolute paths without control characters that the template does not let the program write. */
  readonly writable: readonly string[];
  /** A group that the user is not in; undefined for none. */
  readonly group?: string | undefined;
}

/** Who writes a file, and for which unit. */
export interface Registrar {
  /** The mode of cm_ctl; its counterpart removes the file. */
  readonly mode: 'register' | 'watchdog register';
  /** `conmgr@app1.service` */
  readonly unit: string;
  /** Of which service manager. */
  readonly scope: 'system' | 'user';
}

/** By this line a file is known as cm_ctl's own. */
const MARK = '# Written by "cm_ctl ';

/** Whether cm_ctl wrote a file, and so may change and remove it. */
export function isOwnDropIn(text: string): boolean {
  return text.startsWith(MARK);
}

/** Text of the first drop-in, which also has what may be written mounted first; undefined when the template's settings do. */
export function serviceDropIn(
  registrar: Registrar,
  { user, writable, group }: ServiceSettings,
): string | undefined {
  // Its file system may come late, and the name of the unit need not tell of it. A user's manager mounts nothing.
  const mounts =
    writable.length === 0 || registrar.scope === 'user'
      ? []
      : ['[Unit]', `RequiresMountsFor=${writable.map(listWord).join(' ')}`];
  const lines = [
    ...(user === undefined ? [] : [`User=${withoutSpecifiers(user)}`]),
    ...(group === undefined ? [] : [`SupplementaryGroups=${withoutSpecifiers(group)}`]),
    // The dash: a directory that is missing is told by the program, which finds clearer words.
    ...(writable.length === 0
      ? []
      : [`ReadWritePaths=${writable.map((path) => listWord(`-${path}`)).join(' ')}`]),
  ];
  return lines.length === 0 ? undefined : dropIn(registrar, lines, mounts);
}

/** Text of the second drop-in. `formula` shows how the figure came about. */
export function limitsDropIn(
  registrar: Registrar,
  need: { readonly figure: number; readonly formula: string },
): string {
  return dropIn(registrar, [`# ${need.formula}`, `LimitNOFILE=${need.figure}`]);
}

function dropIn(
  { mode, unit, scope }: Registrar,
  lines: readonly string[],
  before: readonly string[] = [],
): string {
  const remover = mode.replace('register', 'unregister');
  // The escapes in the name of a unit begin with what a shell takes for its own.
  const word = unit.includes('\\') ? `'${unit}'` : unit;
  return [
    `${MARK}${mode}", which may change it; "cm_ctl ${remover}" removes it.`,
    `# Settings of your own belong into another file: systemctl ${scope === 'user' ? '--user ' : ''}edit ${word}`,
    ...before,
    '[Service]',
    ...lines,
    '',
  ].join('\n');
}

/** The percent sign begins a specifier, which two of them do not. */
function withoutSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** A word of a list that is separated by blanks. */
function listWord(word: string): string {
  const text = withoutSpecifiers(word);
  return /[\s"'\\;]/.test(text) ? `"${text.replace(/[\\"]/g, '\\$&')}"` : text;
}

/** Whether a path can stand in a unit file at all: a line end cannot be quoted there. */
export function fitsUnitFile(path: string): boolean {
  return !/[\u0000-\u001f\u007f]/.test(path);
}
