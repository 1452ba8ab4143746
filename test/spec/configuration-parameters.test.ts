import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatProblem } from '../../src/core/config/problem.js';
import { resolveConmgrConfig } from '../../src/core/config/resolve.js';
import type { ConmgrConfig } from '../../src/core/config/types.js';

/** What is documented of one parameter. */
interface Documented {
  readonly name: string;
  /** How the rule reads in the manual. */
  readonly rule: string;
  readonly of: (config: ConmgrConfig) => unknown;
  readonly default: unknown;
  /** Texts as they stand in the file, and what they mean. */
  readonly good: Readonly<Record<string, unknown>>;
  readonly bad: readonly string[];
}

const first = (config: ConmgrConfig) => config.instances[0];

const DOCUMENTED: readonly Documented[] = [
  {
    name: 'port',
    rule: 'integer, default 27546, 1-65535',
    of: (config) => config.port,
    default: 27546,
    good: { '1': 1, '65535': 65535, "'5432'": 5432 },
    bad: ['0', '65536', '-1', 'http', "''"],
  },
  {
    name: 'backend_host0',
    rule: 'string, a host name or an IPv4 or IPv6 address',
    of: (config) => first(config)?.host,
    default: 'db0',
    good: {
      db1: 'db1',
      "'db1.example.com'": 'db1.example.com',
      '192.0.2.1': '192.0.2.1',
      '2001:db8::1': '2001:db8::1',
    },
    bad: ["''", "'a b'", "'a,b'", '[::1]', 'db1:5432', '/tmp', '192.0.2.256', '-x'],
  },
  {
    name: 'backend_hostaddr0',
    rule: 'string, an IP address, no default',
    of: (config) => first(config)?.hostaddr,
    default: undefined,
    good: { '192.0.2.1': '192.0.2.1', "'::1'": '::1', 'fe80::1%eth0': 'fe80::1%eth0' },
    bad: ['db1', "''", '192.0.2', '192.0.2.0/24', 'localhost'],
  },
  {
    name: 'backend_port0',
    rule: 'integer, default 27500, 1-65535',
    of: (config) => first(config)?.backendPort,
    default: 27500,
    good: { '1': 1, '65535': 65535 },
    bad: ['0', '65536', 'x'],
  },
  {
    name: 'watchdog_port0',
    rule: 'integer, default 27545, 1-65535',
    of: (config) => first(config)?.watchdogPort,
    default: 27545,
    good: { '1': 1, '65535': 65535 },
    bad: ['0', '65536', 'x'],
  },
  {
    name: 'backend_guard0',
    rule: 'on by default',
    of: (config) => first(config)?.guard,
    default: true,
    good: { off: false, on: true },
    bad: ['2', 'local'],
  },
  {
    name: 'heartbeat_interval',
    rule: 'integer in seconds, default 10, at least 1',
    of: (config) => config.heartbeatIntervalMs,
    default: 10_000,
    good: { '1': 1000, '3': 3000, '200ms': 200 },
    bad: ['0', '-1', '0.5', 'x', "''"],
  },
  {
    name: 'heartbeat_timeout',
    rule: 'integer in seconds, default 20, at least 1',
    of: (config) => config.heartbeatTimeoutMs,
    default: 20_000,
    good: { '11': 11_000, '1min': 60_000 },
    bad: ['0', '-1', '0.5', 'x'],
  },
  {
    name: 'heartbeat_connect_interval',
    rule: 'integer in seconds, default 1, at least 1',
    of: (config) => config.heartbeatConnectIntervalMs,
    default: 1000,
    good: { '1': 1000, '100ms': 100 },
    bad: ['0', '-1', 'x'],
  },
  {
    name: 'heartbeat_connect_timeout',
    rule: 'integer in seconds, default 10, at least 1',
    of: (config) => config.heartbeatConnectTimeoutMs,
    default: 10_000,
    good: { '1': 1000, '500ms': 500 },
    bad: ['0', '-1', 'x'],
  },
  {
    name: 'log_destination',
    rule: 'string list, default stderr: stderr, syslog, journald',
    of: (config) => config.log.destinations,
    default: ['stderr'],
    good: {
      syslog: ['syslog'],
      "'stderr,syslog'": ['stderr', 'syslog'],
      "'stderr , Syslog, JOURNALD'": ['stderr', 'syslog', 'journald'],
    },
    bad: ['csvlog', "''", "'stderr,'", "'stderr syslog'"],
  },
  {
    name: 'syslog_facility',
    rule: 'enum, default LOCAL0: LOCAL0 to LOCAL7',
    of: (config) => config.log.syslogFacility,
    default: 'LOCAL0',
    good: Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((n) => [`local${n}`, `LOCAL${n}`])),
    bad: ['LOCAL8', 'daemon', "''"],
  },
  {
    name: 'syslog_ident',
    rule: 'string, default conmgr, not empty',
    of: (config) => config.log.syslogIdent,
    default: 'conmgr',
    good: { app1: 'app1', "'my app'": 'my app' },
    bad: ["''", "'a\\nb'"],
  },
  {
    name: 'log_min_messages',
    rule: 'enum, default WARNING: DEBUG, INFO, NOTICE, WARNING, ERROR, LOG, FATAL, PANIC',
    of: (config) => config.log.minMessages,
    default: 'WARNING',
    good: Object.fromEntries(
      ['DEBUG', 'INFO', 'NOTICE', 'WARNING', 'ERROR', 'LOG', 'FATAL', 'PANIC'].map((level) => [level, level]),
    ),
    bad: ['DEBUG1', 'warn', "''"],
  },
  {
    name: 'max_connections',
    rule: 'integer, default 0, at least 0',
    of: (config) => config.maxConnections,
    default: 0,
    good: { '0': 0, '5000': 5000 },
    bad: ['-1', 'x', '1.5'],
  },
  {
    name: 'listen_addresses',
    rule: 'string list, default localhost, which stays the word',
    of: (config) => config.listenAddresses,
    default: ['localhost'],
    good: { "'*'": ['*'], "'127.0.0.1, ::1'": ['127.0.0.1', '::1'], '0.0.0.0': ['0.0.0.0'] },
    bad: ["''", "'a b'", '127.0.0.1:80'],
  },
  {
    name: 'gateway_target_session_attrs',
    rule: "enum, default read-write: libpq's words and pgjdbc's synonyms",
    of: (config) => config.gatewayTargetSessionAttrs,
    default: 'read-write',
    good: {
      any: 'any',
      'read-write': 'read-write',
      'read-only': 'read-only',
      primary: 'primary',
      standby: 'standby',
      'prefer-standby': 'prefer-standby',
      secondary: 'standby',
      preferSecondary: 'prefer-standby',
    },
    bad: ['master', 'preferPrimary', 'prefer-primary', "''"],
  },
  {
    name: 'gateway',
    rule: 'on or off, default on',
    of: (config) => config.gateway,
    default: true,
    good: { on: true, OFF: false, "'off'": false, no: false },
    bad: ['maybe', '2', "''"],
  },
  {
    name: 'guard',
    rule: 'off by default',
    of: (config) => config.guard,
    default: false,
    good: { off: false, on: true },
    bad: ['local', '2'],
  },
  {
    name: 'evict_on_role_change',
    rule: 'enum off, writers, all, default writers',
    of: (config) => config.evictOnRoleChange,
    default: 'writers',
    good: { off: 'off', writers: 'writers', ALL: 'all' },
    bad: ['on', 'readers'],
  },
  {
    name: 'on_conflict',
    rule: 'enum newest, keep, none, default newest',
    of: (config) => config.onConflict,
    default: 'newest',
    good: { newest: 'newest', keep: 'keep', none: 'none' },
    bad: ['oldest', 'off'],
  },
  {
    name: 'resolve_wait',
    rule: 'integer in seconds, default 0',
    of: (config) => config.resolveWaitMs,
    default: 0,
    good: { '0': 0, '5': 5000, '250ms': 250 },
    bad: ['-1', 'x'],
  },
  {
    name: 'load_balance',
    rule: 'enum random, round-robin, least-connections, nearest, default random',
    of: (config) => config.loadBalance,
    default: 'random',
    good: {
      random: 'random',
      'round-robin': 'round-robin',
      'least-connections': 'least-connections',
      nearest: 'nearest',
    },
    bad: ['disable', 'roundrobin'],
  },
  {
    name: 'max_lag',
    rule: 'integer in bytes, default 0 for no limit',
    of: (config) => config.maxLagBytes,
    default: 0,
    good: { '0': 0, '1000': 1000, '16MB': 16_777_216 },
    bad: ['-1', '5s', 'x'],
  },
  {
    name: 'status_port',
    rule: 'integer 0 .. 65535, default 0 for off',
    of: (config) => config.statusPort,
    default: 0,
    good: { '0': 0, '9187': 9187, '65535': 65_535 },
    bad: ['-1', '65536', 'on'],
  },
];

for (const parameter of DOCUMENTED) {
  describe(`${parameter.name}: ${parameter.rule}`, () => {
    const text = (value: string) =>
      `backend_host0 = db0\nheartbeat_interval = 10\n${parameter.name} = ${value}\n`;

    it('has its default', () => {
      const { config } = resolveConmgrConfig('backend_host0 = db0');
      assert.deepEqual(parameter.of(config!), parameter.default);
    });

    it('takes what it may be', () => {
      for (const [value, expected] of Object.entries(parameter.good)) {
        const { config, problems } = resolveConmgrConfig(text(value));
        assert.ok(config, `${value}: ${problems.map(formatProblem)}`);
        assert.deepEqual(parameter.of(config), expected, value);
      }
    });

    it('refuses what it may not be, in one error with its line and its name', () => {
      for (const value of parameter.bad) {
        const { config, problems } = resolveConmgrConfig(text(value));
        assert.equal(config, undefined, value);
        assert.equal(problems.length, 1, value);
        const message = formatProblem(problems[0]!);
        assert.ok(message.startsWith('conmgr.conf:3: ') && message.includes(`"${parameter.name}"`), message);
      }
    });
  });
}

describe('words that are refused with a reason', () => {
  const refused = (line: string) =>
    resolveConmgrConfig(`backend_host0 = db0\n${line}`).problems.map(formatProblem);

  it('eventlog exists on Windows only', () => {
    assert.match(refused('log_destination = eventlog')[0] ?? '', /"eventlog" exists on Windows only/);
    assert.match(
      refused("log_destination = 'stderr, EventLog'")[0] ?? '',
      /"eventlog" exists on Windows only/,
    );
  });

  it('preferPrimary is not supported with a connection manager', () => {
    const [message = ''] = refused('gateway_target_session_attrs = preferPrimary');
    assert.match(message, /not supported with a connection manager; available values: any, read-write, /);
  });
});

it('event_source is accepted and ignored with a NOTICE', () => {
  const { config, remarks } = resolveConmgrConfig("backend_host0 = db0\nevent_source = 'conmgr'");
  assert.ok(config);
  assert.deepEqual(
    remarks.map((remark) => `${remark.level} ${formatProblem(remark)}`),
    ['NOTICE conmgr.conf:2: parameter "event_source" has a meaning on Windows only and is ignored'],
  );
});
