/**
 * What the privileged helper may do, and for whom: files that root wrote, one for each instance of conmgr
 * (/etc/conmgr/targets.d/NAME.conf, docs/decisions/0031-guard-redirect-and-the-helper.md).
 */
import { cidrContains, parseCidr } from '../config/address.js';
import type { Cidr } from '../config/types.js';
import { isPort, type Target } from './target.js';

/** One file. */
export interface TargetList {
  /** Names of users, or their numbers. */
  readonly users: readonly string[];
  readonly targets: readonly { readonly range: Cidr; readonly port: number }[];
  /** Ports of conmgr's listeners that may be routed. */
  readonly listeners: readonly number[];
}

/** Why a file allows nothing. */
export interface ListProblem {
  readonly line: number;
  readonly problem: string;
}

/** What a list with everything in it comes to. */
export const MOST_LIST_BYTES = 64 * 1024;
/** Name of a user in passwd(5), or a number. */
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?$/;

/**
 * Reads a file: `user NAME`, `target ADDRESS[/PREFIX] PORT` and `listener PORT`, one a line, each any number of times;
 * `#` begins a comment. A file counts as a whole or not at all.
 */
export function parseTargetList(text: string): TargetList | ListProblem {
  const users: string[] = [];
  const targets: { range: Cidr; port: number }[] = [];
  const listeners: number[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const wrong = (problem: string): ListProblem => ({ line: index + 1, problem });
    const [key, ...values] = raw.replace(/#.*$/, '').trim().split(/\s+/);
    switch (key) {
      case '':
        break;
      case 'user': {
        const [name = ''] = values;
        if (values.length !== 1 || !USER.test(name)) return wrong('expected: user NAME');
        users.push(name);
        break;
      }
      case 'target': {
        const range = parseCidr(values[0] ?? '');
        const port = portOf(values[1]);
        if (values.length !== 2 || range === undefined || port === undefined) {
          return wrong('expected: target ADDRESS[/PREFIX] PORT');
        }
        targets.push({ range, port });
        break;
      }
      case 'listener': {
        const port = portOf(values[0]);
        if (values.length !== 1 || port === undefined) return wrong('expected: listener PORT');
        listeners.push(port);
        break;
      }
      default:
        return wrong('expected "user", "target" or "listener"');
    }
  }
  return { users, targets, listeners };
}

function portOf(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9][0-9]{0,4}$/.test(text) && isPort(Number(text))
    ? Number(text)
    : undefined;
}

/** By this line a file is known as cm_ctl's own. */
const MARK = '# Written by "cm_ctl register", which may change it; "cm_ctl unregister" removes it.';

/** Whether cm_ctl wrote a file, and so may change and remove it. */
export function isOwnTargetList(text: string): boolean {
  return text.startsWith(MARK);
}

/** The file that allows this and nothing else; `parseTargetList` reads it back. */
export function renderTargetList(list: TargetList): string {
  return [
    MARK,
    '# What conmgr-helper does for an instance of conmgr. It belongs to root, and nobody else may write it.',
    ...list.users.map((user) => `user ${user}`),
    ...list.targets.map(({ range, port }) => `target ${range.text} ${port}`),
    ...list.listeners.map((port) => `listener ${port}`),
    '',
  ].join('\n');
}

/** Everything that one user may ask for. */
export class Permission {
  readonly #lists: readonly TargetList[];

  /**
   * `user` and `uid`: two names of the same one; a number without an entry in passwd(5) has only the latter. Root, who
   * writes the lists, may what any of them allows.
   */
  constructor(lists: readonly TargetList[], user: string | undefined, uid: number) {
    this.#lists =
      uid === 0
        ? lists
        : lists.filter(({ users }) => users.some((name) => name === user || name === String(uid)));
  }

  /** Whether any list names the user. */
  get any(): boolean {
    return this.#lists.length > 0;
  }

  allowsTarget(target: Target): boolean {
    return this.#lists.some((list) => hasTarget(list, target));
  }

  allowsListener(listener: number): boolean {
    return this.#lists.some(({ listeners }) => listeners.includes(listener));
  }

  /** A listener may be routed only to targets of a list it stands in itself. */
  allowsRoute(listener: number, target: Target): boolean {
    return this.#lists.some((list) => list.listeners.includes(listener) && hasTarget(list, target));
  }
}

function hasTarget({ targets }: TargetList, { bytes, port }: Target): boolean {
  const address = { family: 6, bytes, scope: undefined } as const;
  return targets.some((allowed) => allowed.port === port && cidrContains(allowed.range, address));
}
