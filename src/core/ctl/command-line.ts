/** Recognises a conmgr in the process table by its command line. */

const NODE = /^node(js)?[0-9.]*$/;
const PROGRAM = /^conmgr(\.js)?$/;

/** Options of node that take the next word as their value. */
const NODE_VALUED = ['-r', '--require', '--import', '--loader', '-C', '--conditions'];

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/**
 * The words behind the program's name when this is the command line of a conmgr, else undefined. It may be started
 * by its name (through `#!`, which puts node in front) or by node.
 */
export function conmgrArguments(words: readonly string[]): readonly string[] | undefined {
  const [first = ''] = words;
  if (PROGRAM.test(baseName(first))) return words.slice(1);
  if (!NODE.test(baseName(first))) return undefined;
  let at = 1;
  while (words[at]?.startsWith('-') === true) at += NODE_VALUED.includes(words[at] ?? '') ? 2 : 1;
  return PROGRAM.test(baseName(words[at] ?? '')) ? words.slice(at + 1) : undefined;
}

/** What such words say of the directory: a path, or the instance name of a unit, which is a user's with --user. */
export type NamedDirectory =
  | { readonly by: 'path'; readonly path: string }
  | { readonly by: 'unit'; readonly unit: string; readonly user: boolean };

/** The last one counts if there are several, and a unit more than a path; undefined for none. */
export function directoryOf(words: readonly string[]): NamedDirectory | undefined {
  let path: string | undefined;
  let unit: string | undefined;
  let user = false;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '-D' || word === '--unit') {
      at += 1;
      if (word === '-D') path = words[at];
      else unit = words[at];
    } else if (word === '--user') user = true;
    else if (word.startsWith('-D')) path = word.slice(2);
  }
  if (unit !== undefined) return { by: 'unit', unit, user };
  return path === undefined ? undefined : { by: 'path', path };
}
