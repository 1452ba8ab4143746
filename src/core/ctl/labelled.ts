/** Facts with their names in front, as pg_controldata prints them. */
import { escapeControls } from '../messages/format.js';
import { type Cell, paint, type TableLayout } from './table.js';
import { wrap } from './text-width.js';

const LABEL_WIDTH = 14;

/** `Label:        value` lines; a value with line ends goes on under itself, a long one is wrapped. */
export function labelled(
  facts: readonly (readonly [label: string, value: Cell])[],
  layout: TableLayout,
): string[] {
  return facts.flatMap(([label, value]) => {
    const text = typeof value === 'string' ? value : value.text;
    const style = typeof value === 'string' ? undefined : value.style;
    const room = Math.max(20, layout.width - LABEL_WIDTH);
    const lines = text.split('\n').flatMap((line) => {
      const safe = escapeControls(line);
      return layout.width === Number.POSITIVE_INFINITY ? [safe] : wrap(safe, room);
    });
    return lines.map((line, at) => {
      const start = at === 0 ? `${label}:`.padEnd(LABEL_WIDTH) : ' '.repeat(LABEL_WIDTH);
      return start + paint(line, style, layout.colour);
    });
  });
}
