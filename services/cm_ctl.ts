/** cm_ctl: argv -> mode -> exit status. */
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CTL_MESSAGES } from '../src/core/messages/ctl.js';
import { HostManagers } from '../src/ctl/choose-manager.js';
import { runCtl } from '../src/ctl/main.js';
import { Output } from '../src/ctl/output.js';
import { ProcessManager } from '../src/ctl/process-manager.js';
import { errorText } from '../src/io/native.js';

declare const CONMGR_VERSION: string;

const { env: environment } = process;
const uid = process.geteuid?.() ?? 0;
const output = new Output(process.stdout, process.stderr, environment);
const interruption = new AbortController();

/** From now on the first interruption ends a waiting, and the next one the program. */
function catchInterruption(): AbortSignal {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    if (process.listenerCount(signal) === 0) process.once(signal, () => interruption.abort());
  }
  return interruption.signal;
}

// Whoever read the output has seen enough (`cm_ctl status | head`), or the disk is full.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  output.silent = true;
  interruption.abort();
  if (error.code === 'EPIPE') return;
  output.report(CTL_MESSAGES.outputFailed, { reason: errorText(error) });
  process.exitCode = CTL_MESSAGES.outputFailed.exit;
});
process.stderr.on('error', () => {});

// Both programs are installed side by side, and cm_ctl may be called through a link.
const program = join(dirname(realpathSync(process.argv[1] ?? '')), 'conmgr.js');
const direct = new ProcessManager({ program, environment, uid });

void runCtl(process.argv.slice(2), {
  output,
  managers: new HostManagers({ uid, environment, direct }),
  environment,
  version: CONMGR_VERSION,
  uid,
  get interrupted() {
    return catchInterruption();
  },
}).then((status) => {
  process.exitCode ??= status;
});
