/** What the runner does before the first system test: tools, packages, roots, layers. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal } from '../../runner/refusal.js';
import { SUITES, SUITES_VARIABLE, type Suite, type SuiteName } from './images.js';
import { installPackages } from './layers.js';
import { noteRun } from './leftovers.js';
import { make } from './next-version.js';
import { POSTGRES, rootOf } from './roots.js';
import { requireTools } from './tools.js';

/** A run, as far as hosts are concerned. */
export interface PreparedRun {
  readonly id: string;
  readonly directory: string;
  readonly scratch: string;
}

/** The releases that SUITE chooses; an error names those that there are. */
export function chosenSuites(chosen: string | undefined): readonly SuiteName[] {
  const names = SUITES.filter((name) => !chosen || name === chosen);
  if (names.length > 0) return names;
  throw new Refusal(`SUITE=${chosen}: there are ${SUITES.join(' and ')}`);
}

/**
 * Before the run exists: whatever may refuse, and everything that is made of the tree.
 * @param make whether the packages are to be made, too
 */
export async function prepareMachine(
  tree: string,
  names: readonly SuiteName[],
  make: boolean,
): Promise<void> {
  await requireTools();
  // Side by side: one waits for the network where the other computes.
  await allOf<unknown>([...(make ? [makePackages(tree)] : []), ...names.map(rootOf)]);
}

/** Makes the images of a run; returns what the tests need in their environment. */
export async function prepareRun(
  run: PreparedRun,
  names: readonly SuiteName[],
  packages: string,
): Promise<NodeJS.ProcessEnv> {
  noteRun(run.id, [run.directory, run.scratch]);
  const layers = join(run.scratch, 'layers');
  mkdirSync(layers);
  const suites = await allOf(names.map((name) => suiteOf(run.id, name, packages, join(layers, name))));
  return { [SUITES_VARIABLE]: JSON.stringify(suites) };
}

async function suiteOf(run: string, name: SuiteName, packages: string, layer: string): Promise<Suite> {
  const root = await rootOf(name);
  const installed = await installPackages(run, root, packages, layer);
  return { name, postgres: POSTGRES[name], stock: [root], installed: [installed, root] };
}

/** Makes the packages in dist/packages, and those of the next version, as an upgrade to them, in dist/packages-next. */
async function makePackages(tree: string): Promise<void> {
  for (const words of [
    ['deb', 'rpm'],
    ['next-packages', 'PACKAGES=dist/packages-next'],
  ]) {
    await make(tree, words).catch((error: unknown) => {
      throw new Refusal((error as Error).message);
    });
  }
}

/** Waits for all even when one fails: nothing may still be written when the run's directory is removed. */
async function allOf<T>(steps: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(steps);
  return settled.map((step) => {
    if (step.status === 'rejected') throw step.reason;
    return step.value;
  });
}
