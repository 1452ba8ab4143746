/** The completion of cm_ctl for bash, from the tables that its parser and its --help come from. */
import { TARGETS } from '../src/core/cluster/target-session.js';
import type { ModeSpec } from '../src/core/ctl/arguments.js';
import { OPTIONS, type OptionName, type OptionSpec } from '../src/core/ctl/options.js';

/** Words for an operand, where there is a list. */
const OPERANDS: Readonly<Record<string, readonly string[]>> = { TARGET: TARGETS };

const optionOf = (name: OptionName): OptionSpec => OPTIONS[name];

/** `-D`, `--directory`: all spellings of an option. */
function spellings({ short, long }: OptionSpec): string[] {
  return [...(short === undefined ? [] : [`-${short}`]), ...(long === undefined ? [] : [`--${long}`])];
}

/** What completes the value of an option. */
function valuesOf({ value, choices }: OptionSpec): string {
  if (choices !== undefined) return `COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$word"))`;
  switch (value) {
    case 'DIR':
      return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word")';
    case 'FILE':
      return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word")';
    case 'USER':
      return 'COMPREPLY=($(compgen -u -- "$word"))';
    case 'NAME':
      // The places of named directories (docs/decisions/0021-cm_ctl-and-systemd.md).
      return 'mapfile -t COMPREPLY < <(cd /var/lib/conmgr 2>&- && compgen -d -- "$word"; cd ~/.local/state/conmgr 2>&- && compgen -d -- "$word")';
    default:
      return ':';
  }
}

/** Lines of a `case`: pattern and what is done. */
const arms = (rows: readonly (readonly [string, string])[], indent: string): string =>
  rows.map(([pattern, act]) => `${indent}${pattern}) ${act} ;;\n`).join('');

/** The script as a whole, for a file named `cm_ctl` in the directory of bash-completion. */
export function renderCompletion(modes: readonly ModeSpec[]): string {
  const options = Object.values(OPTIONS) as readonly OptionSpec[];
  const withValue = options.filter((option) => option.value !== undefined);
  const first = [...new Set(modes.map(({ name }) => name.split(' ')[0] ?? name))];
  const second = modes.flatMap(({ name }) => name.split(' ')[1] ?? []);
  const ofMode = ({ options, operands }: ModeSpec): string =>
    [
      ...options.flatMap((name) => spellings(optionOf(name))),
      ...spellings(OPTIONS.help),
      ...operands.flatMap((operand) => OPERANDS[operand] ?? []),
    ].join(' ');
  const patterns = (one: readonly OptionSpec[]) => one.flatMap(spellings).join(' | ').replaceAll('?', '\\?');
  return `# Completion of cm_ctl for bash, made from its tables of modes and options.
_cm_ctl() {
  local word=\${COMP_WORDS[COMP_CWORD]} mode= at words
  COMPREPLY=()
  case \${COMP_WORDS[COMP_CWORD - 1]} in
${arms(
  withValue.map((option) => [patterns([option]), `${valuesOf(option)}; return`]),
  '    ',
)}  esac
  for ((at = 1; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in
${arms(
  [
    [patterns(withValue), '((at++))'],
    ['-*', ':'],
    ['*', `mode+=" \${COMP_WORDS[at]}"`],
  ],
  '      ',
)}    esac
  done
  case $mode in
${arms(
  [
    ["''", `words='${[...first, ...spellings(OPTIONS.help), ...spellings(OPTIONS.version)].join(' ')}'`],
    ["' watchdog'", `words='${second.join(' ')}'`],
    ...modes.map((mode) => [`' ${mode.name}'*`, `words='${ofMode(mode)}'`] as const).sort(longestFirst),
  ],
  '    ',
)}    *) return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _cm_ctl cm_ctl
`;
}

/** A mode whose name begins with that of another is matched before it. */
function longestFirst([one]: readonly [string, string], [other]: readonly [string, string]): number {
  return other.length - one.length;
}
