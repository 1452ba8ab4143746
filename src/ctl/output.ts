/** What cm_ctl prints, and where: results to stdout, errors to stderr, nothing to a reader that has gone. */
import type { TableLayout } from '../core/ctl/table.js';
import { escapeParams } from '../core/messages/format.js';
import { type MessageParams, type MessageSpec, renderMessage } from '../core/messages/message.js';

/** A stream as far as it is needed here. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

const USUAL_COLUMNS = 80;
const USUAL_ROWS = 24;

export class Output {
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  readonly #colour: boolean;
  /** Set by -s: nothing but errors and what a program asked for. */
  silent = false;
  /** Text stands on the present line of the terminal. */
  #midLine = false;

  constructor(stdout: Sink, stderr: Sink, environment: Readonly<Record<string, string | undefined>>) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    // https://no-color.org: set and not empty.
    const wanted = (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
    this.#colour = wanted && this.isTerminal;
  }

  get isTerminal(): boolean {
    return this.#stdout.isTTY === true;
  }

  get rows(): number {
    return this.#stdout.rows ?? USUAL_ROWS;
  }

  /** How wide tables may be, and whether they may have colours. */
  get layout(): TableLayout {
    const width = this.isTerminal ? (this.#stdout.columns ?? USUAL_COLUMNS) : Number.POSITIVE_INFINITY;
    return { width, colour: this.#colour };
  }

  /** Lines that were asked for. */
  lines(lines: readonly string[]): void {
    if (lines.length > 0 && !this.silent) this.#stdout.write(`${lines.join('\n')}\n`);
  }

  /** A value for a program: several lines for a person to look at, or one. */
  json(value: unknown, oneLine = false): void {
    if (!this.silent) this.#stdout.write(`${JSON.stringify(value, undefined, oneLine ? undefined : 2)}\n`);
  }

  /** Text without a line end, to which more will be added; or control sequences. */
  text(text: string): void {
    if (this.silent || text === '') return;
    this.#stdout.write(text);
    this.#midLine = !text.endsWith('\n');
  }

  /** A message of the tables. */
  report(spec: MessageSpec, params: MessageParams = {}): void {
    if (this.#midLine) this.text('\n');
    const { text, detail, hint, level } = renderMessage(spec, escapeParams(params));
    const start = level === 'ERROR' || level === 'FATAL' ? '' : `${level.toLowerCase()}: `;
    let lines = `cm_ctl: ${start}${text}\n`;
    if (detail !== undefined && detail !== '') lines += `DETAIL:  ${indented(detail)}\n`;
    if (hint !== undefined && hint !== '') lines += `HINT:  ${indented(hint)}\n`;
    this.#stderr.write(lines);
  }

  /** Lines that somebody else wrote. */
  quote(lines: readonly string[]): void {
    if (lines.length === 0) return;
    if (this.#midLine) this.text('\n');
    this.#stderr.write(`${lines.join('\n')}\n`);
  }
}

function indented(text: string): string {
  return text.replaceAll('\n', '\n\t');
}
