/** The one page of --help, made of the tables of modes and options. */
import { EXIT, EXIT_MEANING } from './exit-status.js';
import { OPTIONS, type OptionSpec } from './options.js';
import { wrap } from './text-width.js';

const WIDTH = 80;
const NAME_WIDTH = 22;

/** A mode as --help shows it. */
export interface ModeDoc {
  readonly name: string;
  readonly operands: readonly string[];
  readonly doc: string;
}

/** The page, at most 80 columns wide. */
export function helpPage(modes: readonly ModeDoc[]): string {
  const single = modes.filter(({ name }) => !name.includes(' '));
  const ofWatchdog = modes.filter(({ name }) => name.startsWith('watchdog '));
  const words = ofWatchdog.map(({ name, operands }) =>
    [name.slice('watchdog '.length), ...operands].join(' '),
  );
  const group = `${words.join(', ')}; -D or PGDATA names the data directory`;
  return `${[
    'cm_ctl controls conmgr, the connection manager for PostgreSQL.',
    '',
    'Usage:',
    '  cm_ctl MODE [OPTION]...',
    '',
    'Modes:',
    ...single.flatMap(({ name, operands, doc }) => row([name, ...operands].join(' '), doc)),
    ...row('watchdog MODE', group),
    '',
    'Options:',
    ...Object.values(OPTIONS).flatMap((option) => row(optionNames(option), option.doc)),
    '',
    ...wrap(`Exit status: ${exitStatuses()}.`, WIDTH),
  ].join('\n')}\n`;
}

function row(name: string, doc: string): string[] {
  return wrap(doc, WIDTH - NAME_WIDTH - 2).map(
    (line, at) => `  ${(at === 0 ? name : '').padEnd(NAME_WIDTH)}${line}`,
  );
}

/** `-D, --directory=DIR` */
export function optionNames({ short, long, value }: OptionSpec): string {
  const letter =
    short === undefined
      ? undefined
      : `-${short}${long === undefined && value !== undefined ? ` ${value}` : ''}`;
  const word = long === undefined ? undefined : `--${long}${value === undefined ? '' : `=${value}`}`;
  if (letter === undefined) return `    ${word}`;
  return word === undefined ? letter : `${letter}, ${word}`;
}

function exitStatuses(): string {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  return names.map((name) => `${EXIT[name]} ${EXIT_MEANING[name]}`).join(', ');
}
