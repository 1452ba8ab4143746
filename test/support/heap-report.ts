/** A built program that says on request what lives in its heap. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { built, type ProgramName } from './programs.js';
import type { Running } from './running.js';
import { temporaryDirectory } from './tree.js';

export interface Heap {
  /** The room there is for young objects. */
  readonly youngKb: number;
  /** What lives, after all that could go has been collected. */
  readonly liveKb: number;
  /** What living objects have outside of the heap: buffers, most of all. */
  readonly outsideKb: number;
}

/** A file that runs the program and, on SIGWINCH, collects and says on stderr what is left. */
export function reportingProgram(name: ProgramName): string {
  const path = join(temporaryDirectory(), `${name}.mjs`);
  writeFileSync(
    path,
    `
import v8 from 'node:v8';
import vm from 'node:vm';
process.on('SIGWINCH', () => {
  const young = v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size;
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  collect();
  setImmediate(() => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    process.stderr.write('young ' + young + ' live ' + heapUsed + ' outside ' + external + '\\n');
  });
});
await import(${JSON.stringify(pathToFileURL(built(`bin/${name}.js`)).href)});
`,
  );
  return path;
}

/** What lives in a program of that kind now. It has a minute to say so, for it may be stopped meanwhile. */
export async function heapOf(running: Running): Promise<Heap> {
  const after = running.lines.length;
  running.kill('SIGWINCH');
  const report = await running.waitForLine(/^young (\d+) live (\d+) outside (\d+)$/, {
    after,
    timeoutMs: 60_000,
  });
  const [youngKb, liveKb, outsideKb] = report.slice(1).map((octets) => Number(octets) / 1024);
  return { youngKb: youngKb!, liveKb: liveKb!, outsideKb: outsideKb! };
}
