import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatProblem } from '../../../../src/core/config/problem.js';
import { diffWatchdogConfig, resolveWatchdogConfig } from '../../../../src/core/config/resolve.js';
import { WATCHDOG_PARAMETERS } from '../../../../src/core/config/watchdog-spec.js';
import { renderMessage } from '../../../../src/core/messages/message.js';

function resolve(settings: Readonly<Record<string, string>>): ReturnType<typeof resolveWatchdogConfig> {
  return resolveWatchdogConfig(new Map(Object.entries(settings)));
}

describe('watchdog parameters', () => {
  const defaults = resolve({}).config;

  it('count as not set when their text is empty', () => {
    const all = Object.fromEntries(Object.keys(WATCHDOG_PARAMETERS).map((name) => [name, '']));
    assert.deepEqual(resolve(all), { config: defaults, problems: [], remarks: [] });
  });

  it('may be named in any letter case, as in PostgreSQL', () => {
    assert.equal(resolve({ 'Watchdog.PORT': '5' }).config.port, 5);
  });

  it('of all kinds are read', () => {
    const { config, problems } = resolve({
      'watchdog.listen_addresses': '*',
      'watchdog.max_heartbeat_connections': '7',
      'watchdog.allowed_clients': '192.0.2.0/24, ::1',
      'watchdog.check_attr_interval': '50',
      'watchdog.terminate_on': 'Lost',
      'watchdog.restart_grace': '0',
      'watchdog.exclude_replication': 'off',
      'watchdog.probe_interval': '500ms',
      'watchdog.probe_timeout': '2s',
      'watchdog.log_destination': 'journald',
      'watchdog.syslog_facility': 'local3',
      'watchdog.syslog_ident': 'wd',
      'watchdog.log_min_messages': 'debug',
      'watchdog.ssl': 'on',
      'watchdog.promote': 'off',
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(
      { ...config, allowedClients: config.allowedClients?.map(({ text }) => text) },
      {
        ...defaults,
        listenAddresses: ['*'],
        maxHeartbeatConnections: 7,
        allowedClients: ['192.0.2.0/24', '::1/128'],
        checkAttrIntervalMs: 50,
        terminateOn: 'lost',
        restartGraceMs: 0,
        ssl: true,
        excludeReplication: false,
        probeIntervalMs: 500,
        probeTimeoutMs: 2000,
        log: {
          destinations: ['journald'],
          syslogFacility: 'LOCAL3',
          syslogIdent: 'wd',
          minMessages: 'DEBUG',
        },
      },
    );
  });

  it('tell in the DETAIL what follows from a wrong value', () => {
    const { problems } = resolve({
      'watchdog.port': 'x',
      'watchdog.listen_addresses': '/tmp',
      'watchdog.allowed_clients': 'x',
      'watchdog.terminate_on': 'x',
    });
    assert.deepEqual(
      problems.map(({ spec, params }) => renderMessage(spec, params).detail),
      [
        'The default (27545) is used.',
        "The default (the instance's listen_addresses) is used.",
        'The heartbeat port stays closed until this is mended.',
        'Until this is mended sessions of lost clients are only logged, not ended.',
      ],
    );
  });

  it('that are unknown are told, with the nearest name', () => {
    const { config, problems } = resolve({ 'watchdog.prot': '5', 'watchdog.something': '5' });
    assert.deepEqual(problems.map(formatProblem), [
      'unrecognized configuration parameter "watchdog.prot"; did you mean "watchdog.port"?',
      'unrecognized configuration parameter "watchdog.something"',
    ]);
    assert.deepEqual(config, defaults);
  });

  it('that are a misspelt security parameter count as a wrong value of it', () => {
    const clients = resolve({ 'watchdog.alowed_clients': '192.0.2.0/24' }).config;
    assert.match(clients.closed ?? '', /did you mean "watchdog.allowed_clients"/);
    assert.deepEqual(clients.allowedClients, []);
    assert.equal(resolve({ 'watchdog.terminat_on': 'never' }).config.terminateOn, 'never');
  });

  it('whose function is not in this version may be set to their default only', () => {
    for (const [name, text] of Object.entries({
      promote: 'auto',
      promote_max_lag: '16MB',
    })) {
      const { config, problems } = resolve({ [`watchdog.${name}`]: text });
      assert.deepEqual(problems.map(formatProblem), [
        `parameter "watchdog.${name}" is not available in this version`,
      ]);
      assert.deepEqual(config, defaults);
    }
  });

  it('become usable by one word in their row', () => {
    const table = {
      ...WATCHDOG_PARAMETERS,
      'watchdog.promote': { ...WATCHDOG_PARAMETERS['watchdog.promote'], availability: 'now' },
    } as unknown as typeof WATCHDOG_PARAMETERS;
    const { problems } = resolveWatchdogConfig(new Map([['watchdog.promote', 'auto']]), table);
    assert.deepEqual(problems, []);
  });

  it('with a probe time-out that no healthy instance can meet are told in a WARNING', () => {
    const { remarks, problems } = resolve({ 'watchdog.probe_timeout': '10' });
    assert.deepEqual(problems, []);
    assert.equal(remarks[0]?.level, 'WARNING');
    assert.match(formatProblem(remarks[0]!), /watchdog\.probe_timeout \(10s\) is not greater than/);
  });

  it('of any text give a complete configuration and never throw', () => {
    const name = fc.oneof(fc.constantFrom(...Object.keys(WATCHDOG_PARAMETERS)), fc.string());
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('on', '5', 'any', '::/0', '1s'));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (settings) => {
        const { config, problems } = resolveWatchdogConfig(new Map(settings));
        assert.ok(config.port >= 1 && config.port <= 65535);
        assert.ok(config.probeIntervalMs >= 50 && config.checkAttrIntervalMs >= 1);
        assert.ok(config.log.destinations.length > 0);
        if (config.closed !== undefined) assert.deepEqual(config.allowedClients, []);
        for (const problem of problems) assert.match(formatProblem(problem), /^[^\0-\x1f\x7f]+$/);
      }),
      { numRuns: 1000 },
    );
  });

  it('that changed are told by what their change takes', () => {
    const next = resolve({
      'watchdog.port': '5',
      'watchdog.listen_addresses': 'localhost',
      'watchdog.allowed_clients': '::1',
      'watchdog.restart_grace': '5',
    }).config;
    assert.deepEqual(diffWatchdogConfig(defaults, next), {
      reloadable: ['watchdog.allowed_clients', 'watchdog.restart_grace'],
      needsRestart: ['watchdog.port', 'watchdog.listen_addresses'],
    });
    assert.deepEqual(diffWatchdogConfig(next, next), { reloadable: [], needsRestart: [] });
  });
});
