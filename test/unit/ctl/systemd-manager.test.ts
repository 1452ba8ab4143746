import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CTL_MESSAGES } from '../../../src/core/messages/ctl.js';
import { MessageError } from '../../../src/core/messages/message-error.js';
import type { Manager } from '../../../src/ctl/manager.js';
import { SystemdManager } from '../../../src/ctl/systemd-manager.js';
import { FakeManager, freshDirectory } from './fake-world.js';
import { type ScriptedAnswer, ScriptedSystemctl } from './scripted-systemctl.js';

const UNIT = 'conmgr@app1.service';
const INVOCATION = '0123456789abcdef0123456789abcdef';
const JOB_FAILED = `Job for ${UNIT} failed because the control process exited with error code.`;

/** Answer to `systemctl show`. */
const state = (properties: Record<string, string>): ScriptedAnswer => ({
  when: 'show',
  stdout: Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join(''),
});
const FAILED = state({
  ActiveState: 'failed',
  SubState: 'failed',
  Result: 'exit-code',
  ExecMainCode: '1',
  ExecMainStatus: '78',
  StatusText: 'conmgr.conf is wrong',
  InvocationID: INVOCATION,
});

/** A journalctl that prints this, or ends with an error. */
function journal(text: string | undefined): string {
  const program = join(freshDirectory(), 'journalctl');
  const body =
    text === undefined
      ? 'exit 1'
      : `case "$*" in *_SYSTEMD_INVOCATION_ID=${INVOCATION}*) cat <<'END'\n${text}\nEND\n;; esac`;
  writeFileSync(program, `#!/bin/sh\n${body}\n`);
  chmodSync(program, 0o755);
  return program;
}

function managed(
  answers: readonly ScriptedAnswer[],
  direct: Pick<Manager, 'stop'> = new FakeManager(),
  said?: string,
) {
  const script = new ScriptedSystemctl(answers);
  const manager = new SystemdManager({
    systemctl: { scope: 'system', program: script.program, mayAsk: false },
    unit: UNIT,
    direct,
    journalctl: journal(said),
  });
  const verbs = (): string[] =>
    script.calls.map((call) => call.replace('--system --no-pager --no-ask-password ', ''));
  return { manager, verbs };
}

const START = { directory: '/d', logFile: undefined };

describe('a start through systemd', () => {
  it('is one job, after which the process serves', async () => {
    const { manager, verbs } = managed([{ when: 'start' }, state({ MainPID: String(process.pid) })]);
    const started = await manager.start(START);
    await started.ready;
    assert.equal(await started.pid(), process.pid);
    assert.equal(started.log, 'with "journalctl -u conmgr@app1"');
    assert.deepEqual(verbs()[0], `start -- ${UNIT}`);
    started.release();
  });

  it('that fails tells what the process said, out of the journal', async () => {
    const said = 'LOG:  starting\nERROR:  conmgr.conf:1: wrong\nFATAL:  no';
    const answers = [{ when: 'start', status: 1, stderr: JOB_FAILED }, FAILED];
    const end = await (await managed(answers, undefined, said).manager.start(START)).ended;
    assert.deepEqual(end, {
      status: 78,
      complaints: ['ERROR:  conmgr.conf:1: wrong', 'FATAL:  no'],
      retried: false,
    });
  });

  it('that fails tells what the manager knows where the journal is closed', async () => {
    const { manager } = managed([{ when: 'start', status: 1, stderr: JOB_FAILED }, FAILED]);
    const { complaints } = await (await manager.start(START)).ended;
    assert.deepEqual(complaints, [`unit ${UNIT}: failed, exit status 78: conmgr.conf is wrong`]);
  });

  it('that fails and is tried again says so', async () => {
    const again = state({
      ActiveState: 'activating',
      SubState: 'auto-restart',
      ExecMainCode: '1',
      ExecMainStatus: '1',
    });
    const { manager } = managed([{ when: 'start', status: 1, stderr: JOB_FAILED }, again]);
    const { status, retried } = await (await manager.start(START)).ended;
    assert.deepEqual({ status, retried }, { status: 1, retried: true });
  });

  const REFUSALS = [
    ['unitDenied', 'Access denied'],
    ['unitMissing', `Failed to start ${UNIT}: Unit ${UNIT} not found.`],
    ['unitFailed', `Failed to start ${UNIT}: Unit other.service not found.`],
    ['unitMasked', `Failed to start ${UNIT}: Unit ${UNIT} is masked.`],
    ['unitCancelled', `Job for ${UNIT} canceled.`],
    ['unitDependency', `A dependency job for ${UNIT} failed. See 'journalctl -xe' for details.`],
    ['unitTooOften', `Job for ${UNIT} failed because start of the service was attempted too often.`],
    ['managerUnreachable', 'Failed to connect to bus: No such file or directory'],
  ] as const;
  for (const [row, stderr] of REFUSALS) {
    it(`that is refused with "${stderr}" is told as ${CTL_MESSAGES[row].code}`, async () => {
      const { manager } = managed([{ when: 'start', status: 1, stderr }]);
      const { problem } = await (await manager.start(START)).ended;
      assert.ok(problem instanceof MessageError);
      assert.equal(problem.spec, CTL_MESSAGES[row]);
    });
  }

  it('that a condition of the unit keeps from running is an error', async () => {
    const skipped = state({ ActiveState: 'inactive', MainPID: '0', ConditionResult: 'no' });
    const { problem } = await (await managed([{ when: 'start' }, skipped]).manager.start(START)).ended;
    assert.ok(problem instanceof MessageError);
    assert.equal(problem.spec, CTL_MESSAGES.unitSkipped);
  });

  it('has no log file', async () => {
    const { manager, verbs } = managed([]);
    await assert.rejects(manager.start({ ...START, logFile: '/f' }), {
      code: CTL_MESSAGES.logFileOfUnit.code,
    });
    assert.deepEqual(verbs(), []);
  });

  it('as a restart is one job as well, and the old process is not the new one', async () => {
    const { manager, verbs } = managed([{ when: 'restart' }, state({ MainPID: '0' })]);
    const started = await manager.unit.restart(7);
    await started.ready;
    assert.deepEqual([started.isOurs(7), started.isOurs(8)], [false, true]);
    assert.equal(verbs()[0], `restart -- ${UNIT}`);
    started.release();
  });
});

describe('a stop through systemd', () => {
  it("is the manager's own when it is fast, and is not waited for", async () => {
    const direct = new FakeManager();
    const { manager, verbs } = managed([{ when: 'stop' }], direct);
    await manager.stop('/d', 7, 'fast');
    assert.deepEqual(verbs(), [`stop --no-block -- ${UNIT}`]);
    assert.deepEqual(direct.stopped, []);
  });

  for (const mode of ['smart', 'immediate'] as const) {
    it(`is told to the process when it is ${mode}`, async () => {
      const direct = new FakeManager();
      const { manager, verbs } = managed([], direct);
      await manager.stop('/d', 7, mode);
      assert.deepEqual(
        { verbs: verbs(), stopped: direct.stopped },
        {
          verbs: [],
          stopped: [{ directory: '/d', pid: 7, mode }],
        },
      );
    });
  }

  it('that the manager denies goes to the process, whose owner needs no other right', async () => {
    const direct = new FakeManager();
    const { manager } = managed([{ when: 'stop', status: 4, stderr: 'Access denied' }], direct);
    await manager.stop('/d', 7, 'fast');
    assert.deepEqual(direct.stopped, [{ directory: '/d', pid: 7, mode: 'fast' }]);
  });

  it('that both deny is denied in the words of the manager', async () => {
    const direct = new FakeManager();
    const signalFailed = new MessageError(CTL_MESSAGES.signalFailed, {
      signal: 'SIGTERM',
      pid: 7,
      reason: 'no',
    });
    direct.onStop = async () => {
      throw signalFailed;
    };
    const { manager } = managed([{ when: 'stop', status: 4, stderr: 'Access denied' }], direct);
    await assert.rejects(manager.stop('/d', 7, 'fast'), { code: CTL_MESSAGES.unitDenied.code });
    await assert.rejects(manager.stop('/d', 7, 'smart'), { code: CTL_MESSAGES.unitModeDenied.code });
  });
});
