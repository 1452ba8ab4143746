/** conmgr: argv -> directory -> run. */

import { CONMGR_HELP, parseDaemonArguments } from '../src/conmgr/arguments.js';
import { runConmgr } from '../src/conmgr/run.js';

declare const CONMGR_VERSION: string;

// getaddrinfo(3) runs in libuv's pool; a slow name server must not hold up files and logs.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const parsed = parseDaemonArguments(process.argv.slice(2), process.env);
switch (parsed.act) {
  case 'help':
    process.stdout.write(CONMGR_HELP);
    break;
  case 'version':
    process.stdout.write(`conmgr ${CONMGR_VERSION}\n`);
    break;
  case 'wrong':
    process.stderr.write(`conmgr: ${parsed.problem}\nTry "conmgr --help" for more information.\n`);
    process.exitCode = 2;
    break;
  case 'run':
    void runConmgr(parsed.directory, { name: 'conmgr', version: CONMGR_VERSION });
    break;
}
