/** conmgr: argv -> directory -> run. */

import { CONMGR_HELP, parseDaemonArguments } from '../src/conmgr/arguments.js';
import { runConmgr } from '../src/conmgr/run.js';
import { startProgram } from '../src/io/program.js';
import { keepHeapSmall } from '../src/io/steady-heap.js';

declare const CONMGR_VERSION: string;

keepHeapSmall();

// getaddrinfo(3) runs in libuv's pool; a slow name server must not hold up files and logs.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const program = { name: 'conmgr', version: CONMGR_VERSION, help: CONMGR_HELP };
startProgram(program, parseDaemonArguments(process.argv.slice(2), process.env), ({ directory, takeOver }) =>
  runConmgr(directory, { name: 'conmgr', version: CONMGR_VERSION }, takeOver),
);
