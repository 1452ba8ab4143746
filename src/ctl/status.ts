/** `cm_ctl status`. */
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { selectStatus } from '../core/ctl/status-view.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { findConmgr } from './ask.js';
import type { Call } from './call.js';
import { statusLines } from './status-lines.js';
import { watchStatus } from './watch-status.js';

export async function runStatus(call: Call): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const { output } = world;
  const found = await findConmgr(directory);
  switch (found.state) {
    case 'no directory':
      output.report(CTL_MESSAGES.directoryMissing, { directory });
      return EXIT.noDirectory;
    case 'no access':
      output.report(CTL_MESSAGES.directoryClosed, { directory });
      return EXIT.noDirectory;
    case 'silent':
      output.report(CTL_MESSAGES.notAnswering, { directory, pid: found.pid });
      return EXIT.failed;
    case 'not running':
      // A state like another, so it is a result; where JSON is expected it is not put into its way.
      if (options.json) output.report(CTL_MESSAGES.notRunning, { directory });
      else output.lines([`conmgr is not running in directory "${directory}"`]);
      return EXIT.notRunning;
    case 'running':
      if (options.watch) return watchStatus(call);
      if (options.json) output.json(selectStatus(found.status, options.show));
      else output.lines(statusLines(call, found.status));
      return EXIT.done;
  }
}
