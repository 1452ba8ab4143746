// @ts-check
/** psql, as a script feeds it. */
import { execFileSync, spawn } from 'node:child_process';
import { rows, serve } from './adapter.mjs';

/** @type {import('node:child_process').ChildProcess | undefined} */
let psql;
let output = '';
/** @type {(() => void) | undefined} */
let heard;
let gone = true;

/** @param {string} string */
function start(string) {
  psql?.kill();
  output = '';
  gone = false;
  const child = spawn('sh', ['-c', 'exec psql -XqAt -v VERBOSITY=verbose "$1" 2>&1', 'sh', string], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  psql = child;
  child.stdin.on('error', () => {});
  child.stdout.setEncoding('utf8').on('data', (text) => {
    if (psql !== child) return;
    output += text;
    heard?.();
  });
  child.on('close', () => {
    if (psql !== child) return;
    gone = true;
    heard?.();
  });
}

/**
 * Sends text and yields what psql printed for it.
 * @param {string} text
 */
async function run(text) {
  // What `\\echo` prints would wait in a buffer.
  psql?.stdin?.write(`${text}\n\\warn done with it: :ERROR\n`);
  // Before the first statement psql has no such variable and prints its name.
  const end = /^done with it: (\S+)\n/m;
  while (!gone && !end.test(output)) await new Promise((resolve) => (heard = () => resolve(undefined)));
  const [, failed] = end.exec(output) ?? [];
  const printed = output.replace(end, '').trim();
  output = '';
  if (failed === 'false' || (failed !== undefined && !/^(?:psql: )?(?:ERROR|FATAL|error)/m.test(printed)))
    return printed;
  const message = printed.replace(/^LOCATION: .*\n?/gm, '').trim();
  throw Object.assign(new Error(message), {
    sqlstate: /(?:ERROR|FATAL|PANIC): {2}(\w{5}):/.exec(message)?.[1],
  });
}

serve(/\d+/.exec(execFileSync('psql', ['--version'], { encoding: 'utf8' }))?.[0] ?? '', {
  connect: async (string) => {
    start(string);
    await run('');
  },
  query: (sql) => run(`${sql};`),
  transaction: (statements) =>
    run(['begin', ...statements.split(';;'), 'commit'].map((sql) => `${sql};`).join('\n')),
  'copy-in': (rest) => {
    const [table, count = ''] = rest.split(' ');
    return run(`copy ${table} from stdin;\n${rows(count)}\\.`);
  },
  'copy-out': async (sql) => (await run(`copy (${sql}) to stdout;`)).split('\n').length,
  // What Ctrl-C does.
  cancel: () => psql?.kill('SIGINT'),
  close: () => psql?.kill(),
});
