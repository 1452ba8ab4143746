import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Log, MessageSpec } from '../../../src/core/messages/message.js';
import { WatchedSessions } from '../../../src/core/terminator/watched.js';
import {
  EMPTY_MEMORY,
  linksAndLosses,
  type Memory,
  MemoryFile,
  type PresentMemory,
  recall,
} from '../../../src/watchdog/memory.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';
import { temporaryDirectory } from '../../support/tree.js';

const LINK = {
  conmgrId: 'a'.repeat(32),
  address: '10.0.0.1',
  label: 'conmgr app1',
  timeoutMs: 3000,
  beats: 4,
  authenticated: true,
};
const KNOWN: Memory = { paused: true, links: [LINK] };

function memoryFile(present: () => PresentMemory, path = join(temporaryDirectory(), 'state')) {
  const clock = new FakeClock();
  const written: MessageSpec[] = [];
  const log: Log = { write: (spec) => void written.push(spec) };
  return { path, clock, written, file: new MemoryFile({ path, kernelBootId: 'boot', clock, log, present }) };
}

describe('what is remembered over a restart of the watchdog', () => {
  it('comes back as it was', async () => {
    const { path, file } = memoryFile(() => EMPTY_MEMORY);
    await file.close(KNOWN);
    assert.deepEqual(await recall(path, 'boot'), KNOWN);
  });

  it('so do the sessions that a conmgr has reported', async () => {
    const { path, file } = memoryFile(() => EMPTY_MEMORY);
    const watched = WatchedSessions.fromRecord([['10.0.0.1', [40_001, 7]]]);
    await file.close({ paused: false, links: [{ ...LINK, watched }] });
    const [link] = (await recall(path, 'boot')).links;
    assert.deepEqual(link?.watched?.toRecord(), [['10.0.0.1', [40_001, 7]]]);
  });

  it('links are forgotten with a start of the machine: their sessions are gone', async () => {
    const { path, file } = memoryFile(() => EMPTY_MEMORY);
    await file.close(KNOWN);
    assert.deepEqual(await recall(path, 'another boot'), { paused: true, links: [] });
  });

  it('a file that is missing, cut, or makes no sense is as none', async () => {
    const path = join(temporaryDirectory(), 'state');
    assert.deepEqual(await recall(path, 'boot'), EMPTY_MEMORY);
    const good = JSON.stringify({ version: 1, kernelBootId: 'boot', paused: false, links: [LINK] });
    for (const text of [
      '',
      good.slice(0, -5),
      '[]',
      '7',
      'null',
      good.replace('"version":1', '"version":2'),
    ]) {
      writeFileSync(path, text);
      assert.deepEqual(await recall(path, 'boot'), EMPTY_MEMORY);
    }
    const broken = [
      { ...LINK, beats: 'many' },
      { ...LINK, address: 'somewhere' },
      { ...LINK, timeoutMs: -1 },
      { ...LINK, timeoutMs: 1e300 },
    ];
    writeFileSync(
      path,
      JSON.stringify({ version: 1, kernelBootId: 'boot', links: [LINK, ...broken, null, 3] }),
    );
    assert.deepEqual(await recall(path, 'boot'), { paused: false, links: [LINK] });
  });

  it('is written at most once a second, and only when it differs', async () => {
    let known = EMPTY_MEMORY;
    let asked = 0;
    const { path, clock, file } = memoryFile(() => {
      asked += 1;
      return known;
    });
    file.changed();
    known = KNOWN;
    file.changed();
    clock.advance(999);
    assert.equal(asked, 0);
    clock.advance(1);
    assert.equal(asked, 1);
    await eventually(() => readFileSync(path, 'utf8').includes('10.0.0.1'), { what: 'it is written' });
    const before = readFileSync(path, 'utf8');
    await file.close(KNOWN);
    assert.equal(readFileSync(path, 'utf8'), before);
  });

  it('whose text takes long is written again within four seconds', async () => {
    const links = Array.from({ length: 3 }, (_none, at) => ({ ...LINK, beats: at }));
    let asked = 0;
    const { path, clock, file } = memoryFile(() => {
      asked += 1;
      return { paused: false, links: slow() };
    });
    function* slow(): Generator<typeof LINK, void, void> {
      for (let times = 0; times < 100; times += 1) {
        clock.stall(10);
        yield* links;
      }
    }
    file.changed();
    clock.advance(1000);
    await eventually(() => existsSync(path), { everyMs: 1, what: 'it is written' });
    file.changed();
    clock.advance(3999);
    assert.equal(asked, 1);
    clock.advance(1);
    assert.equal(asked, 2);
    await file.close(EMPTY_MEMORY);
  });

  it('a link that is lost while the others are being written is written too', async () => {
    const up = new Set(Array.from({ length: 250 }, (_none, at) => ({ ...LINK, beats: at })));
    const losses: (typeof LINK)[] = [];
    const { path, clock, file } = memoryFile(() => ({
      paused: false,
      links: linksAndLosses(up, () => losses),
    }));
    file.changed();
    clock.advance(1000);
    // After the first hundred.
    setImmediate(() => {
      const last = [...up].at(-1) ?? LINK;
      up.delete(last);
      losses.push(last);
    });
    await eventually(() => existsSync(path), { everyMs: 1, what: 'it is written' });
    const { links } = await recall(path, 'boot');
    assert.deepEqual([up.size, losses.length, links.length], [249, 1, 250]);
    assert.equal(links.at(-1)?.beats, 249);
  });

  it('a file that cannot be written is a WARNING', async () => {
    const { written, file } = memoryFile(() => KNOWN, '/nonexistent/state');
    await file.close(KNOWN);
    assert.deepEqual(
      written.map(({ level }) => level),
      ['WARNING'],
    );
  });
});
