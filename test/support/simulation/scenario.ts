/**
 * A scenario as text: lines that begin with `>` are commands, `#` are words for the reader, and everything else is
 * what the world had to say after the command above it, recorded by an earlier run.
 *
 *     # A server that dies silently is found within heartbeat_timeout.
 *     > power-off db1
 *     > advance 4s
 *       3.000 s1: told: drop (heartbeat timeout: no packet for 2999 ms)
 */
import { carryOut } from './commands.js';
import { ScenarioError, type Stage } from './stage.js';
import { World } from './world.js';

/** The scenario with what its commands give now. Throws ScenarioError, with the line, where it cannot be carried out. */
export function play(text: string, seed = 1): string {
  const stage: Stage = { world: new World(seed), faultAt: 0 };
  const output: string[] = [];
  let told = 0;
  text.split('\n').forEach((line, index) => {
    if (line.startsWith('#') || line === '') {
      output.push(line);
      return;
    }
    if (!line.startsWith('>')) return;
    output.push(line);
    try {
      carryOut(stage, line.slice(1));
    } catch (error) {
      if (!(error instanceof ScenarioError)) throw error;
      throw new ScenarioError(`line ${index + 1}: ${line}\n${error.message}\n${transcript(stage.world, 0)}`);
    }
    output.push(...transcript(stage.world, told));
    told = stage.world.notes.length;
  });
  return output.join('\n');
}

function transcript({ notes }: World, from: number): string[] {
  return notes.slice(from).map(({ at, who, what }) => `  ${(at / 1000).toFixed(3)} ${who}: ${what}`);
}
