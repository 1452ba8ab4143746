/** Writes into every scenario what its commands give now. Run by `UPDATE=1 make test`. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { play } from '../support/simulation/scenario.js';
import { ScenarioError } from '../support/simulation/stage.js';

const FOLDER = 'test/scenarios';

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))) {
  const path = join(FOLDER, file);
  const recorded = readFileSync(path, 'utf8');
  try {
    const played = play(recorded);
    if (played === recorded) continue;
    writeFileSync(path, played);
    console.log(`recorded ${path}`);
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    console.error(`${path}: ${error.message}`);
    process.exitCode = 1;
  }
}
