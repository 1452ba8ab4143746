import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Log, MessageParams, MessageSpec } from '../../../src/core/messages/message.js';
import { renderMessage } from '../../../src/core/messages/message.js';
import { descriptorLimit } from '../../../src/io/limits.js';
import { checkPostmasterLimit, linksAllowed, strangersAllowed } from '../../../src/watchdog/preflight.js';

/** A log that keeps `LEVEL text`. */
function kept(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const write = (spec: MessageSpec, params?: MessageParams): void => {
    lines.push(`${spec.level} ${renderMessage(spec, params).text}`);
  };
  return { log: { write }, lines };
}

const { soft } = descriptorLimit();

describe('descriptors of the watchdog: 50 + max_heartbeat_connections', () => {
  it('a limit that suffices exactly is taken without a word', () => {
    const { log, lines } = kept();
    assert.equal(linksAllowed(soft - 50, log), soft - 50);
    assert.deepEqual(lines, []);
  });

  it('too low a limit is a WARNING and a lower cap, never a refusal', () => {
    const { log, lines } = kept();
    assert.equal(linksAllowed(soft - 49, log), soft - 50);
    assert.deepEqual(lines, [
      `WARNING limit of ${soft} open files allows ${soft - 50} heartbeat connections instead of ${soft - 49}`,
    ]);
  });

  it('a status_port takes 18 of them, from links and from connections that are no links yet', () => {
    const { log } = kept();
    assert.equal(linksAllowed(soft - 50, log, 9188), soft - 68);
    assert.equal(strangersAllowed(soft - 68, log, 9188), 16);
    assert.equal(strangersAllowed(soft - 68, log), 32);
  });
});

describe('descriptors of an instance: max_files_per_process + 2 x max_heartbeat_connections', () => {
  it("are compared with the postmaster's own limit: WARNING when it is lower", () => {
    const { log, lines } = kept();
    checkPostmasterLimit(process.pid, soft - 200, 100, log);
    assert.deepEqual(lines, []);
    checkPostmasterLimit(process.pid, soft - 199, 100, log);
    assert.deepEqual(lines, [
      `WARNING limit of ${soft} open files of the PostgreSQL instance (PID ${process.pid}) is lower than ${soft + 1}`,
    ]);
  });

  it('a postmaster whose limit cannot be read is a WARNING and no end', () => {
    const { log, lines } = kept();
    checkPostmasterLimit(2 ** 30, 1000, 100, log);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /^WARNING could not determine the limit of open files/);
  });
});
