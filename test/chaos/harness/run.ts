/** `make chaos`: which rows run, what they need of the machine, and the table at the end. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPackages } from '../../runner/debian-packages.js';
import type { RunOptions } from '../../runner/main.js';
import { Refusal } from '../../runner/refusal.js';
import type { FaultRow } from '../table/row.js';
import { FAULT_ROWS } from '../table/rows.js';
import { closingTable } from './closing-table.js';
import { buildNextPrograms, NEXT_PROGRAMS_VARIABLE } from './next-programs.js';
import {
  MEASURED,
  type Measured,
  measuredOf,
  RESULTS_VARIABLE,
  ROWS_VARIABLE,
  type RowResult,
  readResults,
} from './results.js';
import { DEFAULTS_VARIABLE } from './timing.js';

/** Packages of Debian, each with a program or file of it by which it is found. */
const TOOLS: Readonly<Record<string, string>> = {
  iproute2: 'ip',
  nftables: 'nft',
  'util-linux': 'unshare',
  'postgresql-client': 'psql',
  faketime: 'faketime',
};

/** Files at a time: the rows mostly wait for time-outs. */
const JOBS = '3';

/** No file may take longer. */
const LIMIT_MS = '900000';

type Execute = (entries: readonly string[], options: RunOptions) => Promise<number>;

/**
 * @param files the test files there are
 * @param root of the tree
 * @param env ROW chooses rows ("21", "1,2,3", "ci"), UPDATE=1 records what was measured, DEFAULTS=1 takes the default timing
 * @param execute runs test files below the supervisor
 */
export async function runChaos(
  files: readonly string[],
  root: string,
  env: NodeJS.ProcessEnv,
  execute: Execute,
): Promise<number> {
  const chosen = chosenRows(env['ROW'] ?? '');
  const here = chosen.filter((one): one is FaultRow & { proof: string } => typeof one.proof === 'string');
  const wanted = [...new Set(here.map(({ proof }) => `test/chaos/${proof}.test.ts`))];
  const entries = files.filter((file) => wanted.includes(file));
  if (entries.length === 0) {
    console.log(closingTable(chosen, []));
    return 0;
  }
  if (process.getuid?.() !== 0) {
    throw new Refusal('make chaos cuts, freezes and kills hosts that are network namespaces: run it as root');
  }
  installTools();
  const results = mkdtempSync(join(tmpdir(), 'conmgr-chaos-'));
  let next: string | undefined;
  try {
    if (here.some(({ wantsNextVersion }) => wantsNextVersion)) next = buildNextPrograms(root);
    const options: RunOptions = {
      as: 'root',
      within: ['unshare', '--net', '--mount', '--'],
      prepare: async () => ({
        TEST_JOBS: env['TEST_JOBS'] || JOBS,
        TEST_LIMIT_MS: LIMIT_MS,
        LC_ALL: 'C.UTF-8',
        [RESULTS_VARIABLE]: results,
        ...(next === undefined ? {} : { [NEXT_PROGRAMS_VARIABLE]: next }),
        [DEFAULTS_VARIABLE]: env['DEFAULTS'] === '1' ? '1' : '',
        ...(chosen.length < FAULT_ROWS.length ? { [ROWS_VARIABLE]: here.map((one) => one.row).join() } : {}),
      }),
    };
    const long = here.flatMap((one) => (one.long === true ? [`test/chaos/${one.proof}.test.ts`] : []));
    const short = entries.filter((entry) => !long.includes(entry));
    let status = 0;
    for (const some of [short, long]) {
      // 128 and more: it was interrupted.
      if (some.length > 0 && status < 128) status = (await execute(some, options)) || status;
    }
    const found = readResults(results);
    if (env['UPDATE']) record(join(root, MEASURED), found);
    console.log(closingTable(chosen, found));
    return status;
  } finally {
    for (const made of [results, next]) {
      if (made !== undefined) rmSync(made, { recursive: true, force: true });
    }
  }
}

function chosenRows(words: string): readonly FaultRow[] {
  if (words === '') return FAULT_ROWS;
  if (words === 'ci') return FAULT_ROWS.filter(({ ci }) => ci === true);
  return words.split(/[\s,]+/).map((word) => {
    const found = FAULT_ROWS.find((one) => String(one.row) === word);
    if (found === undefined) throw new Refusal(`ROW=${words}: the fault suite has no row "${word}"`);
    return found;
  });
}

/** Rows that did not run keep what was recorded of them. */
function record(path: string, found: readonly RowResult[]): void {
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Measured[]) : [];
  const kept = before.filter(({ row }) => !found.some((one) => one.row === row && one.verdict === 'proven'));
  const fresh = found.filter(({ verdict }) => verdict === 'proven').map(measuredOf);
  const all = [...kept, ...fresh].sort((one, other) => one.row - other.row);
  writeFileSync(path, `${JSON.stringify(all, undefined, 2)}\n`);
}

function installTools(): void {
  const missing = Object.entries(TOOLS).flatMap(([name, program]) =>
    spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0 ? [] : [name],
  );
  try {
    installPackages(missing);
  } catch {
    throw new Refusal(`the faults need ${missing.join(' ')}, which could not be installed`);
  }
}
