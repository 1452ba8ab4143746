import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CONMGR_MESSAGES } from '../../../../src/core/messages/conmgr.js';
import { CONMGR_METRICS } from '../../../../src/core/status/conmgr-metrics.js';
import { EventLog } from '../../../../src/core/status/event-log.js';
import { type MetricTable, renderMetrics } from '../../../../src/core/status/exposition.js';
import { WATCHDOG_METRICS } from '../../../../src/core/status/watchdog-metrics.js';
import { parseExposition, sampleOf } from '../../../support/exposition-parser.js';
import {
  applicationStatus,
  instanceStatus,
  NOW,
  standbyStatus,
  statusOf,
  unreachedStatus,
} from '../../../support/status-report.js';
import { watchdogStatus } from '../../../support/watchdog-status.js';

const events = (): EventLog => new EventLog([CONMGR_MESSAGES]);
const metricsOf = (report = statusOf(), log = events()) =>
  parseExposition(renderMetrics(CONMGR_METRICS, { report, counts: log.counts }));

describe('the text format', () => {
  it('escapes backslash, double quote and line feed in labels, backslash and line feed in help', () => {
    const nasty = 'a\\b"c\nd{}=,é';
    const table: MetricTable<undefined> = [
      { name: 'one', type: 'gauge', help: 'x\\y\nz', labels: ['l', 'm'], of: () => [[[nasty, ''], 1.5]] },
    ];
    const text = renderMetrics(table, undefined);
    assert.equal(text.split('\n').length, 4);
    assert.match(text, /^# HELP one x\\\\y\\nz$/m);
    assert.deepEqual(parseExposition(text).get('one')?.samples, [
      { labels: { l: nasty, m: '' }, value: 1.5 },
    ]);
  });

  it('leaves out a metric of which no value is known', () => {
    const table: MetricTable<undefined> = [
      { name: 'one', type: 'gauge', help: 'x.', labels: [], of: () => [] },
    ];
    assert.equal(renderMetrics(table, undefined), '');
  });

  it('writes what is infinite as +Inf', () => {
    const table: MetricTable<undefined> = [
      { name: 'one', type: 'gauge', help: 'x.', labels: [], of: () => [[[], Number.POSITIVE_INFINITY]] },
    ];
    assert.match(renderMetrics(table, undefined), /^one \+Inf$/m);
  });
});

for (const [program, table] of [
  ['conmgr', CONMGR_METRICS],
  ['conmgr_watchdog', WATCHDOG_METRICS],
] as const) {
  describe(`the metrics of ${program}`, () => {
    for (const { name, type, help, labels } of table) {
      it(`${name} is named as Prometheus asks for`, () => {
        assert.match(name, new RegExp(`^${program}_[a-z_]+[a-z]$`));
        assert.equal(
          name.endsWith('_total'),
          type === 'counter',
          'a counter, and only a counter, ends in _total',
        );
        assert.doesNotMatch(name, /_(ms|millis\w*|kb|mb|minutes|percent)(_|$)/, 'base units');
        assert.match(help, /\.$/);
        for (const label of labels) assert.match(label, /^(?!instance$|job$)[a-z][a-z_]*$/);
      });
    }

    it('each stands once', () => {
      assert.equal(new Set(table.map(({ name }) => name)).size, table.length);
    });
  });
}

describe('the metrics of conmgr tell the same as its status', () => {
  it('of instances and links', () => {
    const metrics = metricsOf(
      statusOf({
        instances: [
          instanceStatus({ sessions: 3 }),
          standbyStatus(),
          unreachedStatus({ number: 2, host: 'db3' }),
        ],
      }),
    );
    const first = { backend: '0', host: 'db1', port: '5432' };
    assert.equal(sampleOf(metrics, 'conmgr_primary_available'), 1);
    assert.equal(sampleOf(metrics, 'conmgr_instance_primary', first), 1);
    assert.equal(sampleOf(metrics, 'conmgr_instance_primary', { backend: '1' }), 0);
    assert.equal(sampleOf(metrics, 'conmgr_instance_state', { ...first, state: 'up' }), 1);
    assert.equal(sampleOf(metrics, 'conmgr_instance_state', { ...first, state: 'down' }), 0);
    assert.equal(sampleOf(metrics, 'conmgr_instance_role', { backend: '1', role: 'standby' }), 1);
    assert.equal(sampleOf(metrics, 'conmgr_instance_sessions', first), 3);
    assert.equal(sampleOf(metrics, 'conmgr_instance_lag_bytes', { backend: '1' }), 16_384);
    assert.equal(sampleOf(metrics, 'conmgr_instance_lag_bytes', { backend: '0' }), undefined);
    assert.equal(sampleOf(metrics, 'conmgr_link_up', first), 1);
    assert.equal(sampleOf(metrics, 'conmgr_link_up', { backend: '2' }), 0);
    assert.equal(sampleOf(metrics, 'conmgr_link_protection', { ...first, protection: 'none' }), 1);
    assert.equal(sampleOf(metrics, 'conmgr_link_protection', { ...first, protection: 'certificate' }), 0);
    assert.equal(sampleOf(metrics, 'conmgr_link_protection', { backend: '2' }), undefined);
    assert.equal(sampleOf(metrics, 'conmgr_link_last_packet_age_seconds', first), 0.4);
    assert.equal(sampleOf(metrics, 'conmgr_link_last_packet_age_seconds', { backend: '2' }), undefined);
    assert.equal(sampleOf(metrics, 'conmgr_link_round_trip_seconds', first), 0.00041);
  });

  it('of certificates: the second from which on none of them is good', () => {
    const certificates = [
      { parameter: 'heartbeat_sslcert', path: '/a.crt', validFrom: NOW, validTo: NOW + 1000 },
    ];
    const metrics = metricsOf(statusOf({ certificates }));
    const labels = { parameter: 'heartbeat_sslcert' };
    assert.equal(sampleOf(metrics, 'conmgr_certificate_expiry_time_seconds', labels), NOW / 1000 + 1);
  });

  it('of sessions', () => {
    const applications = [
      applicationStatus(),
      applicationStatus({ id: 2 }),
      applicationStatus({ id: 3, mode: 'gateway', target: 'standby' }),
    ];
    const metrics = metricsOf(statusOf({ applications }));
    assert.equal(sampleOf(metrics, 'conmgr_sessions', { mode: 'aware', target: 'primary' }), 2);
    assert.equal(sampleOf(metrics, 'conmgr_sessions', { mode: 'gateway', target: 'standby' }), 1);
    assert.equal(sampleOf(metrics, 'conmgr_sessions', { mode: 'gateway', target: 'any' }), 0);
  });

  it('of the process: a refused reload, no primary, a helper that is gone', () => {
    const metrics = metricsOf(
      statusOf({
        primary: null,
        lastReload: { at: NOW - 1000, problems: ['conmgr.conf:1: wrong'] },
        kernel: {
          helper: 'no such file',
          guard: { wanted: true, problem: 'no helper' },
          connections: [],
          listeners: [],
        },
      }),
    );
    assert.equal(sampleOf(metrics, 'conmgr_primary_available'), 0);
    assert.equal(sampleOf(metrics, 'conmgr_last_reload_successful'), 0);
    assert.equal(sampleOf(metrics, 'conmgr_last_reload_time_seconds'), (NOW - 1000) / 1000);
    assert.equal(sampleOf(metrics, 'conmgr_helper_up'), 0);
    assert.equal(sampleOf(metrics, 'conmgr_guard_active'), 0);
    assert.equal(metrics.has('conmgr_max_connections'), false);
  });

  it('of events: those that have not happened yet are 0', () => {
    const log = events();
    log.record(CONMGR_MESSAGES.linkUp, {}, NOW);
    log.record(CONMGR_MESSAGES.linkUp, {}, NOW);
    const metrics = metricsOf(statusOf(), log);
    assert.equal(sampleOf(metrics, 'conmgr_events_total', { event: 'link_up' }), 2);
    assert.equal(sampleOf(metrics, 'conmgr_events_total', { event: 'instance_lost' }), 0);
    assert.equal(sampleOf(metrics, 'conmgr_problems_total', { level: 'ERROR' }), 0);
  });
});

it('the metrics of the watchdog tell the same as its status, whatever a conmgr calls itself', () => {
  const label = 'app1:/srv/"quoted"\\back\nline';
  const status = watchdogStatus({ label });
  const text = renderMetrics(WATCHDOG_METRICS, { status, counts: events().counts });
  const metrics = parseExposition(text);
  assert.equal(sampleOf(metrics, 'conmgr_watchdog_link_last_packet_age_seconds', { label }), 0.7);
  assert.equal(sampleOf(metrics, 'conmgr_watchdog_links'), 1);
  const protection = 'conmgr_watchdog_link_protection';
  assert.equal(sampleOf(metrics, protection, { label, protection: 'certificate' }), 1);
  assert.equal(sampleOf(metrics, protection, { label, protection: 'none' }), 0);
  assert.equal(sampleOf(metrics, 'conmgr_watchdog_instance_role', { role: 'primary' }), 1);
  assert.equal(sampleOf(metrics, 'conmgr_watchdog_terminator_sessions_ended_total'), 5);
  assert.equal(sampleOf(metrics, 'conmgr_watchdog_findings'), 1);
  assert.equal(sampleOf(metrics, 'conmgr_watchdog_heartbeat_port_open'), 1);
});
