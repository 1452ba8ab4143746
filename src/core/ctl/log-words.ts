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
  /** Whose manager the unit belongs to; `uid` of another user than the caller. */
  readonly of:
    | { readonly manager: 'system' }
    | { readonly manager: 'user'; readonly uid: number | undefined };
  /** A person looks at it. */
  readonly pager: boolean;
}

export function journalWords({ unit, of, pager, follow, lines }: JournalChoice): readonly string[] {
  return [
    ...(of.manager === 'system' ? [`--unit=${unit}`] : ofUser(unit, of.uid)),
    ...(follow ? ['--follow'] : []),
    ...(lines === undefined ? [] : [`--lines=${lines}`]),
    ...(pager ? [] : ['--no-pager']),
  ];
}

/**
 * `--user-unit` means units of the caller, so others are matched field by field (systemd.journal-fields(7)): what the
 * service says, and what its manager says of it. Neither depends on the journal being divided among users, which one in
 * memory is not.
 */
function ofUser(unit: string, uid: number | undefined): readonly string[] {
  // Of his own unit a user sees everything: that he does not see what the system says is not worth a word.
  if (uid === undefined) return [`--user-unit=${unit}`, '--quiet'];
  return [`_UID=${uid}`, `_SYSTEMD_USER_UNIT=${unit}`, '+', `_UID=${uid}`, `USER_UNIT=${unit}`];
}

/** Everything unless something else is said, as journalctl does; `-F` follows the name when the file is replaced. */
export function tailWords(file: string, { follow, lines }: LogChoice): readonly string[] {
  const from = lines === undefined ? (follow ? '10' : '+1') : String(lines);
  return ['-n', from, ...(follow ? ['-F'] : []), '--', file];
}
