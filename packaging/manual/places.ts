/** What is filled into the manual pages: every list that has a table in the code. */
import {
  conmgrParameterDocs,
  type ParameterDoc,
  watchdogParameterDocs,
} from '../../src/core/config/render.js';
import { EXIT, EXIT_MEANING } from '../../src/core/ctl/exit-status.js';
import { OPTIONS, type OptionName, type OptionSpec } from '../../src/core/ctl/options.js';
import { SYSLOG_SEVERITY } from '../../src/core/messages/format.js';
import { JOURNAL_FIELD_OF_PARAM } from '../../src/core/messages/journald-format.js';
import { LEVELS, type MessageSpec } from '../../src/core/messages/message.js';
import { MODES } from '../../src/ctl/modes.js';
import { argument, literal, paragraph, sentence, tagList, undivided } from './mdoc.js';
import { MESSAGE_TABLES } from './message-tables.js';

// Parameters

const UNIT_NAMES = { s: 'seconds', ms: 'milliseconds', bytes: 'bytes' } as const;
const UNIT_WORDS: Readonly<Record<string, string>> = UNIT_NAMES;

function typeOf({ type, unit }: ParameterDoc): string {
  return unit === undefined ? type : `${type}, ${UNIT_WORDS[unit] ?? unit}`;
}

/** What program has to be restarted for a changed value; a reload is enough for the others. */
function facts(parameter: ParameterDoc, program: string): string {
  const { bounds } = parameter;
  const effect = parameter.applies === 'reload' ? 'at a reload' : `at a restart of ${program}`;
  const values = bounds === '' ? '' : `Values: ${bounds}. `;
  return `${values}Default: ${parameter.default}. A change takes effect ${effect}.`;
}

function parameterSections(all: readonly ParameterDoc[], program: string): string {
  const available = all.filter(({ availability }) => availability === 'now');
  const sections = [...new Set(available.map(({ section }) => section))];
  return sections
    .map((section) => {
      const items = available
        .filter((parameter) => parameter.section === section)
        .map((parameter): [string, string] => [
          `Va ${argument(parameter.name)} Pq ${typeOf(parameter)}`,
          `${paragraph(parameter.doc)}\n${paragraph(facts(parameter, program))}`,
        ]);
      return `.Ss ${section}\n${tagList(items)}`;
    })
    .join('\n');
}

/** Names without a function in this version. */
function reservedParameters(all: readonly ParameterDoc[]): string {
  const items = all
    .filter(({ availability }) => availability === 'later')
    .map((parameter): [string, string] => [
      `Va ${argument(parameter.name)}`,
      paragraph(sentence(`${typeOf(parameter)}; default: ${parameter.default}`)),
    ]);
  return tagList(items, 'Ds', true);
}

// cm_ctl

function optionMacros(name: OptionName): string {
  const { short, long, value, choices }: OptionSpec = OPTIONS[name];
  const flag = `Fl ${short ?? literal(`-${long}`)}`;
  if (choices !== undefined) return `${flag} Cm ${choices.join(' | ')}`;
  return value === undefined ? flag : `${flag} Ar ${value}`;
}

/** An operand of a mode as the argument it is; one in brackets may be left out. */
function operandMacros(operand: string): string {
  const [, optional] = /^\[(.*)\]$/.exec(operand) ?? [];
  return optional === undefined ? `Ar ${operand}` : `Oo Ar ${optional} Oc`;
}

function synopsis(): string {
  return MODES.map(({ name, operands, options }) => {
    const words = [
      ...options.map((option) => `Oo ${optionMacros(option)} Oc`),
      ...operands.map(operandMacros),
    ];
    return `.Nm\n.Cm ${name}\n${words.map((word) => `.${word}`).join('\n')}`;
  }).join('\n');
}

function mode(name: string): string {
  const found = MODES.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`cm_ctl has no mode "${name}"`);
  const operands = found.operands.map((operand) => ` ${operandMacros(operand)}`).join('');
  return `.It Cm ${found.name}${operands}\n${paragraph(sentence(found.doc))}`;
}

function options(): string {
  const items = (Object.keys(OPTIONS) as OptionName[]).map((name): [string, string] => {
    const { short, long, value, doc }: OptionSpec = OPTIONS[name];
    const spellings = [
      short === undefined ? undefined : `Fl ${argument(short)}`,
      long === undefined ? undefined : `Fl ${literal(`-${long}`)}`,
    ].filter((spelling) => spelling !== undefined);
    const head = spellings.join(' , ') + (value === undefined ? '' : ` Ar ${value}`);
    const lines = [paragraph(sentence(doc.replace('this help', 'a short help'))), paragraph(takenBy(name))];
    return [head, lines.filter((line) => line !== '').join('\n')];
  });
  return tagList(items);
}

/** Which modes have the option; '' for one that stands for itself. */
function takenBy(name: OptionName): string {
  const takes = MODES.filter((candidate) => candidate.options.includes(name)).map((one) => one.name);
  const others = MODES.map((one) => one.name).filter((candidate) => !takes.includes(candidate));
  if (takes.length === 0) return '';
  if (others.length === 0) return 'Taken by all modes.';
  return others.length < takes.length
    ? `Taken by all modes but ${others.join(', ')}.`
    : `Taken by ${takes.join(', ')}.`;
}

function exitStatuses(): string {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  return tagList(
    names.map((name) => [String(EXIT[name]), paragraph(sentence(EXIT_MEANING[name]))]),
    '000',
    true,
  );
}

// Messages

/** The parts of one message below its number. */
function messageEntry(spec: MessageSpec): string {
  const { text, detail, hint, cause, cure, exit, event, level } = spec;
  const parts: [string, string | undefined][] = [
    [level, text],
    ['DETAIL', detail],
    ['HINT', hint],
    ['Cause', cause],
    ['Cure', cure],
    ['Event', event],
    ['Exit', exit === undefined ? undefined : String(exit)],
  ];
  const items = parts.flatMap(([head, body]): [string, string][] =>
    body === undefined ? [] : [[head, paragraph(body)]],
  );
  return tagList(items, 'WARNING', true);
}

function messages(): string {
  return MESSAGE_TABLES.map(({ section, rows: table }) => {
    const rows = Object.values(table).sort((a, b) => a.code.localeCompare(b.code, 'en'));
    return `.Ss ${section}\n${tagList(rows.map((row) => [`Sy ${row.code}`, messageEntry(row)]))}`;
  }).join('\n');
}

/** Placed alone on a line as `@NAME@`; `mode WORDS` places one mode of cm_ctl. */
const LISTS: Readonly<Record<string, () => string>> = {
  'conmgr parameters': () => parameterSections(conmgrParameterDocs(), 'conmgr'),
  'watchdog parameters': () => parameterSections(watchdogParameterDocs(), 'the watchdog'),
  'reserved watchdog parameters': () => reservedParameters(watchdogParameterDocs()),
  'cm_ctl synopsis': synopsis,
  'cm_ctl options': options,
  'cm_ctl exit statuses': exitStatuses,
  messages,
  levels: () =>
    tagList(
      LEVELS.map((level) => [level, paragraph(`syslog severity ${SYSLOG_SEVERITY[level]}`)]),
      'WARNING',
      true,
    ),
  'journal fields': () =>
    paragraph(
      `${['CM_CODE', 'CM_EVENT', 'CM_LEVEL', 'MESSAGE_ID', ...Object.values(JOURNAL_FIELD_OF_PARAM)].join(', ')}.`,
    ),
};

const MODE_PLACE = 'mode ';
const OTHER_MODES = 'other modes';

/** The modes that a page does not place by name, so that a new one is never missing. */
function otherModes(source: string): string {
  return MODES.filter(({ name }) => !source.includes(`@${MODE_PLACE}${name}@\n`))
    .map(({ name }) => mode(name))
    .join('\n');
}

/** A page as mdoc: places filled, displays made literal. Throws Error for a place that nothing fills. */
export function renderPage(source: string, version: string): string {
  const filled = source.replace(/^@([^@\n]+)@\n/gm, (_line, name: string) => {
    if (name === OTHER_MODES) return withNewline(otherModes(source));
    if (name.startsWith(MODE_PLACE)) return withNewline(mode(name.slice(MODE_PLACE.length)));
    const list = LISTS[name];
    if (list === undefined) throw new Error(`nothing fills the place "${name}"`);
    return withNewline(list());
  });
  return forFormatters(filled).replaceAll('@VERSION@', version);
}

const withNewline = (text: string): string => (text === '' ? '' : `${text}\n`);

/** A literal display, or one line of text or of a macro for names. */
const DISPLAY_OR_TEXT = /^(\.Bd -literal.*\n)([\s\S]*?)(^\.Ed$)|^(?:\.(?:Va|Li|Ev|Pa) |[^.'\n]).*$/gm;

/**
 * What a reader copies from a page must be what was meant: in literal displays every character stands for itself.
 * Everywhere else names stay in one piece.
 */
function forFormatters(text: string): string {
  return text.replace(DISPLAY_OR_TEXT, (line: string, head?: string, body = '', tail = '') =>
    head === undefined ? undivided(line) : head + literal(body).replace(/^(?=\.)/gm, '\\&') + tail,
  );
}

/** The contents of the literal displays of a page's source. */
export function displaysOf(source: string): string[] {
  return [...source.matchAll(/^\.Bd -literal.*\n([\s\S]*?)^\.Ed$/gm)].map(([, body = '']) => body);
}
