/** conmgr-watchdog: argv -> data directory -> run. */

import { startProgram } from '../src/io/program.js';
import { keepHeapSmall } from '../src/io/steady-heap.js';
import { parseWatchdogArguments, WATCHDOG_HELP } from '../src/watchdog/arguments.js';
import { runWatchdog } from '../src/watchdog/run.js';

declare const CONMGR_VERSION: string;

keepHeapSmall();

const program = { name: 'conmgr-watchdog', version: CONMGR_VERSION, help: WATCHDOG_HELP };
startProgram(program, parseWatchdogArguments(process.argv.slice(2), process.env), ({ directory }) =>
  runWatchdog(directory, `conmgr-watchdog ${CONMGR_VERSION}`),
);
