/** The two applications side by side on the screen: a line for each thing that happens to them, and their rows live. */
import type { Cluster } from './cluster.js';
import { now } from './history.js';
import { reasonOf } from './pool.js';
import type { Reader } from './reader.js';
import { type Paint, type Screen, WIDTH } from './screen.js';
import { MARK_MS, strip } from './strip.js';
import type { Writer } from './writer.js';

/** Where an event stands: in the column of an application, or across both. */
export type Column = 'conmgr' | 'hostList' | 'both';

const TIME_WIDTH = 12;
const COLUMN_WIDTH = 34;
/** Name and number of rows. */
const LABEL_WIDTH = 18;
/** Marks of the strips: 15 s. */
const STRIP_MARKS = 60;
/** An application that has written nothing for so long is shown as waiting. */
const WAITING_MS = 500;

export const NAMES = { conmgr: 'with conmgr', hostList: 'host list' } as const;

export class Stage {
  /** Events are told relative to this moment. */
  origin = now();

  constructor(
    readonly screen: Screen,
    readonly cluster: Cluster,
    readonly conmgr: Writer,
    readonly hostList: Writer,
    readonly reader: Reader,
  ) {
    this.#follow('conmgr', conmgr, reasonOf);
    this.#follow('hostList', hostList, ({ message }) => message);
    this.resume();
  }

  /** Shows the rows live, below everything else. */
  resume(): void {
    this.screen.live(() => this.#live());
  }

  /** Writes what happened at `at`. */
  event(at: number, column: Column, text: string, paint: Paint = (same) => same): void {
    const { dim, bold } = this.screen.paint;
    const across = column === 'both';
    const indent = column === 'hostList' ? ' '.repeat(COLUMN_WIDTH) : '';
    for (const [index, part] of wrap(text, across ? WIDTH - TIME_WIDTH : COLUMN_WIDTH - 1).entries()) {
      const time = index === 0 ? formatOffset(at - this.origin) : '';
      this.screen.line(dim(time.padEnd(TIME_WIDTH)) + indent + (across ? bold : paint)(part));
    }
  }

  /** Begins a part of the demo. */
  heading(text: string): void {
    const { bold, cyan } = this.screen.paint;
    this.screen.line();
    this.screen.line(bold(cyan(text)));
  }

  /** Names the two columns. */
  columns(): void {
    const names = NAMES.conmgr.padEnd(COLUMN_WIDTH) + NAMES.hostList;
    this.screen.line(this.screen.paint.dim(' '.repeat(TIME_WIDTH) + names));
  }

  /** Writes what cm_ctl status said at this point. */
  status(text: string): void {
    for (const [index, part] of wrap(`status: ${text}`, WIDTH - TIME_WIDTH).entries()) {
      const start = index === 0 ? 'cm_ctl'.padStart(TIME_WIDTH - 2) : '';
      this.screen.line(this.screen.paint.dim(start.padEnd(TIME_WIDTH) + part));
    }
  }

  #follow(column: 'conmgr' | 'hostList', writer: Writer, why: (error: Error) => string): void {
    let server: string | undefined;
    const { green, yellow } = this.screen.paint;
    writer.losses.onEntry(({ at, error }) => this.event(at, column, `told: ${why(error)}`, yellow));
    writer.acknowledged.onEntry((row) => {
      if (server !== undefined && server !== row.server) {
        this.event(row.at, column, `first row on ${row.server}`, green);
      }
      server = row.server;
    });
  }

  #live(): string[] {
    const { last, entries } = this.reader.reads;
    const states = [
      `${NAMES.conmgr} ${this.#state(this.conmgr)}`,
      `${NAMES.hostList} ${this.#state(this.hostList)}`,
      `reader on ${last?.server ?? 'its way'} (${entries.length})`,
    ];
    return [
      '',
      this.#strip(NAMES.conmgr, this.conmgr),
      this.#strip(NAMES.hostList, this.hostList),
      ` now: ${states.join(', ')}`,
    ];
  }

  #strip(name: string, { acknowledged }: Writer): string {
    const to = Math.floor(now() / MARK_MS) * MARK_MS;
    const window = { from: to - STRIP_MARKS * MARK_MS, to, until: to };
    const count = String(acknowledged.entries.length).padStart(LABEL_WIDTH - name.length - 2);
    return ` ${name}${count} ${strip(this.screen, acknowledged, window)}`;
  }

  #state({ acknowledged: { last } }: Writer): string {
    const silentMs = last === undefined ? 0 : now() - last.at;
    if (silentMs < WAITING_MS) return `on ${last?.server ?? 'its way'}`;
    return this.screen.paint.red(`silent ${(silentMs / 1000).toFixed(1)} s`);
  }
}

/** ` +3.123 s` */
function formatOffset(ms: number): string {
  return ` ${`+${(ms / 1000).toFixed(3)} s`.padStart(9)}`;
}

/** Breaks a text between words into lines of at most `width`. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line += (line === '' ? '' : ' ') + word;
  }
  return [...lines, line];
}
