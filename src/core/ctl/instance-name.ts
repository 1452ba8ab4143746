/** Names of instances, as `cm_ctl register -N` takes them. */
import { escapeUnitName } from '../unit-name.js';

/** So long that the name of the unit, in which a dash takes four characters, and its drop-in directory stay names of
 *  files (255 octets). */
export const LONGEST_INSTANCE_NAME = 48;
/** Longest name of a unit (systemd.unit(5)). */
const LONGEST_UNIT = 255;
/** What is put behind it for the directory of its drop-ins. */
const DROP_IN_SUFFIX = '.d';

/** Letters, digits, `_`, `.` and `-`; the first one neither a dot, which hides files, nor a dash, which begins options. */
export function isInstanceName(name: string): boolean {
  return name.length <= LONGEST_INSTANCE_NAME && /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name);
}

/** `conmgr@my\x2dapp.service` */
export function unitOfName(name: string): string {
  return `conmgr@${escapeUnitName(name)}.service`;
}

/** Whether a unit of this name, and a directory for its drop-ins, can exist. */
export function isPossibleUnit(unit: string): boolean {
  return unit.length + DROP_IN_SUFFIX.length <= LONGEST_UNIT;
}
