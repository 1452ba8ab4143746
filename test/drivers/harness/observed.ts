/**
 * What drivers tell their applications, as it was seen: test/drivers/observed.json, of which docs/drivers.md is made.
 * Each test compares what it sees with what was recorded of the same version of the driver. `UPDATE=1` records.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { inTree } from '../../support/tree.js';
import type { Adapter, Failure } from './adapter.js';
import type { WayName } from './ways.js';

/** When a driver was told. */
export type Occasion = 'cancelled' | 'lost' | 'unavailable' | 'unavailable with TLS';

export interface Told {
  readonly text: string;
  readonly sqlstate: string | null;
}

/** By driver, way and occasion. */
export interface Observed {
  readonly version: string;
  readonly ways: Partial<Record<WayName, Partial<Record<Occasion, Told>>>>;
}

export const OBSERVED = 'test/drivers/observed.json';

/** Says where to record; the tests run on a copy of the tree. */
export const RECORD_VARIABLE = 'DRIVERS_OBSERVED';

const recordTo = process.env[RECORD_VARIABLE];

export function readObserved(path: string): Record<string, Observed> {
  return JSON.parse(readFileSync(path, 'utf8')) as Record<string, Observed>;
}

/** Compares what a driver told with what was recorded, or records it. */
export function observe(way: WayName, adapter: Adapter, occasion: Occasion, failure: Failure): void {
  const { driver, version } = adapter;
  const told: Told = { text: lasting(failure.error), sqlstate: failure.sqlstate };
  const path = recordTo ?? inTree(OBSERVED);
  const all = readObserved(path);
  const known = all[driver.name];
  if (recordTo !== undefined) {
    const ways = { ...known?.ways, [way]: { ...known?.ways[way], [occasion]: told } };
    const next = { ...all, [driver.name]: { version, ways } };
    writeFileSync(path, `${JSON.stringify(next, undefined, 2)}\n`);
    return;
  }
  assert.ok(known, `nothing is recorded of ${driver.name}; UPDATE=1 records it`);
  // Another release of Debian has other versions, which may say it in other words; the document names its version.
  if (driver.packages.length > 0 && known.version !== version) return;
  assert.equal(version, known.version, `${driver.name} has another version; UPDATE=1 records it`);
  assert.deepEqual(
    told,
    known.ways[way]?.[occasion],
    `${driver.name} was told something else; UPDATE=1 records it`,
  );
}

/** The text without what is another one each time: ports of clients, lines of the programs here. */
function lasting(text: string): string {
  return text
    .trim()
    .replace(/:\d+(?=->)/g, ':PORT')
    .replace(/ on line \d+/g, ' on line LINE');
}
