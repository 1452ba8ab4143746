/**
 * Runs test files, each in a process of its own, and reports compactly: a line a file, what failed in full, and the
 * closing counts of node:test. `report.mjs FILE...`; TEST_JOBS files at a time. Written against the events that
 * Node.js 18 to 24 have in common.
 */
import { run } from 'node:test';
import { inspect } from 'node:util';

/** What is collected about a file until the events of the next one arrive. */
interface FileReport {
  tests: number;
  durationMs: number;
  /** Name and error of each test that failed. */
  failures: string[];
  notRun: string[];
  /** Tests whose time is worth a look. */
  slow: string[];
  figures: string[];
  output: string;
  /** Suites and tests that have begun and not ended, outermost first. */
  readonly open: Set<string>;
}

/** The part of an event's data that is read here. */
interface EventData {
  readonly name?: string;
  readonly nesting?: number;
  readonly file?: string;
  /** From Node.js 24 on; `file` is the source by then. */
  readonly entryFile?: string;
  readonly message?: string;
  readonly skip?: string | boolean;
  readonly details?: { readonly duration_ms: number; readonly type?: string; readonly error?: unknown };
}

/** The error of a test as node:test wraps it; how the process ended is known for a whole file. */
interface TestError {
  readonly failureType?: string;
  readonly cause?: unknown;
  readonly exitCode?: number | null;
  readonly signal?: string | null;
}

/** A test that takes longer is named. */
const SLOW_MS = 15_000;

/** A diagnostic of a test that begins so is printed: what it measured. */
const FIGURE = 'figure: ';

const bundles = process.argv.slice(2);
const titles = bundles.map(title);
const reports = new Map<string, FileReport>();
const failed: string[] = [];
let names: string[] = [];
let current: string | undefined;

/** The path of the test in the tree. */
function title(bundle: string): string {
  return bundle.replace(/^.*\/build\//, '').replace(/\.mjs$/, '.ts');
}

function titleOf(data: EventData): string | undefined {
  const file = data.entryFile ?? data.file;
  if (file === undefined) return undefined;
  const path = file.replace(/^file:\/\//, '').replace(/\.mjs$/, '.ts');
  return titles.find((one) => path.endsWith(`/${one}`));
}

function reportOf(file: string): FileReport {
  const known = reports.get(file);
  if (known !== undefined) return known;
  const fresh: FileReport = {
    tests: 0,
    durationMs: 0,
    failures: [],
    notRun: [],
    slow: [],
    figures: [],
    output: '',
    open: new Set(),
  };
  reports.set(file, fresh);
  return fresh;
}

/** Prints what is known of the file whose events have all been seen. */
function close(file: string | undefined): void {
  if (file === undefined) return;
  const { tests, durationMs, failures, notRun, slow, figures, output } = reportOf(file);
  const mark = failures.length === 0 ? 'ok  ' : 'FAIL';
  console.log(`${mark} ${file} (${tests} tests, ${Math.round(durationMs)} ms)`);
  for (const line of notRun) console.log(`     not run: ${line}`);
  for (const line of slow) console.log(`     slow: ${line}`);
  for (const line of figures) console.log(`     ${line}`);
  for (const failure of failures) console.log(indent(failure));
  if (failures.length > 0 && output.trim() !== '') {
    console.log(indent(`what ${file} printed:\n${output.trimEnd()}`));
  }
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '     ');
}

function describeError(error: TestError | undefined): string {
  const { cause, failureType } = error ?? {};
  if (cause instanceof Error) return inspect(cause);
  return `${failureType ?? 'failed'}: ${inspect(cause ?? error)}`;
}

function onResult(passed: boolean, data: EventData): void {
  const file = titleOf(data);
  if (file === undefined) return;
  if (file !== current) {
    close(current);
    current = file;
  }
  const report = reportOf(file);
  const { name = '', nesting = 0, details } = data;
  report.open.delete(name);
  // A file that could not be run to its end, or whose own hook failed, is reported as a test of the file's name.
  const isFile = nesting === 0 && titleOf({ file: name }) === file;
  if (details?.type !== 'suite' && !isFile) report.tests++;
  if (nesting === 0) report.durationMs += details?.duration_ms ?? 0;
  const fullName = isFile ? file : [...names.slice(0, nesting), name].join(' > ');
  const durationMs = details?.duration_ms ?? 0;
  if (details?.type !== 'suite' && !isFile && durationMs >= SLOW_MS) {
    report.slow.push(`${fullName} (${(durationMs / 1000).toFixed(1)} s)`);
  }
  if (data.skip) report.notRun.push(`${fullName}${typeof data.skip === 'string' ? ` (${data.skip})` : ''}`);
  if (passed) return;
  const error = details?.error as TestError | undefined;
  if (error?.failureType === 'subtestsFailed' && report.failures.length > 0) return;
  failed.push(isFile ? file : `${file}: ${fullName}`);
  report.failures.push(
    isFile ? describeFile(error, report.open) : `${fullName}\n${indent(describeError(error))}`,
  );
}

/** A process that ended badly, with what it was at, or a hook outside of all suites that failed. */
function describeFile(error: TestError | undefined, open: ReadonlySet<string>): string {
  const { cause, exitCode, signal } = error ?? {};
  if (cause instanceof Error) return `the file failed as a whole\n${indent(describeError(error))}`;
  const where = open.size === 0 ? '' : ` in: ${[...open].join(' > ')}`;
  return `the file failed as a whole (${signal ? `ended by ${signal}` : `exit status ${exitCode}`})${where}`;
}

const closing: string[] = [];
let successful = true;
for await (const event of run({ files: bundles, concurrency: Number(process.env['TEST_JOBS'] ?? 2) })) {
  const { type, data } = event as unknown as { type: string; data: EventData };
  switch (type) {
    case 'test:dequeue': {
      const file = titleOf(data);
      const { name = '' } = data;
      if (file !== undefined && titleOf({ file: name }) !== file) reportOf(file).open.add(name);
      break;
    }
    case 'test:start':
      names = [...names.slice(0, data.nesting ?? 0), data.name ?? ''];
      break;
    case 'test:pass':
    case 'test:fail':
      if (type === 'test:fail') successful = false;
      onResult(type === 'test:pass', data);
      break;
    case 'test:stdout':
    case 'test:stderr': {
      const file = titleOf(data);
      if (file !== undefined) reportOf(file).output += data.message ?? '';
      break;
    }
    case 'test:diagnostic':
      if (data.nesting === 0 && data.file === undefined) closing.push(`# ${data.message}`);
      else if (data.message?.startsWith(FIGURE)) {
        const file = titleOf(data);
        if (file !== undefined) reportOf(file).figures.push(data.message.slice(FIGURE.length));
      }
      break;
  }
}
close(current);
if (closing.includes('# tests 0')) {
  console.log('the files hold no test');
  successful = false;
}
if (failed.length > 0) console.log(`\nfailed:\n${failed.map((one) => `  ${one}`).join('\n')}\n`);
console.log(closing.join('\n'));
process.exitCode = successful ? 0 : 1;
