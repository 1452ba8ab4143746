/**
 * The command line of cm_ctl as a decision: which mode, with which options, or what is wrong.
 *
 * Options may stand before and after the mode, short ones may be put together (`-sW`) and carry their value
 * (`-t60`), long ones take it behind `=` or as the next word, `--` ends them: as getopt_long(3) reads them.
 */
import { nearestName } from '../config/nearest.js';
import type { CtlMessageName } from '../messages/ctl.js';
import type { MessageParams } from '../messages/message.js';
import { MANAGER_CHOICES } from './manager-choice.js';
import {
  type CtlOptions,
  DEFAULT_WAIT_SECONDS,
  MAX_WAIT_SECONDS,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  optionText,
  SHOW_CHOICES,
  STOP_MODE_CHOICES,
} from './options.js';

/** What the command line of a mode may have. */
export interface ModeSpec {
  /** One word, or `watchdog` and one word. */
  readonly name: string;
  /** Words behind the mode, as in --help; one in brackets may be left out. */
  readonly operands: readonly string[];
  readonly options: readonly OptionName[];
  /** Variable that stands in for -D; absent: the mode needs no directory. */
  readonly directoryFrom?: 'CMDATA' | 'PGDATA';
  /** -N may name the instance instead; the variable counts for nothing then. */
  readonly nameInstead?: boolean;
}

/** A usage error: a row of CTL_MESSAGES and what fills it. */
export interface WrongUsage {
  readonly message: CtlMessageName;
  readonly params: MessageParams;
}

export type Invocation<Mode extends ModeSpec> =
  | { readonly act: 'help' | 'version' }
  | ({ readonly act: 'wrong' } & WrongUsage)
  | {
      readonly act: 'run';
      readonly mode: Mode;
      readonly options: CtlOptions;
      readonly operands: readonly string[];
    };

/** First word of a mode that has two. */
const GROUP = 'watchdog';

/** Reads the words behind the program's name. Never throws. */
export function parseArguments<Mode extends ModeSpec>(
  words: readonly string[],
  modes: readonly Mode[],
  environment: Readonly<Record<string, string | undefined>>,
): Invocation<Mode> {
  const read = readWords(words);
  // Whoever asks for help gets it, whatever else stands there.
  if (read.given.some(({ name }) => name === 'help')) return { act: 'help' };
  if (read.given.some(({ name }) => name === 'version')) return { act: 'version' };
  if (read.wrong !== undefined) return { act: 'wrong', ...read.wrong };

  const found = findMode(read.operands, modes);
  if ('message' in found) return { act: 'wrong', ...found };
  const { mode, operands } = found;
  const options = optionsOf(read.given, mode, environment);
  if ('message' in options) return { act: 'wrong', ...options };
  const needed = mode.operands.filter((operand) => !operand.startsWith('[')).length;
  if (operands.length < needed) {
    const params = { mode: mode.name, operand: mode.operands[operands.length] ?? '' };
    return { act: 'wrong', message: 'operandMissing', params };
  }
  const surplus = operands[mode.operands.length];
  if (surplus !== undefined) return { act: 'wrong', message: 'operandSurplus', params: { word: surplus } };
  return { act: 'run', mode, options, operands };
}

interface GivenOption {
  readonly name: OptionName;
  /** As it stands on the command line, for messages. */
  readonly written: string;
  readonly value: string | undefined;
}

interface ReadWords {
  readonly given: readonly GivenOption[];
  readonly operands: readonly string[];
  /** The first thing that cannot be read. */
  readonly wrong: WrongUsage | undefined;
}

const NAMES = Object.keys(OPTIONS) as OptionName[];
const specOf = (name: OptionName): OptionSpec => OPTIONS[name];

function readWords(words: readonly string[]): ReadWords {
  const given: GivenOption[] = [];
  const operands: string[] = [];
  let wrong: WrongUsage | undefined;
  const refuse = (message: CtlMessageName, params: MessageParams): void => {
    wrong ??= { message, params };
  };
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '--') {
      operands.push(...words.slice(at + 1));
      break;
    }
    const takeNext = (): string | undefined => {
      at += 1;
      return words[at];
    };
    if (word.startsWith('--')) readLong(word, takeNext, given, refuse);
    else if (word.startsWith('-') && word.length > 1) readShort(word, takeNext, given, refuse);
    else operands.push(word);
  }
  return { given, operands, wrong };
}

type Refuse = (message: CtlMessageName, params: MessageParams) => void;

function readLong(
  word: string,
  takeNext: () => string | undefined,
  given: GivenOption[],
  refuse: Refuse,
): void {
  const equals = word.indexOf('=');
  const written = equals < 0 ? word : word.slice(0, equals);
  const attached = equals < 0 ? undefined : word.slice(equals + 1);
  const name = NAMES.find((candidate) => specOf(candidate).long === written.slice(2));
  if (name === undefined) {
    const known = NAMES.flatMap((candidate) => specOf(candidate).long ?? []);
    const near = nearestName(written.slice(2), known);
    if (near === undefined) refuse('unknownOption', { option: written });
    else refuse('unknownOptionNear', { option: written, near: `--${near}` });
    return;
  }
  if (specOf(name).value === undefined) {
    if (attached !== undefined) refuse('optionWithoutValue', { option: written });
    given.push({ name, written, value: undefined });
    return;
  }
  const value = attached ?? takeNext();
  if (value === undefined) refuse('optionNeedsValue', { option: written });
  given.push({ name, written, value });
}

function readShort(
  word: string,
  takeNext: () => string | undefined,
  given: GivenOption[],
  refuse: Refuse,
): void {
  for (let at = 1; at < word.length; at += 1) {
    const letter = word[at] ?? '';
    const written = `-${letter}`;
    // Not in the table, so that --help stays short: many people's habit.
    const name = letter === 'h' ? 'help' : NAMES.find((candidate) => specOf(candidate).short === letter);
    if (name === undefined) {
      refuse('unknownOption', { option: written });
      return;
    }
    if (specOf(name).value === undefined) {
      given.push({ name, written, value: undefined });
      continue;
    }
    const rest = word.slice(at + 1);
    const value = rest === '' ? takeNext() : rest;
    if (value === undefined) refuse('optionNeedsValue', { option: written });
    given.push({ name, written, value });
    return;
  }
}

function findMode<Mode extends ModeSpec>(
  operands: readonly string[],
  modes: readonly Mode[],
): { readonly mode: Mode; readonly operands: readonly string[] } | WrongUsage {
  const [first, second] = operands;
  if (first === undefined) return { message: 'noMode', params: {} };
  const inGroup = modes.filter(({ name }) => name.startsWith(`${GROUP} `));
  if (first === GROUP && second === undefined) {
    const names = inGroup.map(({ name }) => name.slice(GROUP.length + 1));
    return { message: 'noWatchdogMode', params: { modes: names.join(', ') } };
  }
  const wanted = first === GROUP ? `${GROUP} ${second}` : first;
  const mode = modes.find(({ name }) => name === wanted);
  if (mode !== undefined) return { mode, operands: operands.slice(first === GROUP ? 2 : 1) };
  const candidates = [...modes.map(({ name }) => name), GROUP];
  const near = nearestName(wanted, candidates);
  return near === undefined
    ? { message: 'unknownMode', params: { mode: wanted } }
    : { message: 'unknownModeNear', params: { mode: wanted, near } };
}

function optionsOf(
  given: readonly GivenOption[],
  mode: ModeSpec,
  environment: Readonly<Record<string, string | undefined>>,
): CtlOptions | WrongUsage {
  const values = new Map<OptionName, string>();
  let wait = true;
  for (const { name, written, value } of given) {
    if (!mode.options.includes(name)) {
      return { message: 'optionNotForMode', params: { option: written, mode: mode.name } };
    }
    if (name === 'wait' || name === 'noWait') wait = name === 'wait';
    const { choices }: OptionSpec = OPTIONS[name];
    if (choices !== undefined && !choices.includes(value ?? '')) {
      const params = { option: written, value: value ?? '', choices: choices.join(', ') };
      return { message: 'optionChoice', params };
    }
    values.set(name, value ?? '');
  }
  const seconds = values.get('timeout') ?? String(DEFAULT_WAIT_SECONDS);
  if (!/^[0-9]{1,7}$/.test(seconds) || Number(seconds) > MAX_WAIT_SECONDS) {
    const params = { option: optionText('timeout'), value: seconds, limit: MAX_WAIT_SECONDS };
    return { message: 'optionSeconds', params };
  }
  const { directoryFrom } = mode;
  const named = mode.nameInstead === true && values.has('name');
  const fallback = directoryFrom === undefined || named ? undefined : environment[directoryFrom];
  const directory = values.get('directory') ?? fallback;
  if (directoryFrom !== undefined && (directory === undefined ? !named : directory === '')) {
    return { message: 'noDirectoryGiven', params: { variable: directoryFrom } };
  }
  const lines = values.get('lines');
  if (lines !== undefined && !/^[0-9]{1,9}$/.test(lines)) {
    return { message: 'wrongLines', params: { option: optionText('lines'), value: lines } };
  }
  return {
    directory,
    timeoutMs: Number(seconds) * 1000,
    wait,
    silent: values.has('silent'),
    stopMode: STOP_MODE_CHOICES.find((choice) => choice === values.get('stopMode')),
    logFile: values.get('logFile'),
    manager: MANAGER_CHOICES.find((choice) => choice === values.get('manager')),
    complete: values.has('complete'),
    show: SHOW_CHOICES.find((choice) => choice === values.get('show')) ?? 'all',
    json: values.has('json'),
    watch: values.has('watch'),
    forgetCluster: values.has('forgetCluster'),
    all: values.has('all'),
    dryRun: values.has('dryRun'),
    name: values.get('name'),
    user: values.get('user'),
    writeLimits: values.has('writeLimits'),
    follow: values.has('follow'),
    lines: lines === undefined ? undefined : Number(lines),
  };
}
