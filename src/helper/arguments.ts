/** Arguments of conmgr-helper. */
import { HELPER_SOCKET } from '../core/guard/request.js';
import { PINS } from '../io/redirect-programs.js';
import { TARGET_LISTS } from '../io/target-lists.js';

export interface HelperPlaces {
  readonly socket: string;
  readonly targets: string;
  readonly pins: string;
}

export type HelperArguments =
  | ({ readonly act: 'serve' | 'clear' } & HelperPlaces)
  | {
      readonly act: 'load' | 'unload';
      readonly pins: string;
      /** 'host': the root of the control groups; 'none': only pin; otherwise a directory. */
      readonly cgroup: string;
      /** User the pins of the maps are given to. */
      readonly user: string;
      /** The object of programs; undefined: the one that is installed. */
      readonly object: string | undefined;
    }
  | { readonly act: 'help' | 'version' }
  | { readonly act: 'wrong'; readonly problem: string };

export const HELPER_HELP = `conmgr-helper ends connections to lost servers and routes listeners in the kernel, for
conmgr, which has no right to.

Usage:
  conmgr-helper [--socket PATH] [--targets DIRECTORY] [--pins DIRECTORY]
  conmgr-helper clear [--pins DIRECTORY]
  conmgr-helper load [--cgroup PATH] [--user NAME] [--pins DIRECTORY] [--object FILE]
  conmgr-helper unload [--cgroup PATH] [--pins DIRECTORY]

Without a command it serves requests; clear takes back all routes; load and unload,
which only root can use, put the redirect programs into the kernel and take them away.

Options:
  --socket PATH        socket for conmgr; default: ${HELPER_SOCKET}
  --targets DIRECTORY  lists of what is allowed; default: ${TARGET_LISTS}
  --pins DIRECTORY     where programs and maps are pinned; default: ${PINS}
  --cgroup PATH        control group whose processes are redirected; "host" (default): all,
                       "none": those of units with BPFProgram=
  --user NAME          whom the maps are given to; default: conmgr-helper
  --object FILE        the programs; default: those that are installed
  -V, --version        print the version, then exit
  -?, --help           print this help, then exit
`;

const COMMANDS = ['serve', 'clear', 'load', 'unload'] as const;
const OPTIONS = ['socket', 'targets', 'pins', 'cgroup', 'user', 'object'] as const;
type Option = (typeof OPTIONS)[number];
const TAKEN: Readonly<Record<(typeof COMMANDS)[number], readonly Option[]>> = {
  serve: ['socket', 'targets', 'pins'],
  clear: ['pins'],
  load: ['pins', 'cgroup', 'user', 'object'],
  unload: ['pins', 'cgroup'],
};

/** Reads the arguments. Never throws. */
export function parseHelperArguments(words: readonly string[]): HelperArguments {
  const given = new Map<Option, string>();
  const [first] = words;
  const command = COMMANDS.slice(1).find((name) => name === first) ?? 'serve';
  const wrong = (problem: string): HelperArguments => ({ act: 'wrong', problem });
  for (let at = command === 'serve' ? 0 : 1; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '--help' || word === '-?' || word === '-h') return { act: 'help' };
    if (word === '--version' || word === '-V') return { act: 'version' };
    const option = OPTIONS.find((name) => word === `--${name}`);
    if (option === undefined || !TAKEN[command].includes(option)) return wrong(`unknown argument "${word}"`);
    at += 1;
    const value = words[at];
    if (value === undefined || value === '') return wrong(`option --${option} needs a value`);
    given.set(option, value);
  }
  const pins = given.get('pins') ?? PINS;
  if (command === 'load' || command === 'unload') {
    const cgroup = given.get('cgroup') ?? 'host';
    return {
      act: command,
      pins,
      cgroup,
      user: given.get('user') ?? 'conmgr-helper',
      object: given.get('object'),
    };
  }
  const [socket, targets] = [given.get('socket') ?? HELPER_SOCKET, given.get('targets') ?? TARGET_LISTS];
  return { act: command, socket, targets, pins };
}
