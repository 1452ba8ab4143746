/**
 * `cm_ctl status --watch`: the view on a terminal is drawn anew after every change and once a second; elsewhere every
 * change is printed below the one before.
 */
import type { StatusReport } from '../core/control/protocol.js';
import { formatMoment } from '../core/ctl/amounts.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { type RunningUnit, selectStatus } from '../core/ctl/status-view.js';
import { paint } from '../core/ctl/table.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { askControl } from '../io/control-socket.js';
import type { Call } from './call.js';
import { localZone, statusLines } from './status-lines.js';
import { followStatus } from './waiting.js';

/** Ages and round trips change without being told. */
const REDRAW_MS = 1000;

/** Ends with the interruption; where output is no terminal also with conmgr. `unit`: the service that it is. */
export function watchStatus(call: Call, unit: RunningUnit | undefined): Promise<ExitStatus> {
  return call.world.output.isTerminal && !call.options.json ? draw(call, unit) : printChanges(call, unit);
}

async function printChanges(call: Call, unit: RunningUnit | undefined): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const { output, interrupted } = world;
  const print = (status: StatusReport): void => {
    if (options.json) output.json(selectStatus(status, options.show, unit), true);
    else
      output.lines([
        `-- ${formatMoment(status.now, status.now, localZone)}`,
        ...statusLines(call, status, unit),
        '',
      ]);
  };
  const end = await followStatus(directory, print, interrupted);
  if (end === 'aborted') return EXIT.done;
  output.report(CTL_MESSAGES.notRunning, { directory });
  return EXIT.notRunning;
}

/** ECMA-48 and xterm control sequences: cursor home, to the end of the line, to the end of the screen. */
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';

async function draw(call: Call, unit: RunningUnit | undefined): Promise<ExitStatus> {
  const { directory, world } = call;
  const { output, interrupted } = world;
  let last: StatusReport | undefined;
  let trouble = '';
  const redraw = (): void => {
    const { colour } = output.layout;
    const view = last === undefined ? [] : statusLines(call, last, unit);
    const lines = trouble === '' ? view : [paint(trouble, 'bad', colour), '', ...view];
    // The last line of the screen stays free, or it would scroll.
    const room = output.rows - 1;
    const shown =
      lines.length <= room ? lines : [...lines.slice(0, room - 1), `(${lines.length - room + 1} more lines)`];
    output.text(HOME + shown.map((line) => `${line}${CLEAR_LINE}\n`).join('') + CLEAR_BELOW);
  };
  const show = (status: StatusReport): void => {
    last = status;
    trouble = '';
    redraw();
  };
  const timer = setInterval(() => {
    askControl(directory, { command: 'status' }, { timeoutMs: REDRAW_MS }).then(
      (answer) => {
        if (answer.ok && 'status' in answer) show(answer.status);
      },
      (error: Error) => {
        trouble = `conmgr does not answer (${'reason' in error ? error.reason : error.message})`;
        redraw();
      },
    );
  }, REDRAW_MS);
  output.text(HIDE_CURSOR);
  try {
    // It may be restarted; whoever watches wants to see that.
    while ((await followStatus(directory, show, interrupted)) === 'closed') {
      trouble = 'conmgr is not running';
      redraw();
    }
    return EXIT.done;
  } finally {
    clearInterval(timer);
    output.text(SHOW_CURSOR);
  }
}
