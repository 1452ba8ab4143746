/** `cm_ctl reload`: conmgr reads conmgr.conf again and says what became of it. */
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { ask } from './ask.js';
import type { Call } from './call.js';

export async function runReload({ world, options, directory }: Call): Promise<ExitStatus> {
  const answer = await ask(directory, { command: 'reload', forgetCluster: options.forgetCluster });
  if (!('reload' in answer)) return EXIT.failed;
  const { changed, needsRestart, problems } = answer.reload;
  if (problems.length > 0) throw new MessageError(CTL_MESSAGES.reloadRefused, { lines: problems.join('\n') });
  const lines = ['conmgr reloaded'];
  lines.push(`changed: ${changed.length === 0 ? 'nothing' : changed.join(', ')}`);
  if (options.forgetCluster) lines.push('the cluster is learned anew');
  if (needsRestart.length > 0) lines.push(`needs a restart: ${needsRestart.join(', ')}`);
  world.output.lines(lines);
  return EXIT.done;
}
