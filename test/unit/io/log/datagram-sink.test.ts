import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DatagramSink } from '../../../../src/io/log/datagram-sink.js';
import { FakeClock } from '../../../support/fake-clock.js';

const { EAGAIN, ENOENT, EMSGSIZE } = constants.errno;

/** A log daemon: answers each datagram with `errno`, or takes it while there is room. */
function daemon() {
  const clock = new FakeClock();
  const got: string[] = [];
  const outages: [reason: string, unsent: readonly string[]][] = [];
  const state = { errno: 0, room: Number.POSITIVE_INFINITY, attempts: 0 };
  const sink = new DatagramSink<string>({
    clock,
    send: (datagram) => {
      state.attempts += 1;
      if (state.errno !== 0) return state.errno;
      if (state.room === 0) return EAGAIN;
      state.room -= 1;
      got.push(datagram.toString());
      return 0;
    },
    droppedNotice: (count) => [Buffer.from(`dropped ${count}`)],
    lost: (reason, unsent) => outages.push([reason, unsent]),
  });
  const write = (...lines: string[]): boolean =>
    sink.write(
      lines.map((line) => Buffer.from(line)),
      lines.join('|'),
    );
  return { clock, got, outages, state, sink, write };
}

describe('messages to a log daemon', () => {
  it('are sent at once, each with all its datagrams', () => {
    const { write, got, clock } = daemon();
    assert.equal(write('one', 'detail of one'), true);
    write('two');
    assert.deepEqual(got, ['one', 'detail of one', 'two']);
    assert.equal(clock.pending, 0);
  });

  it('wait up to a second for a full queue, and then go out complete and in order', () => {
    const { write, got, clock, state, outages } = daemon();
    state.room = 1;
    write('one', 'detail of one');
    write('two');
    assert.deepEqual(got, ['one']);
    clock.advance(900);
    state.room = Number.POSITIVE_INFINITY;
    clock.advance(20);
    assert.deepEqual(got, ['one', 'detail of one', 'two']);
    assert.deepEqual([outages, clock.pending], [[], 0]);
  });

  it('keep waiting while a slow daemon takes at least one a second', () => {
    const { write, got, clock, state, outages } = daemon();
    state.room = 0;
    for (let i = 0; i < 5; i += 1) write(`m${i}`);
    for (let i = 0; i < 5; i += 1) {
      clock.advance(900);
      state.room = 1;
    }
    clock.advance(40);
    assert.deepEqual(outages, []);
    assert.deepEqual(got, ['m0', 'm1', 'm2', 'm3', 'm4']);
  });

  it('are counted once the queue has been full for a second: an outage, told once with what could not be sent', () => {
    const { write, clock, state, outages } = daemon();
    state.room = 0;
    write('one');
    write('two');
    clock.advance(1020);
    assert.equal(write('three'), false);
    assert.deepEqual(outages, [['the reader does not keep up', ['one', 'two']]]);
  });

  it('are counted while the socket is missing, and it is tried again every 10 s only', () => {
    const { write, clock, state, outages } = daemon();
    state.errno = ENOENT;
    assert.equal(write('one'), false);
    for (let i = 0; i < 100; i += 1) write('more');
    assert.deepEqual(outages, [['no such file or directory', ['one']]]);
    assert.equal(state.attempts, 1);
    clock.advance(60_000);
    assert.equal(state.attempts, 7);
    assert.equal(outages.length, 1);
  });

  it('begin with one line that says how many are missing when the daemon is back', () => {
    const { write, clock, state, got } = daemon();
    state.errno = ENOENT;
    write('one');
    write('two');
    clock.advance(9_999);
    state.errno = 0;
    assert.equal(write('three'), false);
    clock.advance(1);
    assert.deepEqual(got, ['dropped 3']);
    assert.equal(write('four'), true);
    assert.deepEqual(got, ['dropped 3', 'four']);
    assert.equal(clock.pending, 0);
  });

  it('have a second outage told again', () => {
    const { write, clock, state, outages } = daemon();
    for (const text of ['one', 'two']) {
      state.errno = ENOENT;
      write(text);
      state.errno = 0;
      clock.advance(10_000);
    }
    assert.equal(outages.length, 2);
  });

  it('are lost one by one, and counted, when only they cannot be sent', () => {
    const { write, state, got, outages } = daemon();
    state.errno = EMSGSIZE;
    write('too big');
    state.errno = 0;
    write('two');
    assert.deepEqual(got, ['dropped 1', 'two']);
    assert.deepEqual(outages, []);
  });

  it('wait in bounded memory', () => {
    const { write, clock, state, got } = daemon();
    state.room = 0;
    const line = 'x'.repeat(1024);
    for (let i = 0; i < 70; i += 1) write(line);
    write('short, but it would be out of order');
    state.room = Number.POSITIVE_INFINITY;
    clock.advance(20);
    assert.equal(got.length, 65);
    assert.equal(got.at(-1), 'dropped 7');
  });

  it('are all either received or counted, whatever the daemon does', () => {
    const step = fc.oneof(
      fc.record({ write: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ errno: fc.constantFrom(0, 0, EAGAIN, ENOENT, EMSGSIZE) }),
      fc.record({ advance: fc.constantFrom(5, 20, 500, 1100, 10_000) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { write, clock, state, got } = daemon();
        let written = 0;
        for (const one of steps) {
          if ('errno' in one) state.errno = one.errno;
          else if ('advance' in one) clock.advance(one.advance);
          else for (const end = written + one.write; written < end; written += 1) write(`m${written}`);
        }
        state.errno = 0;
        clock.advance(10_000);
        write('last');
        const counted = got.reduce((sum, text) => sum + Number(/^dropped (\d+)$/.exec(text)?.[1] ?? 0), 0);
        const received = got.filter((text) => text.startsWith('m')).map((text) => Number(text.slice(1)));
        assert.equal(received.length + counted, written);
        assert.deepEqual(
          received,
          [...received].sort((a, b) => a - b),
        );
        assert.equal(got.at(-1), 'last');
        assert.equal(clock.pending, 0);
      }),
    );
  });
});

describe('the last words to a log daemon', () => {
  it('are out when the call returns, after what waits', () => {
    const { write, sink, state, got } = daemon();
    state.room = 0;
    write('one');
    state.room = Number.POSITIVE_INFINITY;
    assert.equal(sink.writeNow([Buffer.from('the end')], 'the end'), true);
    assert.deepEqual(got, ['one', 'the end']);
  });

  it('are known not to be out after a tenth of a second, or at once in an outage', () => {
    const { write, sink, state } = daemon();
    state.room = 0;
    const startMs = performance.now();
    assert.equal(sink.writeNow([Buffer.from('the end')], 'the end'), false);
    assert.ok(performance.now() - startMs < 1500);
    state.errno = ENOENT;
    assert.equal(sink.writeNow([Buffer.from('the end')], 'the end'), false);
    const attempts = state.attempts;
    assert.equal(write('x'), false);
    assert.equal(state.attempts, attempts);
  });
});
