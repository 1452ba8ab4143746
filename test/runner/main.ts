/**
 * Runs the tests, the demo and the benchmarks: bundles what is wanted, brings the servers it needs, and runs it
 * unprivileged in a directory of its own that is gone afterwards. The Makefile is its only caller:
 *
 *     main.ts tests all|unit|integration
 *     main.ts system
 *     main.ts kernel
 *     main.ts drivers
 *     main.ts chaos
 *     main.ts page
 *     main.ts demo
 *     main.ts bench
 *     main.ts simulate
 *     main.ts fuzz
 *     main.ts soak
 *
 * Environment: ONLY (paths must contain one of these words), KEEP (passed on to the demo), TEST_NODE (18, 20, 22 or
 * 24: the release to run on), TEST_USER (account to switch to from root), TEST_JOBS (test files at a time), PG_BIN
 * (directory of a PostgreSQL to use instead of the pinned ones), SUITE (bookworm or trixie: the system tests run on
 * that release of Debian only), PACKAGES (directory of packages that the system tests take instead of making them;
 * PACKAGES-next has those of an upgrade), UPDATE (what stock drivers are told, or what benchmarks measure, is recorded), BENCH_ROUNDS (of the
 * benchmarks with hosts and stock drivers), PICTURES (an absolute directory that gets pictures of the pages), ROW (numbers of rows
 * of the fault suite) and DEFAULTS (1: that suite runs with the timing that is the default).
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPeers } from '../../bench/hosts/packages.js';
import {
  type Block,
  pageOf,
  RESULTS,
  RESULTS_VARIABLE,
  readBlocks,
  recordResults,
} from '../../bench/results.js';
import { buildClient, buildPrograms, bundleForTree } from '../../packaging/bundles.mjs';
import { runChaos } from '../chaos/harness/run.js';
import { OBSERVED, RECORD_VARIABLE } from '../drivers/harness/observed.js';
import { buildDriverPrograms, requirePackages } from '../drivers/harness/prepare.js';
import { chosenSuites, prepareMachine, prepareRun } from '../system/harness/prepare.js';
import { mayRead, testAccount } from './account.js';
import { installNode, installPostgres, postgresMajors } from './installed.js';
import { Refusal } from './refusal.js';
import { placeExtension, placeGenerated, placePackages, placeProgram, placeTree } from './run-directory.js';
import { openRun, type Run } from './supervise.js';
import { sweepDeadRuns, sweepWhenClosed } from './sweep.js';

const root = process.cwd();
const env = process.env;
const REPORTER = 'test/runner/report.ts';

/** The folders below test/ that each kind of run takes its test files from. */
const SUITES: Readonly<Record<string, readonly string[]>> = {
  all: ['unit', 'spec', 'scenarios', 'integration'],
  unit: ['unit', 'spec', 'scenarios'],
  integration: ['integration'],
  system: ['system'],
  kernel: ['kernel'],
  drivers: ['drivers'],
  chaos: ['chaos'],
  page: ['page'],
};

/** The PostgreSQL that the demo and the benchmarks run on. */
const SHOWN_MAJOR = 17;

async function main(kind: string | undefined, detail: string | undefined): Promise<number> {
  switch (kind) {
    case 'tests': {
      const files = testFiles(detail ?? 'all');
      return runInTree([REPORTER, ...files], (bundled) => [[bundled(REPORTER), ...files.map(bundled)]]);
    }
    case 'system':
      return runSystem();
    case 'kernel':
      return runKernel();
    case 'drivers':
      return runDrivers();
    case 'chaos':
      return runChaos(testFiles('chaos'), root, env, (entries, options) =>
        runInTree(
          [REPORTER, ...entries],
          (bundled) => [[bundled(REPORTER), ...entries.map(bundled)]],
          options,
        ),
      );
    case 'page':
      return runPage();
    case 'demo':
      return runInTree(['demo/main.ts'], (bundled) => [[bundled('demo/main.ts')]]);
    case 'bench':
      return runBench();
    case 'simulate':
      return runInTree(['test/simulate/main.ts'], (bundled) => [[bundled('test/simulate/main.ts')]]);
    case 'fuzz':
      return runInTree(['test/fuzz/main.ts'], (bundled) => [[bundled('test/fuzz/main.ts')]]);
    case 'soak':
      return runInTree(['test/soak/main.ts'], (bundled) => [[bundled('test/soak/main.ts')]]);
    default:
      throw new Refusal(
        `main.ts runs tests, system, kernel, drivers, chaos, page, demo, bench, simulate, fuzz or soak, not "${kind}"`,
      );
  }
}

/** The tests that boot hosts: as root, on packages made of the tree. */
async function runSystem(): Promise<number> {
  const files = testFiles('system');
  if (process.getuid?.() !== 0) throw new Refusal('make test-system boots hosts: run it as root');
  const suites = chosenSuites(env['SUITE']);
  const packages = env['PACKAGES'] || join(root, 'dist/packages');
  await sweepDeadRuns();
  await prepareMachine(root, suites, !env['PACKAGES']);
  return runInTree([REPORTER, ...files], (bundled) => [[bundled(REPORTER), ...files.map(bundled)]], {
    as: 'root',
    prepare: async (run) => {
      for (const [from, to] of [
        [packages, 'packages'],
        [`${packages}-next`, 'packages-next'],
      ] as const) {
        if (existsSync(from)) cpSync(from, join(run.directory, 'dist', to), { recursive: true });
      }
      const images = await prepareRun(run, suites, join(run.directory, 'dist/packages'));
      return { TEST_JOBS: '2', TEST_LIMIT_MS: '400000', ...images };
    },
  });
}

/** The tests that end sockets and redirect connections: as root, in namespaces of their own, so that nothing of this
 *  machine is within their reach. */
async function runKernel(): Promise<number> {
  const files = testFiles('kernel');
  if (process.getuid?.() !== 0) throw new Refusal('make test-kernel ends connections: run it as root');
  return runInTree([REPORTER, ...files], (bundled) => [[bundled(REPORTER), ...files.map(bundled)]], {
    as: 'root',
    within: ['unshare', '--net', '--mount', '--'],
    prepare: async (run) => {
      cpSync(join(root, 'dist/bpf'), join(run.directory, 'dist/bpf'), { recursive: true });
      return { TEST_JOBS: '1' };
    },
  });
}

/** The tests with stock drivers: as root, on hosts that are network namespaces below one of their own. */
async function runDrivers(): Promise<number> {
  const files = testFiles('drivers');
  if (process.getuid?.() !== 0) {
    throw new Refusal('make test-drivers cuts hosts off a network of its own: run it as root');
  }
  requirePackages();
  return runInTree([REPORTER, ...files], (bundled) => [[bundled(REPORTER), ...files.map(bundled)]], {
    as: 'root',
    within: ['unshare', '--net', '--mount', '--'],
    prepare: async (run) => {
      await buildDriverPrograms(run.directory, join(root, 'build/go-cache'));
      cpSync(join(root, 'dist/bpf'), join(run.directory, 'dist/bpf'), { recursive: true });
      return {
        TEST_JOBS: '1',
        TEST_LIMIT_MS: '300000',
        LC_ALL: 'C.UTF-8',
        ...(env['UPDATE'] ? { [RECORD_VARIABLE]: join(root, OBSERVED) } : {}),
      };
    },
  });
}

/** The tests that look at the pages of status_port with a real browser, and at its metrics with Prometheus' own tool. */
async function runPage(): Promise<number> {
  const files = testFiles('page');
  for (const [program, name] of [
    ['chromium', 'chromium'],
    ['promtool', 'prometheus'],
  ]) {
    if (spawnSync(program!, ['--version'], { stdio: 'ignore' }).status !== 0) {
      throw new Refusal(`make test-page needs the program ${program}: apt-get install ${name}`);
    }
  }
  return runInTree([REPORTER, ...files], (bundled) => [[bundled(REPORTER), ...files.map(bundled)]], {});
}

/** Benchmarks that root runs in namespaces of their own. */
const IN_NAMESPACES = ['bench/gateway/', 'bench/heartbeat/', 'bench/hosts/'];

/** The benchmarks; those of hosts and of stock drivers, if root runs them, in namespaces of their own. */
async function runBench(): Promise<number> {
  const files = only(filesBelow('bench', '.bench.ts'));
  const isRoot = process.getuid?.() === 0;
  const kernel = files.filter((file) => isRoot && IN_NAMESPACES.some((folder) => file.startsWith(folder)));
  const others = files.filter((file) => !kernel.includes(file));
  if (isRoot && kernel.some((file) => file.startsWith('bench/hosts/'))) installPeers();
  const blocks: Block[] = [];
  const runOf = (some: readonly string[], options: RunOptions): Promise<number> => {
    if (some.length === 0) return Promise.resolve(0);
    return runInTree(some, (bundled) => some.map((file) => [bundled(file)]), {
      ...options,
      prepare: async (run) => ({
        ...(await options.prepare?.(run)),
        [RESULTS_VARIABLE]: join(run.scratch, 'results'),
      }),
      after: (run) => blocks.push(...readBlocks(join(run.scratch, 'results'))),
    });
  };
  const status =
    (await runOf(others, {})) ||
    (await runOf(kernel, {
      as: 'root',
      within: ['unshare', '--net', '--mount', '--'],
      prepare: async (run) => {
        const programs = join(root, 'dist/bpf');
        if (existsSync(programs)) cpSync(programs, join(run.directory, 'dist/bpf'), { recursive: true });
        return {};
      },
    }));
  console.log(pageOf(blocks));
  if (env['UPDATE']) recordResults(join(root, RESULTS), blocks);
  return status;
}

function testFiles(suite: string): string[] {
  const folders = SUITES[suite];
  if (folders === undefined) throw new Refusal(`there is no suite "${suite}"`);
  return only(folders.flatMap((folder) => filesBelow(join('test', folder), '.test.ts')));
}

function filesBelow(folder: string, ending: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path, ending) : path.endsWith(ending) ? [path] : [];
    })
    .sort();
}

function only(files: readonly string[]): string[] {
  const words = (env['ONLY'] ?? '').split(/[\s,]+/).filter((word) => word !== '');
  const chosen = files.filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
  if (chosen.length > 0) return chosen;
  throw new Refusal(
    words.length === 0 ? 'there are no files to run' : `no file's path contains "${words.join('" or "')}"`,
  );
}

export interface RunOptions {
  readonly as?: 'tester' | 'root';
  /** A command in front of that of the run, which ends with it. */
  readonly within?: readonly string[];
  readonly prepare?: (run: Run) => Promise<NodeJS.ProcessEnv>;
  /** Called before what the run has written is removed. */
  readonly after?: (run: Run) => void;
}

/**
 * Bundles `entries`, lays out a run and executes `commands` in it, one after the other.
 * @param commands given the function from an entry to its bundle: the arguments for Node.js of each command
 * @param options whom the run belongs to; what else to lay out, and to add to the environment of the commands
 */
async function runInTree(
  entries: readonly string[],
  commands: (bundled: (entry: string) => string) => string[][],
  { as = 'tester', within = [], prepare, after }: RunOptions = {},
): Promise<number> {
  const account = as === 'root' ? undefined : testAccount(env);
  const pgBin = env['PG_BIN'];
  if (pgBin !== undefined && !existsSync(join(pgBin, 'initdb'))) {
    throw new Refusal(`PG_BIN=${pgBin}: there is no initdb`);
  }
  if (pgBin !== undefined && !mayRead(account, join(pgBin, 'postgres'))) {
    throw new Refusal(`PG_BIN=${pgBin}: ${account?.name ?? 'you'} cannot run the postgres there`);
  }
  const node = env['TEST_NODE'] ? await installNode(root, env['TEST_NODE']) : process.execPath;
  const run = openRun(account, [fileURLToPath(import.meta.url), 'sweep']);
  try {
    const bundles = join(run.directory, 'build');
    placeTree(root, run.directory);
    const { inputs } = await bundleForTree([...entries], bundles, ['test/runner/time-limit.ts']);
    const sources = Object.keys(inputs);
    const imports = Object.values(inputs).flatMap((input) => input.imports.filter((one) => one.external));
    const packages = new Set(imports.map((one) => packageOf(one.path)));
    placePackages(root, run.directory, packages);

    if (packages.has('conmgr') || sources.includes('test/support/programs.ts')) {
      const dist = join(run.directory, 'dist');
      await allOf([buildPrograms(join(dist, 'bin')), buildClient(join(dist, 'client'))]);
    }
    if (pgBin === undefined && sources.includes('test/support/postgres-binaries.ts')) {
      const majors = entries.includes(REPORTER) ? postgresMajors() : [SHOWN_MAJOR];
      await allOf(majors.map((major) => installPostgres(root, major)));
      for (const major of majors) {
        const postgres = join('build/postgres', String(major));
        placeGenerated(root, run.directory, postgres);
        placeExtension(root, run.directory, postgres);
      }
    }

    const prepared = await prepare?.(run);
    const program = placeProgram(run.directory, node, account);
    for (const args of commands((entry) => join(bundles, entry.replace(/\.ts$/, '.mjs')))) {
      const [command = program, ...words] = [...within, program, '--enable-source-maps', ...args];
      const status = await run.execute(command, words, {
        ...runEnv(run.scratch, program),
        ...prepared,
      });
      if (status !== 0) return status;
    }
    return 0;
  } finally {
    after?.(run);
    await run.close();
  }
}

/** Waits for all even when one fails: nothing may still write into the run's directory when it is removed. */
async function allOf(steps: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(steps)).find((step) => step.status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** `@scope/name/file` and `name/file` without the file. */
function packageOf(path: string): string {
  return path.split('/', path.startsWith('@') ? 2 : 1).join('/');
}

/** The caller's environment less what would change how programs under test behave. */
function runEnv(scratch: string, node: string): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => !/^(PG(?!_BIN$)|NODE_|npm_|CONMGR_|MAKE|MFLAGS$|NOTIFY_SOCKET$|LISTEN_|WATCHDOG_)/.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    PATH: `${dirname(node)}:${env['PATH'] ?? '/usr/bin:/bin'}`,
    TMPDIR: scratch,
    HOME: scratch,
    TEST_JOBS: env['TEST_JOBS'] || String(Math.min(4, Math.max(2, availableParallelism()))),
  };
}

const [kind, ...details] = process.argv.slice(2);
if (kind === 'sweep') {
  sweepWhenClosed(details[0] ?? '', details.slice(1));
} else {
  try {
    process.exitCode = await main(kind, details[0]);
  } catch (error) {
    // esbuild has printed its own messages already.
    if (error instanceof Refusal) console.error(error.message);
    else if (!(error instanceof Error && 'errors' in error)) console.error(error);
    process.exitCode = 1;
  }
}
