import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatProblem } from '../../src/core/config/problem.js';
import { diffConmgrConfig, resolveConmgrConfig } from '../../src/core/config/resolve.js';
import { CONFIG_MESSAGES } from '../../src/core/messages/config.js';

function errors(text: string): string[] {
  return resolveConmgrConfig(text).problems.map(formatProblem);
}

describe('rules between the values of conmgr.conf', () => {
  it('at least one instance must be configured', () => {
    assert.match(
      errors('port = 5\n# no host\n')[0] ?? '',
      /^conmgr\.conf:2: at least one instance must be configured/,
    );
    assert.match(errors('')[0] ?? '', /^conmgr\.conf:1: at least one instance must be configured/);
  });

  it('an instance number with any parameter but neither host nor hostaddr is an error that names the number', () => {
    assert.deepEqual(
      errors("backend_host0='host0'\nbackend_host2='host2'\nbackend_port1=5555\nwatchdog_port1=1"),
      ['conmgr.conf:3: instance 1 has "backend_port1" but neither "backend_host1" nor "backend_hostaddr1"'],
    );
  });

  it('an instance with hostaddr alone is complete', () => {
    assert.deepEqual(resolveConmgrConfig('backend_hostaddr3 = 192.0.2.1').config?.instances, [
      {
        number: 3,
        host: undefined,
        hostaddr: '192.0.2.1',
        backendPort: 27500,
        watchdogPort: 27545,
        guard: true,
      },
    ]);
  });

  it('backend_hostaddr wins over backend_host', () => {
    assert.match(
      errors(
        'backend_host0 = a\nbackend_hostaddr0 = 192.0.2.1\nbackend_host1 = b\nbackend_hostaddr1 = 192.0.2.1',
      ).join(),
      /instances 0 and 1 have the same address and port \(192\.0\.2\.1, port 27500\)/,
    );
  });

  it('two instances with the same address and port are an error', () => {
    assert.deepEqual(errors('backend_host0 = db\nbackend_host1 = other\nbackend_host2 = db'), [
      'conmgr.conf:3: instances 0 and 2 have the same address and port (db, port 27500)',
    ]);
  });

  it('heartbeat_timeout <= heartbeat_interval loads, but a WARNING says that it is always abnormal', () => {
    for (const [interval, timeout] of [
      ['20', '20'],
      ['30', '20'],
      ['200ms', '100ms'],
    ]) {
      const { config, remarks } = resolveConmgrConfig(
        `backend_host0 = a\nheartbeat_timeout = ${timeout}\nheartbeat_interval = ${interval}`,
      );
      assert.ok(config);
      assert.equal(remarks.length, 1);
      assert.equal(remarks[0]?.level, 'WARNING');
      assert.match(
        formatProblem(remarks[0]!),
        /^conmgr\.conf:3: heartbeat_timeout \(.*\) is not greater than/,
      );
    }
    assert.deepEqual(resolveConmgrConfig('backend_host0 = a\nheartbeat_interval = 19').remarks, []);
  });

  it('an unknown parameter is an error that offers the nearest known name', () => {
    assert.deepEqual(errors('backend_host0 = a\nheartbeat_time_out = 5\nbackendhost1 = b'), [
      'conmgr.conf:2: unrecognized configuration parameter "heartbeat_time_out"; did you mean "heartbeat_timeout"?',
      'conmgr.conf:3: unrecognized configuration parameter "backendhost1"; did you mean "backend_host1"?',
    ]);
  });

  it('all errors of a file are reported together, each as file:line: message, in the order of their lines', () => {
    const found = errors(
      [
        'port = 0',
        "syslog_ident = 'x",
        'prot = 5',
        'backend_port7 = 1',
        'log_min_messages = LOUD',
        'status_port = 99999',
        'backend_host0 = a b',
        'heartbeat_interval',
        'backend_host1 = a',
        'backend_host2 = a',
      ].join('\n'),
    );
    assert.deepEqual(
      found.map((message) => message.replace(/^(conmgr\.conf:\d+: ).*$/, '$1')),
      [1, 2, 3, 4, 5, 6, 7, 8, 10].map((line) => `conmgr.conf:${line}: `),
    );
  });

  it('a file with errors changes nothing: there is no configuration, and the exit status is 78', () => {
    assert.equal(resolveConmgrConfig('backend_host0 = a\nport = 0').config, undefined);
    assert.equal(CONFIG_MESSAGES.fileHasErrors.exit, 78);
  });

  it('a documented file works unchanged', () => {
    const { config, problems, remarks } = resolveConmgrConfig(
      [
        'port = 27546',
        "backend_host0='host0'",
        'backend_port0=5432',
        "backend_host2='host2'",
        'backend_port2=2345',
        'watchdog_port2=27545',
        'heartbeat_interval = 10 # seconds',
        'heartbeat_timeout = 20',
        'heartbeat_connect_interval = 1',
        'heartbeat_connect_timeout = 10',
        "log_destination = 'stderr,syslog'",
        "syslog_facility = 'LOCAL0'",
        "syslog_ident = 'conmgr'",
        'log_min_messages = WARNING',
        'max_connections = 0',
      ].join('\n'),
    );
    assert.deepEqual([problems, remarks], [[], []]);
    assert.deepEqual(config, {
      port: 27546,
      listenAddresses: ['localhost'],
      instances: [
        {
          number: 0,
          host: 'host0',
          hostaddr: undefined,
          backendPort: 5432,
          watchdogPort: 27545,
          guard: true,
        },
        {
          number: 2,
          host: 'host2',
          hostaddr: undefined,
          backendPort: 2345,
          watchdogPort: 27545,
          guard: true,
        },
      ],
      heartbeatIntervalMs: 10_000,
      heartbeatTimeoutMs: 20_000,
      heartbeatConnectIntervalMs: 1000,
      heartbeatConnectTimeoutMs: 10_000,
      heartbeatSecretFile: undefined,
      heartbeatSslmode: 'disable',
      heartbeatSslrootcert: undefined,
      heartbeatSslcert: undefined,
      heartbeatSslkey: undefined,
      log: {
        destinations: ['stderr', 'syslog'],
        syslogFacility: 'LOCAL0',
        syslogIdent: 'conmgr',
        minMessages: 'WARNING',
      },
      maxConnections: 0,
      gateway: true,
      gatewayTargetSessionAttrs: 'read-write',
      listeners: [],
      guard: false,
      evictOnRoleChange: 'writers',
      onConflict: 'newest',
      resolveWaitMs: 0,
      loadBalance: 'random',
      maxLagBytes: 0,
      statusPort: 0,
    });
  });
});

describe('a reload', () => {
  const running = resolveConmgrConfig('backend_host0 = a\nbackend_host1 = b').config!;
  const after = (lines: string) =>
    diffConmgrConfig(running, resolveConmgrConfig(`backend_host0 = a\nbackend_host1 = b\n${lines}`).config!);

  it('takes new values of log_*, syslog_*, max_connections and heartbeat_*', () => {
    const settings = {
      log_destination: 'syslog',
      log_min_messages: 'LOG',
      syslog_facility: 'LOCAL1',
      syslog_ident: 'x',
      max_connections: '5',
      heartbeat_interval: '1',
      heartbeat_timeout: '30',
      heartbeat_connect_interval: '2',
      heartbeat_connect_timeout: '2',
    };
    for (const [name, value] of Object.entries(settings)) {
      const diff = after(`${name} = ${value}`);
      assert.deepEqual([diff.reloadable, diff.needsRestart], [[name], []], name);
    }
  });

  it('adds and removes instances', () => {
    assert.deepEqual(after('backend_host2 = c').instancesAdded, [2]);
    const fewer = resolveConmgrConfig('backend_host1 = b').config!;
    assert.deepEqual(diffConmgrConfig(running, fewer).instancesRemoved, [0]);
  });

  it('does not take a new port: that is said at LOG', () => {
    const diff = after('port = 5');
    assert.deepEqual([diff.reloadable, diff.needsRestart], [[], ['port']]);
    assert.equal(CONFIG_MESSAGES.restartNeeded.level, 'LOG');
  });

  it('with errors leaves the running configuration, which is said at ERROR', () => {
    const { config, problems } = resolveConmgrConfig('backend_host0 = a\nport = 0\nmax_connections = x');
    assert.equal(config, undefined);
    assert.deepEqual(new Set(problems.map(({ level }) => level)), new Set(['ERROR']));
    assert.equal(CONFIG_MESSAGES.reloadRejected.level, 'ERROR');
  });
});
