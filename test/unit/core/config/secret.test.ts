import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSecrets } from '../../../../src/core/config/secret.js';

const A = 'a1'.repeat(32);
const B = 'b2'.repeat(32);

describe('the text of a secret file', () => {
  const good: readonly [rule: string, text: string, secrets: readonly string[]][] = [
    ['one line is one secret', `${A}\n`, [A]],
    ['the end of the line may be missing, or be that of DOS', `${A}\r\n${B}`, [A, B]],
    ['empty lines do not count', `\n${A}\n\n${B}\n`, [A, B]],
    ['the first of two is the one to connect with', `${B}\n${A}\n`, [B, A]],
    ['the same line twice is one secret', `${A}\n${A}\n`, [A]],
    [
      'base64 will do',
      'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n',
      ['q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA='],
    ],
    ['the shortest', '!'.repeat(32), ['!'.repeat(32)]],
    ['the longest', '~'.repeat(128), ['~'.repeat(128)]],
  ];
  for (const [rule, text, secrets] of good) {
    it(rule, () => assert.deepEqual(parseSecrets(text), { ok: true, secrets }));
  }

  const bad: readonly [rule: string, text: string, problem: string][] = [
    ['an empty file', '', 'is empty'],
    ['a file of line ends', '\n\r\n\n', 'is empty'],
    ['a short secret', 'x'.repeat(31), 'has in line 1 fewer than 32 characters'],
    ['a short second secret', `${A}\nx\n`, 'has in line 2 fewer than 32 characters'],
    ['a long secret', 'x'.repeat(129), 'has in line 1 more than 128 characters'],
    ['three secrets', `${A}\n${B}\n${'c3'.repeat(32)}\n`, 'has more than 2 lines'],
    ['a blank within', `${A} ${B}`, 'has in line 1 a character that is not visible ASCII'],
    ['what is not ASCII', 'ä'.repeat(40), 'has in line 1 a character that is not visible ASCII'],
    ['a NUL', `${A}\0`, 'has in line 1 a character that is not visible ASCII'],
    ['something large', 'x'.repeat(10_000), 'is longer than 262 bytes'],
  ];
  for (const [rule, text, problem] of bad) {
    it(`${rule} is refused, and nothing of it is repeated`, () =>
      assert.deepEqual(parseSecrets(text), { ok: false, problem }));
  }
});
