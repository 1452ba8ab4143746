/** What a real rsyslog gets from both daemons. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SYSLOG_SEVERITY } from '../../src/core/messages/format.js';
import type { Level } from '../../src/core/messages/message.js';
import { suites } from './harness/images.js';
import { type LoggingDaemon, type LogScene, logScene } from './harness/log-scene.js';

/** rsyslog's words for the numbers of severities. */
const SEVERITIES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

const severityWord = (level: string): string | undefined => SEVERITIES[SYSLOG_SEVERITY[level as Level]];

interface Line {
  readonly facility: string;
  readonly severity: string;
  readonly ident: string;
  readonly pid: string;
  /** The message has this number in its process, and the line this one in its message. */
  readonly message: string;
  readonly line: number;
  readonly label: string;
}

/** A received line taken apart. Throws Error for one that has not the form that PostgreSQL gives it. */
function lineOf(received: string): Line {
  const form = /^(\w+)\|(\w+)\|(\w+)\|(\d+)\| ?\[(\d+)-(\d+)\] (?:([A-Z]+): {2})?\S/;
  const [, facility = '', severity = '', ident = '', pid = '', message = '', line = '', label = ''] =
    form.exec(received) ?? [];
  if (ident === '') throw new Error(`not understood: ${received}`);
  return { facility, severity, ident, pid, message: `${pid} ${message}`, line: Number(line), label };
}

function rules(scene: () => LogScene, daemon: () => LoggingDaemon): void {
  const first = (facility: string, level: string, pid: number | string = '\\d+'): RegExp =>
    new RegExp(
      `^${facility}\\|${severityWord(level)}\\|${daemon().ident}\\|${pid}\\| ?\\[\\d+-1\\] ${level}: {2}`,
    );

  it('have facility LOCAL0 to LOCAL7 and the ident, each from the reload that sets it', async () => {
    const { unit } = daemon();
    const pid = await scene().host.mainPid(unit);
    await scene().reload(daemon(), { log_destination: 'syslog' });
    for (let n = 0; n < 8; n += 1) {
      await scene().reload(daemon(), { syslog_facility: `LOCAL${n}` });
      await scene().untilReceived(first(`local${n}`, 'LOG', pid));
    }
    assert.equal(await scene().host.mainPid(unit), pid);
  });

  it('have the severity that PostgreSQL gives WARNING and ERROR', async () => {
    await daemon().warn();
    await scene().untilReceived(first('local7', 'WARNING'));
    await scene().reload(daemon(), { log_min_messages: 'loud' });
    await scene().untilReceived(first('local7', 'ERROR'));
    await scene().reload(daemon(), { log_min_messages: 'WARNING' });
  });

  it('have the last words of a process that cannot start', async () => {
    const { unit, port } = daemon();
    const { host } = scene();
    await host.output(['systemctl', 'stop', unit]);
    const take = `require('net').createServer().listen(${port}, () => console.log('taken'))`;
    const other = host.start(['node', '-e', take]);
    await other.waitForLine(/^taken$/);
    assert.notEqual((await host.run(['systemctl', 'start', unit])).status, 0);
    await scene().untilReceived(first('local7', 'FATAL'));
    other.killAll();
    await host.output(`systemctl reset-failed ${unit}; systemctl start ${unit}`);
    await scene().instance.untilLink('up');
  });

  it('are one line each, with DETAIL and HINT as further lines of the same severity', async () => {
    const lines = (await scene().received()).map(lineOf).filter(({ ident }) => ident === daemon().ident);
    const firsts = new Map(lines.flatMap((one) => (one.line === 1 ? [[one.message, one]] : [])));
    const kinds = [...firsts.values()].map(({ severity, label }) => `${label} ${severity}`);
    assert.deepEqual(new Set(kinds), new Set(['LOG info', 'WARNING notice', 'ERROR warning', 'FATAL err']));
    const further = lines.filter(({ line }) => line > 1);
    assert.deepEqual(new Set(further.map(({ label }) => label)), new Set(['DETAIL', 'HINT']));
    for (const one of further) {
      const { severity, facility } = firsts.get(one.message) as Line;
      assert.deepEqual([one.severity, one.facility], [severity, facility]);
    }
  });

  it('go elsewhere from the reload that says so', async () => {
    await scene().reload(daemon(), { log_destination: 'stderr' });
    await scene().untilEntry(daemon(), 'stdout', /reload.*log_destination/);
    const count = (await scene().received()).length;
    await daemon().warn();
    await scene().untilEntry(daemon(), 'stdout', /^WARNING: {2}/);
    const later = (await scene().received()).slice(count).filter((one) => /\[\d+-\d+\]/.test(one));
    assert.deepEqual(
      later.filter((one) => one.includes(`|${daemon().ident}|`)),
      [],
    );
  });
}

for (const suite of suites()) {
  describe(`on ${suite.name}`, () => {
    const scene = logScene(suite);
    describe('messages of conmgr to syslog', () => rules(scene, () => scene().conmgr));
    describe('messages of conmgr-watchdog to syslog', () => rules(scene, () => scene().watchdog));
  });
}
