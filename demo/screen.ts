/**
 * The terminal: lines that stay, and below them a few that are redrawn in place. Without a terminal only the lines
 * that stay are written, without colour. NO_COLOR and TERM=dumb are honoured.
 */
import type { WriteStream } from 'node:tty';

/** Nothing the demo writes is wider. */
export const WIDTH = 80;
const REDRAW_MS = 100;

const ESCAPE = '\u001b[';
const HIDE_CURSOR = `${ESCAPE}?25l`;
const SHOW_CURSOR = `${ESCAPE}?25h`;

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
/** Wraps a text in a colour, or leaves it as it is where there is none. */
export type Paint = (text: string) => string;

export class Screen {
  readonly paint: Readonly<Record<keyof typeof CODES, Paint>>;
  /** Whether the terminal's character set has blocks, lines and arrows. */
  readonly unicode: boolean;
  readonly #out: WriteStream;
  readonly #inPlace: boolean;
  #draw: (() => readonly string[]) | undefined;
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(out: WriteStream, env: NodeJS.ProcessEnv) {
    this.#out = out;
    const terminal = out.isTTY === true && env['TERM'] !== 'dumb';
    this.#inPlace = terminal && out.columns >= WIDTH;
    this.unicode = /utf-?8/i.test(env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || 'C.UTF-8');
    const colour = terminal && !env['NO_COLOR'];
    const paint = (code: number): Paint =>
      colour ? (text) => `${ESCAPE}${code}m${text}${ESCAPE}0m` : (text) => text;
    this.paint = Object.fromEntries(
      Object.entries(CODES).map(([name, code]) => [name, paint(code)]),
    ) as typeof this.paint;
  }

  /** Writes a line that stays. */
  line(text = ''): void {
    this.#write(`${text}\n`);
  }

  /** From now on `draw` gives the lines below everything else; they are cut before WIDTH. */
  live(draw: () => readonly string[]): void {
    if (!this.#inPlace) return;
    this.#draw = draw;
    this.#timer ??= setInterval(() => this.#write(''), REDRAW_MS);
    this.#write(HIDE_CURSOR);
  }

  /** Takes the live lines away. */
  still(): void {
    if (this.#draw === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw = undefined;
    this.#write(SHOW_CURSOR);
  }

  #write(text: string): void {
    const erase = this.#drawn === 0 ? '' : `${ESCAPE}${this.#drawn}A\r${ESCAPE}J`;
    const below = this.#draw?.().map(clip) ?? [];
    this.#drawn = below.length;
    this.#out.write(erase + text + below.map((line) => `${line}\n`).join(''));
  }
}

/** A line that wraps would put everything after it in the wrong place. */
function clip(line: string): string {
  const plain = line.replace(/\u001b\[\d*m/g, '');
  return plain.length < WIDTH ? line : plain.slice(0, WIDTH - 1);
}
