import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { corpusOf } from '../../fuzz/corpus.js';
import { crashOf, fuzz } from '../../fuzz/fuzz.js';
import { MOST_BYTES, mutate } from '../../fuzz/mutate.js';
import { TARGETS, type Target } from '../../fuzz/targets.js';
import { seeded } from '../../support/simulation/timeline.js';

/** A defect behind three conditions: to guess all octets at once would take 2^24 inputs. */
const PLANTED: Target = {
  words: [],
  run: (input) => {
    if (input[0] !== 0x66) return;
    if (input[1] !== 0x75) return;
    if (input[2] !== 0x7a) return;
    throw new TypeError('planted');
  },
};

describe('every kept input', () => {
  for (const [name, target] of Object.entries(TARGETS)) {
    for (const { name: file, input } of corpusOf(name)) {
      it(`${name}/${file} is read, or refused in the reader's own words`, () => {
        assert.equal(crashOf(target, input)?.error, undefined);
      });
    }
  }
});

describe('the fuzzer', () => {
  it('finds a defect that only coverage leads to, as an input that crashes again when it is played', () => {
    const { crash } = fuzz(PLANTED, [Buffer.from('0123')], { seed: 3, inputs: 200_000 });
    assert.equal(crash?.error.message, 'planted');
    assert.equal(crashOf(PLANTED, crash.input)?.error.message, 'planted');
  });

  it('makes the same inputs of the same seed, none longer than the bound', () => {
    const corpus = corpusOf('heartbeat').map(({ input }) => input);
    const inputs = () => {
      const random = seeded(7);
      return corpus.map((input) => mutate(input, corpus, TARGETS['heartbeat']!, random));
    };
    assert.deepEqual(inputs(), inputs());
    assert.ok(inputs().every(({ length }) => length <= MOST_BYTES));
  });

  it('makes frames whose length is right, so that what is behind the framing is reached', () => {
    const random = seeded(9);
    const [hello] = corpusOf('heartbeat').filter(({ name }) => name === 'hello');
    const right = Array.from({ length: 200 }, () =>
      mutate(hello!.input, [], TARGETS['heartbeat']!, random),
    ).filter((input) => input.length >= 4 && input.readUInt32BE(0) === input.length - 4);
    assert.ok(right.length >= 80, `${right.length} of 200`);
  });
});
