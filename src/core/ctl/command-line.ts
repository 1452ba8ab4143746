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

/** The directory that such words name with -D, the last one if there are several; undefined for none. */
export function directoryOf(words: readonly string[]): string | undefined {
  let directory: string | undefined;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '-D') {
      at += 1;
      directory = words[at];
    } else if (word.startsWith('-D')) directory = word.slice(2);
  }
  return directory;
}

/** The service that a process belongs to, from the text of /proc/PID/cgroup (systemd puts each unit into its own
 *  control group); undefined when it is none of conmgr's. */
export function unitOf(cgroup: string): string | undefined {
  return /\/(conmgr@[^/\n]*\.service)(?:\/|$)/m.exec(cgroup)?.[1];
}
