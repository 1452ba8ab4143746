/** Command lines of the programs that show the log of an instance: journalctl(1), tail(1). */

/** Options of `cm_ctl logs`. */
export interface LogChoice {
  readonly follow: boolean;
  /** From the end; undefined: what is usual. */
  readonly lines: number | undefined;
}

export interface JournalChoice extends LogChoice {
  /** `conmgr@app1.service` */
  readonly unit: string;
  /** The unit belongs to the manager of the user. */
  readonly user: boolean;
  /** A person looks at it. */
  readonly pager: boolean;
}

/** `--user-unit` finds the messages also where the journal is not divided among users, as one in memory is not. */
export function journalWords({ unit, user, pager, follow, lines }: JournalChoice): readonly string[] {
  return [
    user ? `--user-unit=${unit}` : `--unit=${unit}`,
    ...(follow ? ['--follow'] : []),
    ...(lines === undefined ? [] : [`--lines=${lines}`]),
    ...(pager ? [] : ['--no-pager']),
  ];
}

/** Everything unless something else is said, as journalctl does; `-F` follows the name when the file is replaced. */
export function tailWords(file: string, { follow, lines }: LogChoice): readonly string[] {
  const from = lines === undefined ? (follow ? '10' : '+1') : String(lines);
  return ['-n', from, ...(follow ? ['-F'] : []), '--', file];
}
