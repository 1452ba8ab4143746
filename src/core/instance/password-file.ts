/** The password file of libpq (PostgreSQL documentation, "The Password File"). */

/** Whose password is looked for. */
export interface PasswordKey {
  /** A host, or the directory of a Unix socket, for which `localhost` stands too. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** The password of the first line that fits; undefined when none does. */
export function passwordIn(text: string, key: PasswordKey): string | undefined {
  const wanted = [
    key.host.startsWith('/') ? [key.host, 'localhost'] : [key.host],
    [String(key.port)],
    [key.database],
    [key.user],
  ];
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const fields = fieldsOf(line.replace(/\r$/, ''));
    const fits = wanted.every((values, index) => {
      const field = fields[index];
      return field === '*' || (field !== undefined && values.includes(field));
    });
    if (fits && fields[4] !== undefined && fields[4] !== '') return fields[4];
  }
  return undefined;
}

/** `host:port:database:user:password`, a colon or backslash in a field written with a backslash before it. */
function fieldsOf(line: string): readonly string[] {
  const fields = [''];
  for (let index = 0; index < line.length; index += 1) {
    const character = line[index] ?? '';
    if (character === ':' && fields.length < 5) {
      fields.push('');
      continue;
    }
    if (character === '\\' && index + 1 < line.length) index += 1;
    fields[fields.length - 1] += character === '\\' ? (line[index] ?? '') : character;
  }
  return fields;
}
