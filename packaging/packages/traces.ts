/** Puts the one text that removes the traces of instances into the scripts of both formats. */

/**
 * Replaces each line `@TRACES TEMPLATE@` by `traces`, with TEMPLATE (`conmgr@`, or the name of a unit without
 * `.service`) for its `@TEMPLATE@`, indented as that line is.
 * @throws Error where there is no such line.
 */
export function withTraces(script: string, traces: string): string {
  const lines = traces
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('#!') && !line.startsWith('##'));
  const filled = script.replace(/^([ \t]*)@TRACES (\S+)@$/gm, (_, indent: string, template: string) =>
    lines
      .map((line) => (line === '' ? '' : `${indent}${line.replaceAll('@TEMPLATE@', template)}`))
      .join('\n'),
  );
  if (filled === script) throw new Error('no place for the traces of instances in a script of the packages');
  return filled;
}
