/** What the journal has of both daemons: entries with fields, explanations, and standard error of a unit. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SYSLOG_SEVERITY } from '../../src/core/messages/format.js';
import type { Level } from '../../src/core/messages/message.js';
import { suites } from './harness/images.js';
import { type LoggingDaemon, type LogScene, logScene } from './harness/log-scene.js';

const priorityOf = (level: string): string => String(SYSLOG_SEVERITY[level as Level]);

function rules(scene: () => LogScene, daemon: () => LoggingDaemon): void {
  it('have code, event, level, priority, ident and number of their kind', async () => {
    await scene().reload(daemon(), { log_destination: 'journald' });
    await scene().untilEntry(daemon(), 'journal', /^LOG: {2}.*\breloaded\b/);
    await daemon().warn();
    await scene().untilEntry(daemon(), 'journal', /^WARNING: {2}/);
    for (const entry of await scene().entries(daemon(), 'journal')) {
      const { MESSAGE = '', CM_LEVEL = '' } = entry;
      assert.ok(MESSAGE.startsWith(`${CM_LEVEL}:  `), MESSAGE);
      assert.equal(entry['PRIORITY'], priorityOf(CM_LEVEL));
      assert.match(entry['CM_CODE'] ?? '', /^CM\d{4}$/);
      assert.match(entry['MESSAGE_ID'] ?? '', /^[0-9a-f]{32}$/);
      assert.equal(entry['SYSLOG_IDENTIFIER'], daemon().ident);
    }
  });

  it('are all explained by journalctl -x', async () => {
    const list = await scene().host.output('journalctl --list-catalog');
    const known = new Set(list.split('\n').map((entry) => entry.split(' ', 1)[0]));
    const entries = await scene().entries(daemon(), 'journal');
    assert.ok(new Set(entries.map((entry) => entry['MESSAGE_ID'])).size >= 2);
    for (const { MESSAGE, MESSAGE_ID } of entries) assert.ok(known.has(MESSAGE_ID ?? ''), MESSAGE);
    const shown = await scene().host.output(`journalctl -x _SYSTEMD_UNIT=${daemon().unit} PRIORITY=5`);
    assert.match(shown, /WARNING: {2}.*\n +DETAIL: {2}.*\n(?: +\t.*\n)* +HINT: {2}/);
    assert.match(shown, /^░░ Subject: /m);
    assert.match(shown, /^░░ What to do: /m);
  });

  it('have no fields but the priority on standard error, where each line has it', async () => {
    const { unit, warn } = daemon();
    await scene().reload(daemon(), { log_destination: 'stderr' });
    await scene().host.output(['systemctl', 'restart', unit]);
    await scene().instance.untilLink('up');
    await warn();
    await scene().untilEntry(daemon(), 'stdout', /^WARNING: {2}/);
    const pid = String(await scene().host.mainPid(unit));
    const lines = await scene().entries(daemon(), 'stdout', `_PID=${pid}`);
    const labels = lines.map(({ MESSAGE = '' }) => /^([A-Z]+): {2}\S/.exec(MESSAGE)?.[1]);
    let priority = '';
    for (const [i, { MESSAGE, PRIORITY, CM_CODE }] of lines.entries()) {
      const label = labels[i] ?? '';
      if (label in SYSLOG_SEVERITY) priority = priorityOf(label);
      else assert.match(label, /^(DETAIL|HINT)$/, MESSAGE);
      assert.deepEqual([PRIORITY, CM_CODE], [priority, undefined], MESSAGE);
    }
    for (const label of ['LOG', 'WARNING', 'DETAIL', 'HINT']) assert.ok(labels.includes(label), label);
  });
}

for (const suite of suites()) {
  describe(`on ${suite.name}`, () => {
    const scene = logScene(suite);
    describe('messages of conmgr in the journal', () => rules(scene, () => scene().conmgr));
    describe('messages of conmgr-watchdog in the journal', () => rules(scene, () => scene().watchdog));

    it('journalctl finds a lost instance by its event, and explains it', async () => {
      const { host, cluster, conmgr } = scene();
      await scene().reload(conmgr, { log_destination: 'journald' });
      await host.signal(cluster.watchdogUnit, 'SIGSTOP');
      const lost = await host.until(
        'it is lost',
        async () => (await host.journal('CM_EVENT=instance_lost'))[0],
      );
      await host.signal(cluster.watchdogUnit, 'SIGCONT');
      assert.deepEqual(
        ['CM_CODE', 'CM_INSTANCE', 'CM_HOST', 'CM_PORT', 'CM_REASON', 'PRIORITY'].map((name) => lost[name]),
        ['CM1230', '0', '127.0.0.1', '5432', 'heartbeat timeout', '5'],
      );
      const shown = await host.output('journalctl -x CM_EVENT=instance_lost CM_INSTANCE=0');
      assert.match(shown, /^░░ Subject: instance 0 \(127\.0\.0\.1:5432\) is lost: heartbeat timeout$/m);
      assert.match(shown, /^░░ What to do: /m);
    });
  });
}
