/** conmgr-helper: argv -> command -> run. */

import { HELPER_HELP, parseHelperArguments } from '../src/helper/arguments.js';
import { runHelper } from '../src/helper/run.js';

declare const CONMGR_VERSION: string;

const software = `conmgr-helper ${CONMGR_VERSION}`;
const parsed = parseHelperArguments(process.argv.slice(2));
switch (parsed.act) {
  case 'help':
    process.stdout.write(HELPER_HELP);
    break;
  case 'version':
    process.stdout.write(`${software}\n`);
    break;
  case 'wrong':
    process.stderr.write(
      `conmgr-helper: ${parsed.problem}\nTry "conmgr-helper --help" for more information.\n`,
    );
    process.exitCode = 2;
    break;
  default:
    void runHelper(parsed, software);
    break;
}
