import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Outlet, Taken } from '../../../../src/io/log/stderr-outlet.js';
import { StderrSink } from '../../../../src/io/log/stderr-sink.js';
import { FakeClock } from '../../../support/fake-clock.js';

const LIMIT = 256 * 1024;

/** A reader that takes so many octets, then no more until it gets `room` again. */
class Reader implements Outlet {
  readonly together = 1;
  text = '';
  room = Number.POSITIVE_INFINITY;
  failure: NodeJS.ErrnoException | undefined;
  closed = false;

  write(bytes: Buffer, done: (taken: Taken) => void): void {
    done(this.writeNow(bytes));
  }

  writeNow(bytes: Buffer): Taken {
    if (this.failure !== undefined) return this.failure;
    const taken = Math.min(bytes.length, this.room);
    this.text += bytes.toString('utf8', 0, taken);
    this.room -= taken;
    return taken;
  }

  landed(): boolean {
    return true;
  }

  close(): void {
    this.closed = true;
  }
}

/** Takes everything, but says so only when told, as the thread pool does. */
class SlowDisk implements Outlet {
  readonly text: string[] = [];
  readonly pending: { text: string; done: (taken: Taken) => void }[] = [];
  /** How often it is asked until what it has taken has reached it. */
  askedInVain = 0;

  constructor(readonly together = 1) {}

  write(bytes: Buffer, done: (taken: Taken) => void): void {
    this.pending.push({ text: bytes.toString(), done });
  }

  finishOne(taken?: Taken): void {
    const { text, done } = this.pending.shift()!;
    if (typeof taken !== 'object') this.text.push(text);
    done(taken ?? text.length);
  }

  writeNow(bytes: Buffer): Taken {
    this.text.push(bytes.toString());
    return bytes.length;
  }

  landed(): boolean {
    if (this.askedInVain > 0) this.askedInVain -= 1;
    else this.text.push(...this.pending.splice(0).map(({ text }) => text));
    return this.pending.length === 0;
  }

  close(): void {}
}

function sinkTo(outlet: Outlet): { sink: StderrSink; clock: FakeClock } {
  const clock = new FakeClock();
  return { clock, sink: new StderrSink({ clock, outlet, droppedNotice: (count) => `dropped ${count}\n` }) };
}

describe('lines to stderr', () => {
  it('are written at once and in order while the reader keeps up', () => {
    const reader = new Reader();
    const { sink, clock } = sinkTo(reader);
    sink.write('one\n');
    sink.write('two\n');
    assert.equal(reader.text, 'one\ntwo\n');
    assert.equal(clock.pending, 0);
  });

  it('wait for a reader that stalls and go out complete when it reads again, the half written one included', () => {
    const reader = new Reader();
    reader.room = 6;
    const { sink, clock } = sinkTo(reader);
    sink.write('one\n');
    sink.write('two\n');
    sink.write('three\n');
    assert.equal(reader.text, 'one\ntw');
    reader.room = Number.POSITIVE_INFINITY;
    clock.advance(20);
    assert.equal(reader.text, 'one\ntwo\nthree\n');
    assert.equal(clock.pending, 0);
  });

  it('are dropped beyond 256 kB, and one line says how many at the place where they are missing', () => {
    const reader = new Reader();
    reader.room = 0;
    const { sink, clock } = sinkTo(reader);
    const line = `${'x'.repeat(1023)}\n`;
    for (let i = 0; i < 300; i += 1) sink.write(line);
    sink.write('short, but it would be out of order\n');
    reader.room = Number.POSITIVE_INFINITY;
    clock.advance(20);
    sink.write('new\n');
    assert.equal(reader.text, `${line.repeat(LIMIT / 1024)}dropped 45\nnew\n`);
  });

  it('are counted when the reader is gone for good, without a timer that keeps trying', () => {
    const reader = new Reader();
    reader.failure = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    const { sink, clock } = sinkTo(reader);
    for (let i = 0; i < 5; i += 1) sink.write('lost\n');
    assert.equal(clock.pending, 0);
    reader.failure = undefined;
    sink.write('new\n');
    assert.equal(reader.text, 'dropped 5\nnew\n');
  });

  it('keep their order, one write at a time, when a write takes time', () => {
    const disk = new SlowDisk();
    const { sink } = sinkTo(disk);
    sink.write('one\n');
    sink.write('two\n');
    assert.equal(disk.pending.length, 1);
    disk.finishOne(2);
    assert.equal(disk.pending[0]?.text, 'e\n');
    disk.finishOne();
    disk.finishOne();
    assert.deepEqual(disk.pending, []);
    assert.equal(disk.text.at(-1), 'two\n');
  });

  it('go out together when they have waited for a write that takes time, as many as the outlet takes', () => {
    const disk = new SlowDisk(12);
    const { sink } = sinkTo(disk);
    for (const line of ['one\n', 'two\n', 'three\n', 'four\n', 'longer than twelve\n', 'five\n'])
      sink.write(line);
    while (disk.pending.length > 0) disk.finishOne();
    assert.deepEqual(disk.text, ['one\n', 'two\nthree\n', 'four\n', 'longer than twelve\n', 'five\n']);
  });

  it('are none of them lost to a disk that is slower than they come, as long as 256 kB hold what waits', () => {
    const disk = new SlowDisk(64 * 1024);
    const { sink } = sinkTo(disk);
    const line = `${'x'.repeat(255)}\n`;
    for (let n = 0; n < 40; n += 1) {
      for (let i = 0; i < 250; i += 1) sink.write(line);
      disk.finishOne();
    }
    while (disk.pending.length > 0) disk.finishOne();
    assert.equal(disk.text.join(''), line.repeat(10_000));
  });

  it('are complete and in order when the disk takes a part of what goes out together', () => {
    const disk = new SlowDisk(100);
    const { sink } = sinkTo(disk);
    const taken = (octets: number): void => {
      const { text = '' } = disk.pending[0] ?? {};
      disk.finishOne(octets);
      disk.text.push(disk.text.pop()?.slice(0, octets) ?? '');
      assert.equal(text.startsWith(disk.text.at(-1) ?? '-'), true);
    };
    for (const line of ['one\n', 'two\n', 'three\n', 'four\n']) sink.write(line);
    taken(2);
    taken(8);
    taken(9);
    assert.deepEqual(disk.text, ['on', 'e\ntwo\nth', 'ree\nfour\n']);
    assert.deepEqual(disk.pending, []);
  });

  it('are all counted when the write that they went out with fails', () => {
    const disk = new SlowDisk(100);
    const { sink } = sinkTo(disk);
    for (const line of ['one\n', 'two\n', 'three\n']) sink.write(line);
    disk.finishOne();
    disk.finishOne(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
    sink.write('four\n');
    disk.finishOne();
    assert.deepEqual(disk.text, ['one\n', 'dropped 2\nfour\n']);
  });

  it('are counted when the disk is full, and the count is written once there is room', () => {
    const disk = new SlowDisk();
    const { sink } = sinkTo(disk);
    const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    sink.write('one\n');
    disk.finishOne(full);
    sink.write('two\n');
    disk.finishOne(full);
    disk.finishOne(full);
    sink.write('three\n');
    disk.finishOne();
    disk.finishOne();
    assert.deepEqual(disk.text, ['dropped 2\n', 'three\n']);
  });
});

describe('the last words', () => {
  it('are written at once, after what waits', () => {
    const reader = new Reader();
    reader.room = 2;
    const { sink } = sinkTo(reader);
    sink.write('one\n');
    reader.room = Number.POSITIVE_INFINITY;
    sink.writeNow('the end\n');
    assert.equal(reader.text, 'one\nthe end\n');
  });

  it('wait for a write that the thread pool has under way, and follow it', () => {
    const disk = new SlowDisk();
    const { sink } = sinkTo(disk);
    disk.askedInVain = 3;
    sink.write('one\n');
    sink.write('two\n');
    sink.writeNow('the end\n');
    assert.deepEqual(disk.text, ['one\n', 'two\n', 'the end\n']);
  });

  it('are not held up by a write that hangs in the thread pool, nor is that one written twice', () => {
    const disk = new SlowDisk(100);
    const { sink } = sinkTo(disk);
    disk.askedInVain = Number.POSITIVE_INFINITY;
    sink.write('one\n');
    sink.write('two\n');
    sink.writeNow('the end\n');
    assert.deepEqual(disk.text, ['two\n', 'the end\n']);
    disk.finishOne();
    assert.deepEqual(disk.pending, []);
    assert.deepEqual(disk.text, ['two\n', 'the end\n', 'one\n']);
  });

  it('wait for a stalled reader a quarter of a second and no longer', () => {
    const reader = new Reader();
    reader.room = 0;
    const { sink } = sinkTo(reader);
    const startMs = performance.now();
    sink.writeNow('the end\n');
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs >= 200 && tookMs < 2000, `${tookMs} ms`);
    assert.equal(sink.flushSync(), false);
  });

  it('close the outlet when the sink is closed, and no timer is left', () => {
    const reader = new Reader();
    reader.room = 0;
    const { sink, clock } = sinkTo(reader);
    sink.write('one\n');
    assert.equal(clock.pending, 1);
    sink.close();
    assert.deepEqual([clock.pending, reader.closed], [0, true]);
  });
});
