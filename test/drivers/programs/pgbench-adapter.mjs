// @ts-check
/** pgbench. It connects for each script; a value comes back as a notice. It cannot cancel, and has no COPY to the client. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from './adapter.mjs';

const script = join(mkdtempSync(join(tmpdir(), 'pgbench-')), 'script.sql');
let string = '';

/** @param {string[]} args */
async function pgbench(...args) {
  const child = spawn('pgbench', [...args, string], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const status = await new Promise((resolve) => child.once('close', resolve));
  if (status === 0) return said;
  const errors = said.split('\n').filter((line) => !/^pgbench \(|^$/.test(line));
  throw new Error(errors.join('\n'));
}

/** @param {string} text */
function run(text) {
  writeFileSync(script, text);
  return pgbench('--no-vacuum', '--transactions=1', `--file=${script}`);
}

serve(/\d+/.exec(execFileSync('pgbench', ['--version'], { encoding: 'utf8' }))?.[0] ?? '', {
  connect: async (given) => {
    string = given;
    await run('select 1;\n');
  },
  query: async (sql) => {
    if (!sql.startsWith('select')) return void (await run(`${sql};\n`));
    const said = await run(`do $$ begin raise notice 'value=%', (${sql}); end $$;\n`);
    return /value=(.*)/.exec(said)?.[1];
  },
  transaction: (statements) =>
    run(['begin', ...statements.split(';;'), 'end'].map((sql) => `${sql};\n`).join('')),
  'copy-in': async (rest) => {
    const [table, count] = rest.split(' ');
    await pgbench('--initialize', '--init-steps=dtg', '--quiet');
    await run(`insert into ${table} select aid from pgbench_accounts order by aid limit ${count};\n`);
  },
  close: () => {},
});
