/**
 * Locks the directory named by its argument and says so; lines on stdin make it hand the lock over or let it go.
 * With a descriptor as second argument it is the successor that takes a lock over.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/io/clock.js';
import { adoptLock, type DirectoryLock, lockDirectory } from '../../src/io/directory-lock.js';

const [directory = '', inherited] = process.argv.slice(2);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function lock(): Promise<DirectoryLock> {
  if (inherited !== undefined) return adoptLock(directory, Number(inherited), { lines: ['27546'] });
  return lockDirectory(directory, { clock: systemClock, lines: ['27546'] });
}

lock().then(
  (held) => {
    // Until killed, even when the test that it belonged to closes its input.
    setInterval(() => {}, 1 << 30);
    say(`locked ${process.pid}`);
    createInterface(process.stdin).on('line', (line) => {
      if (line === 'release') {
        held.release();
        process.exit(0);
      }
      if (line === 'hand over') {
        const stdio = ['inherit', 'inherit', 'inherit', held.fd] as const;
        const successor = spawn(process.execPath, [process.argv[1] ?? '', directory, '3'], {
          stdio: [...stdio],
        });
        successor.once('spawn', () => {
          held.leaveToSuccessor();
          process.exit(0);
        });
      }
    });
  },
  (error: Error) => {
    say(`failed ${error.message}`);
    process.exit(1);
  },
);
