import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MessageError } from '../../../src/core/messages/message-error.js';
import { assertDescriptors, descriptorLimit, openDescriptors } from '../../../src/io/limits.js';
import { temporaryDirectory } from '../../support/tree.js';

const unknown = (reason: RegExp) => (error: unknown) =>
  error instanceof MessageError && error.code === 'CM1111' && reason.test(error.message);

describe('the limit of open files', () => {
  it('is the one that the kernel holds this process to', () => {
    const program = 'process.stdout.write(require("fs").readFileSync("/proc/self/limits", "latin1"))';
    const own = descriptorLimit();
    assert.ok(own.soft > 0 && own.soft <= own.hard);
    const line = new RegExp(`^Max open files\\s+${own.soft}\\s+${own.hard}\\s`, 'm');
    assert.match(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }), line);
  });

  it('is known of another process too', async () => {
    const child = spawn('sh', ['-c', 'ulimit -Sn 77; ulimit -Hn 123; echo; exec cat']);
    try {
      await once(child.stdout, 'data');
      assert.deepEqual(descriptorLimit({ pid: child.pid! }), { soft: 77, hard: 123 });
    } finally {
      child.kill();
    }
  });

  it('may be unlimited', () => {
    const proc = temporaryDirectory();
    mkdirSync(join(proc, 'self'));
    writeFileSync(
      join(proc, 'self/limits'),
      'Max open files            1024       unlimited            files\n',
    );
    assert.deepEqual(descriptorLimit({ proc }), { soft: 1024, hard: Number.POSITIVE_INFINITY });
  });

  it('is an error, not a guess, where /proc is missing or says something else', () => {
    const proc = temporaryDirectory();
    assert.throws(() => descriptorLimit({ proc }), unknown(/self\/limits: no such file or directory$/));
    assert.throws(() => openDescriptors({ proc }), unknown(/self\/fd: no such file or directory$/));
    mkdirSync(join(proc, 'self'));
    writeFileSync(join(proc, 'self/limits'), 'Limit   Soft Limit   Hard Limit   Units\n');
    assert.throws(() => descriptorLimit({ proc }), unknown(/no line "Max open files"$/));
  });
});

describe('the count of open descriptors', () => {
  it('goes up and down with them', () => {
    const before = openDescriptors();
    const opened = Array.from({ length: 5 }, () => openSync('/dev/null', 'r'));
    assert.equal(openDescriptors(), before + 5);
    opened.forEach(closeSync);
    assert.equal(openDescriptors({ pid: process.pid }), before);
  });

  it('is that of another process without counting ourselves', async () => {
    const children = [['pipe', 'pipe'] as const, ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'] as const].map(
      (stdio) => spawn('cat', { stdio: [...stdio] }),
    );
    try {
      const counts = children.map(async (child) => {
        child.stdin!.write('it runs\n');
        await once(child.stdout!, 'data');
        return openDescriptors({ pid: child.pid! });
      });
      const [few, more] = await Promise.all(counts);
      // Both have three of their own and the same inherited ones, if any.
      assert.equal(more! - few!, 2);
      assert.ok(few! >= 3 && few! <= openDescriptors() + 3);
    } finally {
      for (const child of children) child.kill();
    }
  });
});

describe('assertDescriptors', () => {
  it('refuses a limit that the program itself would reach, with the figure', () => {
    assert.doesNotThrow(() => assertDescriptors());
    assert.doesNotThrow(() => assertDescriptors(48));
    assert.throws(() => assertDescriptors(47), /limit of 47 open files is too low: at least 48 are needed/);
  });
});
