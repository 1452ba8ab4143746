/** Reads what `journalctl --output=json` prints. */

/** One entry: its fields. A field that is there more than once is joined by line breaks. */
export type JournalEntry = Readonly<Record<string, string>>;

/** The entries of the output, in its order. */
export function parseJournal(text: string): JournalEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = Object.entries(JSON.parse(line) as Record<string, unknown>);
      return Object.fromEntries(fields.map(([name, value]) => [name, textOf(value)]));
    });
}

/** Text, bytes of what is no text, or several values. */
function textOf(value: unknown): string {
  if (!Array.isArray(value)) return String(value);
  if (value.every((byte) => typeof byte === 'number')) return Buffer.from(value as number[]).toString();
  return value.map(textOf).join('\n');
}
