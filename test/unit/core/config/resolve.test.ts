import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MAX_FILE_CHARACTERS, MAX_LINE_CHARACTERS } from '../../../../src/core/config/parse.js';
import { formatProblem } from '../../../../src/core/config/problem.js';
import { quoteValue } from '../../../../src/core/config/render.js';
import { diffConmgrConfig, resolveConmgrConfig } from '../../../../src/core/config/resolve.js';
import { CONMGR_TABLES } from '../../../../src/core/config/spec.js';
import type { ConmgrConfig } from '../../../../src/core/config/types.js';

const HOST = "backend_host0 = 'db0'\n";

function errors(text: string): string[] {
  return resolveConmgrConfig(text).problems.map(formatProblem);
}

function valid(text: string): ConmgrConfig {
  const { config, problems } = resolveConmgrConfig(text);
  assert.ok(config, problems.map(formatProblem).join('\n'));
  return config;
}

describe('a problem', () => {
  it('carries its code, level, place and the row to log it with', () => {
    const [problem] = resolveConmgrConfig(`${HOST}prot = 5`, 'c.conf').problems;
    assert.equal(problem?.code, 'CM1021');
    assert.equal(problem?.level, 'ERROR');
    assert.equal(problem?.file, 'c.conf');
    assert.equal(problem?.line, 2);
    assert.equal(problem?.spec.everyMs, 0);
    assert.equal(problem?.params['nearest'], 'port');
    assert.equal(
      formatProblem(problem!),
      'c.conf:2: unrecognized configuration parameter "prot"; did you mean "port"?',
    );
  });

  it('shows what stands in the file without control characters and cut to a bearable length', () => {
    assert.deepEqual(errors(`${HOST}port = '\u001b[31m\u00a0'`), [
      'conmgr.conf:2: invalid value for parameter "port": "\\u001b[31m\\u00a0" is not a whole number in decimal digits',
    ]);
    const [long] = errors(`${HOST}port = ${'x'.repeat(1000)}`);
    assert.ok(long?.includes(`"${'x'.repeat(80)}..." is not`));
  });

  it('does not have places of its text filled from the value', () => {
    assert.deepEqual(errors(`${HOST}port = {name}`), [
      'conmgr.conf:2: invalid value for parameter "port": "{name}" is not a whole number in decimal digits',
    ]);
  });
});

describe('a name', () => {
  const names: readonly (readonly [string, string])[] = [
    ['bakend_host1', 'unrecognized configuration parameter "bakend_host1"; did you mean "backend_host1"?'],
    ['backend-host1', 'unrecognized configuration parameter "backend-host1"; did you mean "backend_host1"?'],
    ['port0', 'unrecognized configuration parameter "port0"; did you mean "port"?'],
    [
      'max_connection',
      'unrecognized configuration parameter "max_connection"; did you mean "max_connections"?',
    ],
    ['shared_buffers', 'unrecognized configuration parameter "shared_buffers"'],
    ['constructor', 'unrecognized configuration parameter "constructor"'],
    ['__proto__', 'unrecognized configuration parameter "__proto__"'],
    ['toString0', 'unrecognized configuration parameter "tostring0"'],
    ['conmgr.port', 'unrecognized configuration parameter "conmgr.port"'],
    [
      'bac\u212Aend_host1',
      'unrecognized configuration parameter "bac\u212Aend_host1"; did you mean "backend_host1"?',
    ],
    ['port\u00a0', 'unrecognized configuration parameter "port\\u00a0"; did you mean "port"?'],
    ['watchdog.port', 'parameter "watchdog.port" belongs into the postgresql.conf of the instance'],
    ['backend_port', 'parameter "backend_port" needs a number at its end, such as "backend_port0"'],
    [
      'backend_port01',
      'the number of parameter "backend_port01" must have no leading zeros; write "backend_port1"',
    ],
    [
      'backend_port00',
      'the number of parameter "backend_port00" must have no leading zeros; write "backend_port0"',
    ],
    ['backend_port65536', 'the number of parameter "backend_port65536" is larger than 65535'],
    [
      `backend_port${'9'.repeat(400)}`,
      `the number of parameter "backend_port${'9'.repeat(68)}..." is larger than 65535`,
    ],
  ];
  for (const [name, expected] of names) {
    it(`"${name.slice(0, 30)}" is an error: ${expected.slice(0, 60)}`, () => {
      assert.deepEqual(errors(`${HOST}${name} = 5`), [`conmgr.conf:2: ${expected}`]);
    });
  }
});

describe('a parameter whose function is not in this version', () => {
  const { plain } = CONMGR_TABLES;
  const tables = {
    ...CONMGR_TABLES,
    plain: { ...plain, max_lag: { ...plain.max_lag, availability: 'later' } },
  } as unknown as typeof CONMGR_TABLES;
  const errorsThen = (text: string) =>
    resolveConmgrConfig(text, 'conmgr.conf', tables).problems.map(formatProblem);

  it('may be set to its default only', () => {
    assert.deepEqual(errorsThen(`${HOST}max_lag = 0`), []);
    assert.deepEqual(errorsThen(`${HOST}max_lag = 5`), [
      'conmgr.conf:2: parameter "max_lag" is not available in this version',
    ]);
  });

  it('becomes usable by one word in its row', () => {
    assert.deepEqual(errors(`${HOST}max_lag = 5`), []);
  });
});

describe('certificates of the links', () => {
  const FILES = 'heartbeat_sslcert = a.crt\nheartbeat_sslkey = a.key\n';
  const ROOT = 'heartbeat_sslrootcert = root.crt\n';
  const remarks = (text: string): string[] => resolveConmgrConfig(text).remarks.map(formatProblem);

  it('are complete with the mode, the two files of conmgr and the authority', () => {
    for (const mode of ['verify-ca', 'verify-full', 'require', 'Verify-Full']) {
      const text = `${HOST}${FILES}${ROOT}heartbeat_sslmode = ${mode}`;
      const config = valid(text);
      assert.equal(config.heartbeatSslmode, mode.toLowerCase());
      assert.equal(config.heartbeatSslrootcert, 'root.crt');
      assert.equal(config.heartbeatSslcert, 'a.crt');
      assert.equal(config.heartbeatSslkey, 'a.key');
      assert.deepEqual(remarks(text), []);
    }
  });

  it('lack what is not named, each in a line of its own', () => {
    assert.deepEqual(errors(`${HOST}heartbeat_sslmode = verify-full`), [
      'conmgr.conf:2: heartbeat_sslmode "verify-full" needs heartbeat_sslrootcert',
      'conmgr.conf:2: heartbeat_sslmode "verify-full" needs heartbeat_sslcert',
      'conmgr.conf:2: heartbeat_sslmode "verify-full" needs heartbeat_sslkey',
    ]);
    assert.equal(errors(`${HOST}heartbeat_sslmode = require`).length, 2);
  });

  it('of an unverified watchdog are told in a WARNING', () => {
    const [remark, ...others] = remarks(`${HOST}${FILES}heartbeat_sslmode = require`);
    assert.match(
      remark ?? '',
      /^conmgr\.conf:4: heartbeat_sslmode "require" without heartbeat_sslrootcert verifies no/,
    );
    assert.deepEqual(others, []);
  });

  it('that are named but not used are told in a WARNING each', () => {
    const said = remarks(`${HOST}${FILES}${ROOT}`);
    assert.equal(said.length, 3);
    for (const one of said) assert.match(one, /has no effect: heartbeat_sslmode is "disable"/);
  });

  it('exclude a secret', () => {
    assert.deepEqual(
      errors(`${HOST}${FILES}${ROOT}heartbeat_sslmode = verify-ca\nheartbeat_secret_file = secret`),
      ['conmgr.conf:6: parameters "heartbeat_sslmode" and "heartbeat_secret_file" exclude each other'],
    );
  });

  it('are never optional: allow and prefer of libpq are refused in words', () => {
    for (const mode of ['allow', 'prefer']) {
      assert.deepEqual(errors(`${HOST}heartbeat_sslmode = ${mode}`), [
        'conmgr.conf:2: invalid value for parameter "heartbeat_sslmode": a heartbeat link never falls back to plain ' +
          'text, as whoever stands between the hosts could bring that about; available values: disable, require, ' +
          'verify-ca, verify-full',
      ]);
    }
  });
});

describe('status_port', () => {
  it('is another port than port and those of the listeners', () => {
    assert.deepEqual(errors(`${HOST}status_port = 9187\nport = 9187`), [
      'conmgr.conf:3: parameters "port" and "status_port" are both 9187',
    ]);
    assert.deepEqual(errors(`${HOST}status_port = 9187\nlistener_port0 = 9187`), [
      'conmgr.conf:3: parameters "status_port" and "listener_port0" are both 9187',
    ]);
  });
});

describe('instances that are not quite the same', () => {
  it('may share a host with different ports', () => {
    const { config, remarks } = resolveConmgrConfig(
      'backend_host0=db\nbackend_host1=db\nbackend_port1=5433\nwatchdog_port1=5444',
    );
    assert.equal(config?.instances.length, 2);
    assert.deepEqual(remarks, []);
  });

  it('are the same by address, whatever its spelling', () => {
    for (const [a, b] of [
      ['backend_host0 = DB1', 'backend_host1 = db1'],
      ['backend_host0 = 2001:db8::1', 'backend_hostaddr1 = 2001:DB8:0::0:1'],
      ['backend_hostaddr0 = ::ffff:192.0.2.1', 'backend_host1 = 192.0.2.1'],
      [
        'backend_hostaddr0 = 192.0.2.1\nbackend_host0 = a',
        'backend_hostaddr1 = 192.0.2.1\nbackend_host1 = b',
      ],
    ]) {
      assert.match(errors(`${a}\n${b}`).join(), /instances 0 and 1 have the same address and port/);
    }
  });

  it('are told in a WARNING when they share a watchdog', () => {
    const { config, remarks } = resolveConmgrConfig('backend_host0=db\nbackend_host1=db\nbackend_port1=5433');
    assert.ok(config);
    assert.deepEqual(remarks.map(formatProblem), [
      'conmgr.conf:2: instances 0 and 1 have the same address and watchdog_port (db, port 27545)',
    ]);
    assert.equal(remarks[0]?.level, 'WARNING');
  });

  it('are told in a WARNING when postmaster and watchdog would share a port', () => {
    const { config, remarks } = resolveConmgrConfig('backend_host4=db\nbackend_port4=27545');
    assert.ok(config);
    assert.deepEqual(remarks.map(formatProblem), [
      'conmgr.conf:2: instance 4 has the same port 27545 for its postmaster and its watchdog',
    ]);
  });

  it('are each compared with the first of their kind', () => {
    const found = errors('backend_host0=db\nbackend_host1=db\nbackend_host2=db');
    assert.deepEqual(
      found.map((message) => message.replace(/ have.*/, '')),
      ['conmgr.conf:2: instances 0 and 1', 'conmgr.conf:3: instances 0 and 2'],
    );
  });

  it('do not count as nameless when their host is wrong', () => {
    assert.deepEqual(errors('backend_host0 = db:5432\nbackend_port0 = 5432').length, 1);
  });
});

describe('a whole file', () => {
  const lines = [
    "backend_host0 = 'db0'",
    'backend_hostaddr0 = 192.0.2.1',
    'backend_host7 = db7',
    'watchdog_port7 = 7777',
    'backend_port0 = 5432',
    'PORT = 1234',
    "log_destination = 'syslog,stderr'",
    'heartbeat_interval = 200ms',
    'heartbeat_timeout = 1',
    'max_lag = 16MB',
    'gateway off',
    '# comment',
    '',
  ];

  it('means the same in any order of its lines', () => {
    const expected = valid(lines.join('\n'));
    assert.deepEqual(
      expected.instances.map(({ number }) => number),
      [0, 7],
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(lines, { minLength: lines.length }), (shuffled) => {
        assert.deepEqual(valid(shuffled.join('\n')), expected);
      }),
    );
  });

  it('tells the line that set each parameter', () => {
    const resolved = resolveConmgrConfig('port = 1\nbackend_host0 = a\nPort = 2\n');
    assert.deepEqual(
      [...resolved.lines],
      [
        ['port', 3],
        ['backend_host0', 2],
      ],
    );
  });

  it('is judged by the last setting of a name only', () => {
    assert.equal(valid(`${HOST}port = nonsense\nport = 5`).port, 5);
  });

  it('of garbage never throws, and has either a configuration or a problem', () => {
    const name = fc.constantFrom(
      'port',
      'backend_host0',
      'backend_port9',
      'heartbeat_timeout',
      'gateway',
      'x',
      'listener_port1',
    );
    const line = fc
      .tuple(name, fc.oneof(fc.string(), fc.constantFrom('on', '5', '10s', 'db', '::1')))
      .map(([key, value]) => `${key} = ${quoteValue(value)}`);
    fc.assert(
      fc.property(fc.array(fc.oneof(line, fc.string({ unit: 'binary' }))), (content) => {
        const { config, problems, remarks } = resolveConmgrConfig(content.join('\n'));
        assert.equal(config === undefined, problems.length > 0);
        for (const problem of [...problems, ...remarks]) {
          assert.match(formatProblem(problem), /^conmgr\.conf:[1-9][0-9]*: [^\0-\x1f\x7f]+$/);
          assert.doesNotMatch(
            problem.spec.text.replace(/\{(\w+)\}/g, (place, key) => (key in problem.params ? '' : place)),
            /\{/,
          );
        }
        const places = problems.map(({ line: place }) => place ?? 0);
        assert.deepEqual(
          places,
          [...places].sort((a, b) => a - b),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it('that is no configuration file is given up, without complaints about what it lacks', () => {
    const unknown = Array.from({ length: 5000 }, (_, i) => `unknown${i}x = 5`).join('\n');
    const found = errors(unknown);
    assert.equal(found.length, 1001);
    assert.equal(found.at(-1), 'conmgr.conf:1000: too many errors; the rest of the file is not reported');
    assert.deepEqual(errors('#'.repeat(MAX_FILE_CHARACTERS + 1)), [
      'conmgr.conf:1: file is larger than 1048576 bytes',
    ]);
  });

  it('of the largest size takes bounded time, whatever is in it', () => {
    const pieces = ["'", "''", '\\', '1', 'a1', '_', '.', '\t', '=', '1.', 'x,', "a='"];
    const starts = ['', 'port=', "port='", 'backend_host', "listen_addresses='", "heartbeat_timeout='"];
    for (const piece of pieces) {
      for (const start of starts) {
        const line = (start + piece.repeat(MAX_LINE_CHARACTERS)).slice(0, MAX_LINE_CHARACTERS - 1);
        const text = `${line}\n`.repeat(MAX_FILE_CHARACTERS / MAX_LINE_CHARACTERS);
        const before = process.cpuUsage().user;
        resolveConmgrConfig(text);
        const usedMs = (process.cpuUsage().user - before) / 1000;
        assert.ok(usedMs < 1000, `${usedMs} ms for lines of ${start}${piece}`);
      }
    }
  });
});

describe('the difference between two configurations', () => {
  const old = valid('backend_host0=a\nbackend_host1=b\nbackend_host2=c\nheartbeat_interval=1');

  it('is nothing for the same values in other words', () => {
    const same = valid(
      'backend_host2=c\nbackend_host1=b\nbackend_host0=a\nheartbeat_interval=1000ms\nport=27546',
    );
    assert.deepEqual(diffConmgrConfig(old, same), {
      reloadable: [],
      needsRestart: [],
      instancesAdded: [],
      instancesRemoved: [],
      instancesChanged: [],
    });
  });

  it('tells parameters by what their change takes, and instances by number', () => {
    const next = valid(
      'backend_host0=a\nbackend_host2=c\nbackend_port2=1\nbackend_host9=d\nheartbeat_interval=2\nport=5\n' +
        "listen_addresses='127.0.0.1'\nlog_min_messages=LOG\ngateway=off",
    );
    assert.deepEqual(diffConmgrConfig(old, next), {
      reloadable: ['gateway', 'heartbeat_interval', 'log_min_messages'],
      needsRestart: ['port', 'listen_addresses'],
      instancesAdded: [9],
      instancesRemoved: [1],
      instancesChanged: [2],
    });
  });

  it('sees each part of an instance', () => {
    for (const line of [
      'backend_host0=x',
      'backend_hostaddr0=192.0.2.1',
      'backend_port0=1',
      'watchdog_port0=1',
    ]) {
      const next = valid(`backend_host0=a\nbackend_host1=b\nbackend_host2=c\nheartbeat_interval=1\n${line}`);
      assert.deepEqual(diffConmgrConfig(old, next).instancesChanged, [0], line);
    }
  });
});
