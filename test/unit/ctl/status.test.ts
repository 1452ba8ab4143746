import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { StatusReport } from '../../../src/core/control/protocol.js';
import { applicationStatus, statusOf } from '../../support/status-report.js';
import { ctl, FakeConmgr, freshDirectory } from './fake-world.js';

async function running(
  report: StatusReport = statusOf(),
): Promise<{ directory: string; conmgr: FakeConmgr }> {
  const directory = freshDirectory();
  const conmgr = await FakeConmgr.serve(directory, () => ({ ok: true, status: report }));
  return { directory, conmgr };
}

describe('cm_ctl status', () => {
  it('ends with 0 when conmgr runs', async () => {
    const { directory } = await running();
    const { status, stdout, stderr } = await ctl(['status', '-D', directory]);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.match(stdout, /^Directory: {4}\/srv\/app1\n/);
  });

  it('ends with 3 when it does not run', async () => {
    const directory = freshDirectory();
    assert.deepEqual(await ctl(['status', '-D', directory]), {
      status: 3,
      stdout: `conmgr is not running in directory "${directory}"\n`,
      stderr: '',
    });
  });

  it('keeps standard output free for JSON when it does not run', async () => {
    const { status, stdout, stderr } = await ctl(['status', '-D', freshDirectory(), '--json']);
    assert.deepEqual({ status, stdout }, { status: 3, stdout: '' });
    assert.match(stderr, /is not running/);
  });

  it('ends with 4 when there is no such directory', async () => {
    const { status, stderr } = await ctl(['status', '-D', '/nonexistent/d']);
    assert.equal(status, 4);
    assert.match(stderr, /^cm_ctl: directory "\/nonexistent\/d" does not exist\n/);
  });

  it('ends with 4 when the directory is closed to the caller', async () => {
    const { directory } = await running();
    chmodSync(directory, 0);
    const { status, stderr } = await ctl(['status', '-D', directory]);
    chmodSync(directory, 0o700);
    assert.equal(status, 4);
    assert.match(stderr, /permission denied/);
  });

  it('prints the report as JSON', async () => {
    const report = statusOf({ applications: [applicationStatus()] });
    const { directory } = await running(report);
    const { stdout } = await ctl(['status', '-D', directory, '--json']);
    assert.deepEqual(JSON.parse(stdout), { ...report, unit: null, manager: 'none' });
  });

  it('says nothing with -s, its exit status tells', async () => {
    const { directory } = await running();
    assert.deepEqual(await ctl(['status', '-s', '-D', directory]), { status: 0, stdout: '', stderr: '' });
  });

  it('uses colour on a terminal, unless NO_COLOR is set or the terminal is dumb', async () => {
    const { directory } = await running();
    const terminal = { columns: 80, rows: 24 };
    const coloured = async (environment: Record<string, string>, on?: typeof terminal) => {
      const options = on === undefined ? { environment } : { environment, terminal: on };
      return (await ctl(['status', '-D', directory], options)).stdout.includes('\x1b[');
    };
    assert.equal(await coloured({}, terminal), true);
    assert.equal(await coloured({}), false);
    assert.equal(await coloured({ NO_COLOR: '1' }, terminal), false);
    assert.equal(await coloured({ NO_COLOR: '' }, terminal), true);
    assert.equal(await coloured({ TERM: 'dumb' }, terminal), false);
  });

  it('says so when something else listens at the socket', async () => {
    const directory = freshDirectory();
    await FakeConmgr.serve(directory, () => ({ ok: true, accepted: 'what?' }));
    assert.notEqual((await ctl(['status', '-D', directory])).status, 0);
  });
});

describe('cm_ctl status --watch', () => {
  it('prints every change, and ends with 3 when conmgr does', async () => {
    const { directory, conmgr } = await running();
    let changes = 0;
    const { status, stdout, stderr } = await ctl(['status', '-D', directory, '--watch', '-i', 'instance'], {
      onOutput: () => {
        changes += 1;
        if (changes === 1) conmgr.tell({ ok: true, status: statusOf({ instances: [] }) });
        else void conmgr.close();
      },
    });
    assert.equal(status, 3);
    assert.equal(stdout.match(/^-- /gm)?.length, 2);
    assert.match(stderr, /is not running/);
  });

  it('prints a line of JSON for every change', async () => {
    const { directory, conmgr } = await running();
    const seen: StatusReport[] = [];
    await ctl(['status', '-D', directory, '--watch', '--json'], {
      onOutput: (text) => {
        assert.match(text, /^[^\n]+\n$/);
        seen.push(JSON.parse(text) as StatusReport);
        if (seen.length === 1) conmgr.tell({ ok: true, status: statusOf({ view: 8 }) });
        else void conmgr.close();
      },
    });
    assert.deepEqual(
      seen.map(({ view }) => view),
      [7, 8],
    );
  });

  it('draws on a terminal within its rows, and ends with 0 and a visible cursor when interrupted', async () => {
    const { directory } = await running();
    const interruption = new AbortController();
    const { status, stdout } = await ctl(['status', '-D', directory, '--watch'], {
      terminal: { columns: 80, rows: 6 },
      interrupted: interruption.signal,
      onOutput: (text) => {
        if (text.includes('Directory')) interruption.abort();
      },
    });
    assert.equal(status, 0);
    assert.match(stdout, /^\x1b\[\?25l\x1b\[HDirectory/);
    assert.equal(stdout.match(/\n/g)?.length, 5);
    assert.match(stdout, /\(8 more lines\)\x1b\[K\n\x1b\[J\x1b\[\?25h$/);
  });

  it('follows conmgr over a restart on a terminal', async () => {
    const { directory, conmgr } = await running();
    const interruption = new AbortController();
    const steps: string[] = [];
    await ctl(['status', '-D', directory, '--watch'], {
      terminal: { columns: 80, rows: 40 },
      interrupted: interruption.signal,
      onOutput: (text) => {
        if (steps.length === 0 && text.includes('PID 1234')) {
          steps.push('up');
          void conmgr.close();
        } else if (steps.length === 1 && text.includes('conmgr is not running')) {
          steps.push('down');
          void FakeConmgr.serve(directory, () => ({ ok: true, status: statusOf({ pid: 5678 }) }));
        } else if (steps.length === 2 && text.includes('PID 5678')) {
          steps.push('up again');
          interruption.abort();
        }
      },
    });
    assert.deepEqual(steps, ['up', 'down', 'up again']);
  });
});
