/** What Prometheus' own tool says of the metrics and of the alert rules in docs/prometheus. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { CONMGR_MESSAGES } from '../../src/core/messages/conmgr.js';
import { CONMGR_METRICS } from '../../src/core/status/conmgr-metrics.js';
import { EventLog } from '../../src/core/status/event-log.js';
import { renderMetrics } from '../../src/core/status/exposition.js';
import { WATCHDOG_METRICS } from '../../src/core/status/watchdog-metrics.js';
import { NOW, statusOf } from '../support/status-report.js';
import { inTree, temporaryDirectory } from '../support/tree.js';
import { watchdogStatus } from '../support/watchdog-status.js';

const RULES = inTree('docs/prometheus/conmgr.rules.yml');

/** Runs promtool; its exit status is 0, and it has no complaint. */
function promtool(args: readonly string[], input = ''): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.equal(stderr, '');
}

it('the metrics of both programs are without fault, with every value that they may have', () => {
  const { counts } = new EventLog([CONMGR_MESSAGES]);
  const certificates = [
    { parameter: 'heartbeat_sslcert', path: '/a.crt', validFrom: NOW, validTo: NOW + 1000 },
  ];
  const report = statusOf({
    maxConnections: 100,
    certificates,
    lastReload: { at: NOW, problems: [] },
    kernel: { helper: '', guard: { wanted: true, problem: '' }, connections: [], listeners: [] },
  });
  const conmgr = renderMetrics(CONMGR_METRICS, { report, counts });
  const watchdog = renderMetrics(WATCHDOG_METRICS, { status: watchdogStatus({}, { certificates }), counts });
  for (const [text, table] of [
    [conmgr, CONMGR_METRICS],
    [watchdog, WATCHDOG_METRICS],
  ] as const) {
    assert.equal(text.match(/^# TYPE /gm)?.length, table.length);
    promtool(['check', 'metrics'], text);
  }
});

it('the alert rules are without fault', () => promtool(['check', 'rules', RULES]));

it('the alert rules fire when they should, and not before', () => {
  const file = join(temporaryDirectory(), 'test.yml');
  writeFileSync(
    file,
    readFileSync(inTree('test/page/harness/rules-test.yml'), 'utf8').replace('RULES', RULES),
  );
  promtool(['test', 'rules', file]);
});
