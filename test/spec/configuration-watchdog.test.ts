import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatProblem } from '../../src/core/config/problem.js';
import { resolveWatchdogConfig } from '../../src/core/config/resolve.js';
import type { WatchdogConfig } from '../../src/core/config/types.js';

const resolve = (name: string, text: string) => resolveWatchdogConfig(new Map([[name, text]]));
const DEFAULTS = resolveWatchdogConfig(new Map()).config;

/** What is documented of one parameter; a wrong value of it means the default. */
interface Documented {
  readonly rule: string;
  readonly of: (config: WatchdogConfig) => unknown;
  readonly default: unknown;
  readonly good: Readonly<Record<string, unknown>>;
  readonly bad: readonly string[];
}

const DOCUMENTED: Readonly<Record<string, Documented>> = {
  'watchdog.port': {
    rule: 'integer, default 27545, 1-65535',
    of: (config) => config.port,
    default: 27545,
    good: { '1': 1, '65535': 65535 },
    bad: ['0', '65536', 'x'],
  },
  'watchdog.check_attr_interval': {
    rule: 'integer in milliseconds, default 1000, at least 1',
    of: (config) => config.checkAttrIntervalMs,
    default: 1000,
    good: { '1': 1, '250': 250, '2s': 2000 },
    bad: ['0', '-1', 'x', '0.5'],
  },
  'watchdog.max_heartbeat_connections': {
    rule: "integer, default the instance's max_connections, at least 1",
    of: (config) => config.maxHeartbeatConnections,
    default: undefined,
    good: { '1': 1, '100': 100 },
    bad: ['0', '-1', 'all'],
  },
  'watchdog.listen_addresses': {
    rule: "string list, default the instance's listen_addresses",
    of: (config) => config.listenAddresses,
    default: undefined,
    good: { '*': ['*'], 'localhost,::1': ['localhost', '::1'] },
    bad: ['a b', '/tmp', ','],
  },
  'watchdog.restart_grace': {
    rule: 'integer in seconds, default 10',
    of: (config) => config.restartGraceMs,
    default: 10_000,
    good: { '0': 0, '30': 30_000, '500ms': 500 },
    bad: ['-1', 'x'],
  },
  'watchdog.exclude_replication': {
    rule: 'on or off, default on',
    of: (config) => config.excludeReplication,
    default: true,
    good: { on: true, off: false },
    bad: ['maybe'],
  },
  'watchdog.probe_interval': {
    rule: 'integer in seconds, default 10',
    of: (config) => config.probeIntervalMs,
    default: 10_000,
    good: { '1': 1000, '100ms': 100 },
    bad: ['0', 'x'],
  },
  'watchdog.probe_timeout': {
    rule: 'integer in seconds, default 20',
    of: (config) => config.probeTimeoutMs,
    default: 20_000,
    good: { '30': 30_000 },
    bad: ['0', 'x'],
  },
  'watchdog.log_destination': {
    rule: 'string list, default stderr',
    of: (config) => config.log.destinations,
    default: ['stderr'],
    good: { 'syslog,journald': ['syslog', 'journald'] },
    bad: ['eventlog', 'x', ','],
  },
  'watchdog.syslog_facility': {
    rule: 'enum, default LOCAL0',
    of: (config) => config.log.syslogFacility,
    default: 'LOCAL0',
    good: { local7: 'LOCAL7' },
    bad: ['LOCAL8'],
  },
  'watchdog.syslog_ident': {
    rule: 'string, default watchdog',
    of: (config) => config.log.syslogIdent,
    default: 'watchdog',
    good: { 'pg main': 'pg main' },
    bad: ['a\nb'],
  },
  'watchdog.log_min_messages': {
    rule: 'enum, default WARNING',
    of: (config) => config.log.minMessages,
    default: 'WARNING',
    good: { log: 'LOG', PANIC: 'PANIC' },
    bad: ['debug5'],
  },
};

for (const [name, { rule, of, default: expectedDefault, good, bad }] of Object.entries(DOCUMENTED)) {
  describe(`${name}: ${rule}`, () => {
    it('has its default, also when it is set to nothing', () => {
      assert.deepEqual(of(DEFAULTS), expectedDefault);
      assert.deepEqual(resolve(name, ''), { config: DEFAULTS, problems: [], remarks: [] });
    });

    it('takes what it may be', () => {
      for (const [text, expected] of Object.entries(good)) {
        const { config, problems } = resolve(name, text);
        assert.deepEqual(problems.map(formatProblem), []);
        assert.deepEqual(of(config), expected, text);
      }
    });

    it("a wrong value is an ERROR with the parameter's name, and the default is used", () => {
      for (const text of bad) {
        const { config, problems } = resolve(name, text);
        assert.equal(problems.length, 1, text);
        assert.equal(problems[0]?.level, 'ERROR');
        assert.ok(formatProblem(problems[0]!).includes(`"${name}"`), text);
        assert.deepEqual(config, DEFAULTS, text);
      }
    });
  });
}

describe('watchdog.allowed_clients: list of CIDR ranges, default all', () => {
  it('takes IPv4 and IPv6 ranges and addresses', () => {
    assert.equal(DEFAULTS.allowedClients, undefined);
    const { config, problems } = resolve('watchdog.allowed_clients', '192.0.2.0/24, 2001:db8::/32,10.0.0.1');
    assert.deepEqual(problems, []);
    assert.equal(config.closed, undefined);
    assert.deepEqual(
      config.allowedClients?.map(({ text }) => text),
      ['192.0.2.0/24', '2001:db8::/32', '10.0.0.1/32'],
    );
  });
});

describe('a wrong security value closes the heartbeat port until mended', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['watchdog.allowed_clients', '10.0.0.0/33'],
    ['watchdog.allowed_clients', '10.0.0.0/8, app.example'],
    ['watchdog.allowed_clients', ','],
    ['watchdog.ssl', 'perhaps'],
    ['watchdog.secret_file', '/etc/conmgr\u0007/secret'],
  ];
  for (const [name, text] of cases) {
    it(`${name} = '${text}'`, () => {
      const { config, problems } = resolve(name, text);
      assert.equal(problems.length, 1);
      assert.equal(problems[0]?.level, 'ERROR');
      assert.equal(config.closed, formatProblem(problems[0]!));
      assert.ok(config.closed.includes(name));
      assert.deepEqual(config.allowedClients, []);
    });
  }

  it('a secret and certificates at once', () => {
    const raw = new Map([
      ['watchdog.ssl', 'on'],
      ['watchdog.secret_file', 'secret'],
    ]);
    const { config, problems } = resolveWatchdogConfig(raw);
    assert.equal(problems.length, 1);
    assert.equal(config.closed, 'parameters "watchdog.ssl" and "watchdog.secret_file" exclude each other');
    assert.deepEqual(config.allowedClients, []);
  });

  it('and another wrong value does not', () => {
    assert.equal(resolve('watchdog.port', 'x').config.closed, undefined);
    assert.equal(resolve('watchdog.ssl', 'off').config.closed, undefined);
    assert.equal(resolve('watchdog.ssl', 'on').config.closed, undefined);
  });
});

describe('what ends SQL sessions', () => {
  it('watchdog.terminate_on: any (default), lost, never', () => {
    assert.equal(DEFAULTS.terminateOn, 'any');
    for (const text of ['any', 'lost', 'never']) {
      assert.equal(resolve('watchdog.terminate_on', text).config.terminateOn, text);
    }
  });

  it('watchdog.terminate_scope: address (default), monitored', () => {
    assert.equal(DEFAULTS.terminateScope, 'address');
    for (const text of ['address', 'monitored']) {
      const { config, problems } = resolve('watchdog.terminate_scope', text);
      assert.deepEqual(problems, []);
      assert.deepEqual([config.terminateScope, config.terminateOn], [text, 'any']);
    }
  });

  it('a wrong terminate_* value means log only', () => {
    for (const name of ['watchdog.terminate_on', 'watchdog.terminate_scope']) {
      const { config, problems } = resolve(name, 'everything');
      assert.equal(problems[0]?.level, 'ERROR');
      assert.equal(config.terminateOn, 'never');
      assert.equal(config.closed, undefined);
    }
  });

  it('a wrong value of one keeps the good value of the other from ending anything', () => {
    const both = new Map([
      ['watchdog.terminate_on', 'lost'],
      ['watchdog.terminate_scope', 'x'],
    ]);
    assert.equal(resolveWatchdogConfig(both).config.terminateOn, 'never');
  });
});
