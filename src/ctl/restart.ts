/** `cm_ctl restart`: stops conmgr so that applications keep their SQL sessions, and starts it again. */
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { assertDirectory, findConmgr } from './ask.js';
import type { Call } from './call.js';
import { readConfiguration } from './configuration.js';
import { realDirectory } from './real-directory.js';
import { refuseRoot } from './root.js';
import { launch } from './start.js';
import { stopAndWait } from './stop.js';

export async function runRestart(call: Call): Promise<ExitStatus> {
  const { world, options, directory } = call;
  const found = await findConmgr(directory);
  assertDirectory(directory, found);
  // What could not be started again is not stopped.
  refuseRoot(world.uid);
  const real = await realDirectory(directory);
  await readConfiguration(real);
  if ('pid' in found) {
    await stopAndWait(call, found.pid, options.stopMode ?? 'restart');
    world.output.lines(['conmgr stopped']);
  } else {
    const { text } = CTL_MESSAGES.notRunning;
    world.output.report(
      { ...CTL_MESSAGES.notRunning, level: 'NOTICE', text, hint: 'Starting it anyway.' },
      { directory },
    );
  }
  return (await launch(call)) === EXIT.done ? EXIT.done : EXIT.failed;
}
