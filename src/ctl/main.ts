/** cm_ctl from its arguments to its exit status. */
import { parseArguments } from '../core/ctl/arguments.js';
import { EXIT } from '../core/ctl/exit-status.js';
import { helpPage } from '../core/ctl/help.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import type { World } from './call.js';
import { MODES } from './modes.js';

/** Runs one command line; what went wrong has been printed. Never rejects. */
export async function runCtl(words: readonly string[], world: World): Promise<number> {
  const { output } = world;
  const parsed = parseArguments(words, MODES, world.environment);
  switch (parsed.act) {
    case 'help':
      output.text(helpPage(MODES));
      return EXIT.done;
    case 'version':
      output.text(`cm_ctl ${world.version}\n`);
      return EXIT.done;
    case 'wrong':
      output.report(CTL_MESSAGES[parsed.message], parsed.params);
      return EXIT.usage;
    case 'run': {
      const { mode, options, operands } = parsed;
      output.silent = options.silent;
      try {
        return await mode.run({ world, options, operands, directory: options.directory ?? '' });
      } catch (error) {
        return reportError(error, world);
      }
    }
  }
}

function reportError(error: unknown, { output }: World): number {
  if (error instanceof MessageError) {
    output.report(error.spec, error.params);
    return error.spec.exit ?? EXIT.failed;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  output.report(CTL_MESSAGES.unexpected, { reason: message, lines: stack ?? '' });
  return CTL_MESSAGES.unexpected.exit;
}
