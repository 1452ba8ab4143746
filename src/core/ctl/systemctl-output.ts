/** What systemctl prints, read (systemctl(1): show, list-units, list-unit-files; the forms without legend). */

/** One unit as list-units shows it. */
export interface UnitLine {
  readonly unit: string;
  /** `loaded`, `not-found`, ...; `stub` for one that is enabled, but not loaded. */
  readonly load: string;
  /** `active`, `inactive`, `failed`, `activating`, ... */
  readonly active: string;
  /** `running`, `dead`, `auto-restart`, ... */
  readonly sub: string;
}

/** NAME=VALUE lines. */
export function parseProperties(text: string): Record<string, string> {
  const properties: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const { 1: name, 2: value } = /^(\w+)=(.*)$/s.exec(line) ?? [];
    if (name !== undefined && value !== undefined) properties[name] = value;
  }
  return properties;
}

/** UNIT LOAD ACTIVE SUB DESCRIPTION, with a mark in front of some. */
export function parseUnits(text: string): readonly UnitLine[] {
  const units: UnitLine[] = [];
  for (const line of text.split('\n')) {
    const [unit, load, active, sub] = line
      .replace(/^[\s●*○↻×x]+\s/u, '')
      .trim()
      .split(/\s+/);
    if (unit === undefined || load === undefined || active === undefined || sub === undefined) continue;
    units.push({ unit, load, active, sub });
  }
  return units;
}

/** The instances among UNIT STATE PRESET; a template (`conmgr@.service`) is none. */
export function parseUnitFiles(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[0] ?? '')
    .filter((unit) => unit !== '' && !unit.includes('@.'));
}
