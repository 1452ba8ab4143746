/**
 * A program that logs more than any reader of stderr may have room for, and says on stdout how late its timers were.
 * Started by the tests of stderr: `storm` goes on when it gets a line on stdin, `last-words` ends with a FATAL. `file`
 * logs no more than may wait, then, when it gets a line on stdin, the same again and ends with a FATAL.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { MessageSpec } from '../../src/core/messages/message.js';
import { backgroundClock } from '../../src/io/clock.js';
import { INITIAL_LOG_CONFIG, Logger } from '../../src/io/log/logger.js';

const NOISE: MessageSpec = {
  code: 'CM9999',
  level: 'WARNING',
  text: `{n} ${'x'.repeat(150)}`,
  cause: 'x',
  cure: 'x',
  everyMs: 0,
};
const THE_END: MessageSpec = { ...NOISE, level: 'FATAL', text: 'the end', exit: 78 };
const TICK_MS = 5;
const LINES = 5000;
/** 0.2 MB, which is less than may wait. */
const WAITING_LINES = 1000;

const say = (figure: number): void => void writeSync(1, `${figure}\n`);

/** Writes 5,000 lines (0.9 MB) in half a second; yields by how much a timer was late at worst. */
function storm(logger: Logger): Promise<number> {
  let last = performance.now();
  let worstMs = 0;
  let n = 0;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now();
      worstMs = Math.max(worstMs, now - last - TICK_MS);
      for (let i = 0; i < 50; i += 1) {
        n += 1;
        logger.write(NOISE, { n });
      }
      last = performance.now();
      worstMs = Math.max(worstMs, last - now);
      if (n < LINES) return;
      clearInterval(timer);
      resolve(worstMs);
    }, TICK_MS);
  });
}

async function main(): Promise<void> {
  const logger = new Logger({ clock: backgroundClock, config: INITIAL_LOG_CONFIG });
  const input = createInterface(process.stdin);
  const goOn = new Promise((resolve) => input.once('line', resolve));
  if (process.argv[2] === 'file') {
    for (let n = 1; n <= WAITING_LINES; n += 1) logger.write(NOISE, { n });
    await goOn;
    for (let n = 1; n <= WAITING_LINES; n += 1) logger.write(NOISE, { n: WAITING_LINES + n });
    logger.write(THE_END);
    logger.close();
    process.exit(THE_END.exit);
  }
  say(await storm(logger));
  if (process.argv[2] === 'storm') {
    await goOn;
    logger.write(NOISE, { n: 'after' });
    logger.close();
    process.exit(0);
  }
  const startMs = performance.now();
  logger.write(THE_END);
  logger.close();
  say(performance.now() - startMs);
  process.exit(THE_END.exit);
}

void main();
