/** Plain text as the source of a manual page (mdoc(7), groff_char(7)). */

/** Columns of a source line; rendered lines do not depend on it. */
const SOURCE_WIDTH = 78;

/**
 * Characters that the formatters print as something else, or not at all: quotes and accents become typographic ones, a
 * hyphen is not the minus of an option.
 */
const CHARACTERS: Readonly<Record<string, string>> = {
  '\\': '\\e',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '-': '\\-',
};

/** Text that is to be printed character by character: commands, file contents, option names. */
export function literal(text: string): string {
  return text.replace(/[\\'`^~-]/g, (character) => CHARACTERS[character] ?? character);
}

/** Names, as opposed to words of the language: with an underscore, a dot or a capital within, or all capitals. */
const NAME = /(?<![\w.{}\\%-])[\w.{}-]*(?:_|[a-z]\.[a-z]|[a-z][A-Z]|[A-Z]{3})[\w.{}-]*/g;

/** Keeps names in one piece where a formatter would divide words at the end of a line. `text` is mdoc already. */
export function undivided(text: string): string {
  return text.replace(NAME, '\\%$&');
}

/** Running text. Only those hyphens count as minus that do not join two words. */
export function escapeText(text: string): string {
  return text
    .replace(NAME, `${UNDIVIDED}$&`)
    .replace(/[\\'`^~]/g, (character) => CHARACTERS[character] ?? character)
    .replace(/(?<![A-Za-z0-9])-/g, '\\-')
    .replaceAll(UNDIVIDED, '\\%');
}

/** Stands for `\%` until the backslashes of the text itself have been escaped; no text has it (private use). */
const UNDIVIDED = '\ue000';

/** One argument of a macro, whatever it holds. */
export function argument(text: string): string {
  const escaped = literal(text).replaceAll('"', '\\(dq');
  return /^[A-Za-z0-9_.,:/|<>=\\()-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}

/** A line that would be a request or a macro is text again. */
function guard(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

/** Running text as source lines: each sentence begins on its own, so that its end is spaced as one. */
export function paragraph(text: string): string {
  return text
    .split(/(?<=[.!?])\s+(?=["(A-Z])|\n/)
    .flatMap((sentence) => wrapped(escapeText(sentence)))
    .map(guard)
    .join('\n');
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line !== '' && line.length + 1 + word.length > SOURCE_WIDTH) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}

/** A fragment such as a row of --help as a sentence. */
export function sentence(fragment: string): string {
  const text = fragment.charAt(0).toUpperCase() + fragment.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** A list of tagged paragraphs. `width`: a text as wide as the tags. */
export function tagList(
  items: readonly (readonly [head: string, body: string])[],
  width = 'Ds',
  compact = false,
): string {
  const lines = items.map(([head, body]) => `.It ${head}\n${body}`);
  return [`.Bl -tag -width ${argument(width)}${compact ? ' -compact' : ''}`, ...lines, '.El'].join('\n');
}
