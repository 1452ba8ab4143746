import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatProblem } from '../../../../src/core/config/problem.js';
import {
  conmgrParameterDocs,
  effectiveValues,
  effectiveWatchdogValues,
  renderEffective,
  sampleConfig,
  watchdogParameterDocs,
} from '../../../../src/core/config/render.js';
import { resolveConmgrConfig, resolveWatchdogConfig } from '../../../../src/core/config/resolve.js';

/** The setting lines of the sample, comment sign taken away. */
const settings = sampleConfig()
  .split('\n')
  .filter((line) => /^#[a-z]/.test(line))
  .map((line) => line.slice(1));

describe('the sample file', () => {
  it('lacks nothing but an instance', () => {
    const { problems, remarks } = resolveConmgrConfig(sampleConfig());
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['CM1050'],
    );
    assert.deepEqual(remarks, []);
  });

  it('has every parameter of this version, and none of a later one', () => {
    const names = settings.map((line) => line.split(' ')[0]);
    const available = conmgrParameterDocs().filter(({ availability }) => availability === 'now');
    assert.deepEqual(
      names,
      available.map(({ name }) => name.replace(/N$/, '0')),
    );
  });

  it('shows the defaults: the examples alone and all its lines together mean the same', () => {
    const bare = resolveConmgrConfig(
      "backend_host0 = 'db1.example.com'\nbackend_hostaddr0 = '192.0.2.1'\nlistener_port0 = 27547\nheartbeat_secret_file = %d/heartbeat-secret\n" +
        'heartbeat_sslrootcert = root.crt\nheartbeat_sslcert = conmgr.crt\nheartbeat_sslkey = conmgr.key',
    );
    const { config, problems } = resolveConmgrConfig(settings.join('\n'));
    assert.deepEqual(problems.map(formatProblem), []);
    assert.deepEqual(config, bare.config);
  });

  it('has no line that a terminal would break', () => {
    for (const line of sampleConfig().split('\n')) {
      if (/^# /.test(line)) assert.ok(line.length <= 100, line);
      assert.equal(line, line.trimEnd());
    }
  });
});

describe('the values in effect', () => {
  it('are listed with where they come from and what a change takes', () => {
    const { config, lines } = resolveConmgrConfig(
      "backend_host3 = ::1\n\nport = 5\nheartbeat_interval = 1.5s\nlog_destination = 'syslog,stderr'\n",
    );
    const listing = renderEffective(effectiveValues(config!, lines)).split('\n');
    for (const line of [
      "backend_host3 = '::1'                      # line 1",
      'backend_port3 = 27500                      # default',
      'port = 5                                   # line 3, needs restart',
      'listen_addresses = localhost               # default, needs restart',
      'heartbeat_interval = 1500ms                # line 4',
      "log_destination = 'syslog, stderr'         # line 5",
      'gateway_target_session_attrs = read-write  # default',
    ]) {
      assert.ok(listing.includes(line), line);
    }
    assert.ok(!listing.some((line) => /hostaddr|listener|sslrootcert|sslcert|sslkey/.test(line)));
  });

  it('are a file that means the same', () => {
    const file = fc.record({
      port: fc.integer({ min: 1, max: 65535 }),
      heartbeat_interval: fc.integer({ min: 50, max: 10_000 }).map((ms) => `${ms}ms`),
      heartbeat_timeout: fc.integer({ min: 11, max: 10_000 }),
      max_lag: fc.nat(),
      gateway: fc.constantFrom('on', 'off'),
      load_balance: fc.constantFrom('random', 'nearest'),
      listen_addresses: fc.constantFrom("'*'", "'::1, 127.0.0.1'", 'localhost'),
      syslog_ident: fc.constantFrom("'it''s # one'", "'a\\\\b'"),
      backend_host2: fc.constantFrom('::1', 'db-1.example', "'db1'"),
      backend_hostaddr5: fc.ipV6(),
      listener_port7: fc.integer({ min: 1, max: 65535 }),
      listener_target_session_attrs7: fc.constantFrom('primary', 'preferSecondary'),
    });
    fc.assert(
      fc.property(file, (values) => {
        fc.pre(values.port !== values.listener_port7);
        const text = Object.entries(values).map(([name, value]) => `${name} = ${value}\n`);
        const first = resolveConmgrConfig(text.join(''));
        assert.deepEqual(first.problems.map(formatProblem), []);
        const again = resolveConmgrConfig(renderEffective(effectiveValues(first.config!, first.lines)));
        assert.deepEqual(again.config, first.config);
      }),
    );
  });

  it('of the watchdog name postgresql.conf, the default, or a wrong value as where they come from', () => {
    const raw = new Map([
      ['Watchdog.port', '5'],
      ['watchdog.restart_grace', 'long'],
      ['watchdog.terminate_on', ''],
    ]);
    const sources = new Map(
      effectiveWatchdogValues(resolveWatchdogConfig(raw), raw).map(({ name, value, source }) => [
        name,
        [value, source],
      ]),
    );
    assert.deepEqual(sources.get('watchdog.port'), ['5', 'postgresql.conf']);
    assert.deepEqual(sources.get('watchdog.restart_grace'), ['10s', 'wrong value set']);
    assert.deepEqual(sources.get('watchdog.terminate_on'), ['any', 'default']);
    assert.deepEqual(sources.get('watchdog.listen_addresses'), [undefined, 'default']);
  });
});

describe('the list of parameters for manuals', () => {
  it('has name, type, unit, default, bounds and when a change takes effect', () => {
    const docs = new Map(
      [...conmgrParameterDocs(), ...watchdogParameterDocs()].map((doc) => [doc.name, doc]),
    );
    const { doc: _, section, ...port } = docs.get('backend_portN')!;
    assert.deepEqual(port, {
      name: 'backend_portN',
      type: 'integer',
      unit: undefined,
      default: '27500',
      bounds: '1 .. 65535',
      applies: 'reload',
      availability: 'now',
    });
    assert.equal(section, 'Instances');
    assert.equal(docs.get('heartbeat_timeout')?.unit, 's');
    assert.equal(docs.get('max_lag')?.unit, 'bytes');
    assert.equal(docs.get('watchdog.promote')?.availability, 'later');
    assert.equal(docs.get('watchdog.max_heartbeat_connections')?.default, "the instance's max_connections");
    assert.equal(docs.get('listener_modeN')?.bounds, 'auto, redirect, gateway');
  });
});
