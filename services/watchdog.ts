/** conmgr-watchdog: argv -> data directory -> run. */

import { parseWatchdogArguments, WATCHDOG_HELP } from '../src/watchdog/arguments.js';
import { runWatchdog } from '../src/watchdog/run.js';

declare const CONMGR_VERSION: string;

const software = `conmgr-watchdog ${CONMGR_VERSION}`;
const parsed = parseWatchdogArguments(process.argv.slice(2), process.env);
switch (parsed.act) {
  case 'help':
    process.stdout.write(WATCHDOG_HELP);
    break;
  case 'version':
    process.stdout.write(`${software}\n`);
    break;
  case 'wrong':
    process.stderr.write(
      `conmgr-watchdog: ${parsed.problem}\nTry "conmgr-watchdog --help" for more information.\n`,
    );
    process.exitCode = 2;
    break;
  case 'run':
    void runWatchdog(parsed.directory, software);
    break;
}
