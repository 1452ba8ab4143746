/** conmgr-helper: argv -> command -> run. */

import { HELPER_HELP, parseHelperArguments } from '../src/helper/arguments.js';
import { runHelper } from '../src/helper/run.js';
import { startProgram } from '../src/io/program.js';

declare const CONMGR_VERSION: string;

const program = { name: 'conmgr-helper', version: CONMGR_VERSION, help: HELPER_HELP };
startProgram(program, parseHelperArguments(process.argv.slice(2)), (command) =>
  runHelper(command, `conmgr-helper ${CONMGR_VERSION}`),
);
