import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CmError } from '../../../src/client/errors.js';
import { type CmClientConfig, resolveOptions } from '../../../src/client/options.js';
import { parseServices } from '../../../src/client/service-file.js';
import { CLIENT_MESSAGES } from '../../../src/core/messages/client.js';

type Environment = Record<string, string>;

const hostsOf = (config: string | CmClientConfig | undefined, env: Environment = {}) =>
  resolveOptions(config, env).hosts.map(({ host, port, hostaddr }) => `${host}[${hostaddr}]:${port}`);

function codeOfProblem(config: string | CmClientConfig, env: Environment = {}): string | undefined {
  try {
    resolveOptions(config, env);
  } catch (error) {
    assert.ok(error instanceof CmError);
    assert.equal(error.code, '22023');
    return error.cmCode;
  }
  return assert.fail('no problem was found');
}

describe('the options of the client library', () => {
  it('default to localhost:5432, any, auto, error, no limit of time', () => {
    const { hosts, target, mode, conmgrLost, allowRemote, timeoutMs } = resolveOptions(undefined, {});
    assert.deepEqual(hosts, [{ host: 'localhost', port: 5432, hostaddr: '' }]);
    assert.deepEqual([target, mode, conmgrLost, allowRemote, timeoutMs], ['any', 'auto', 'error', false, 0]);
  });

  it('take several hosts as arrays, comma lists, in a connection string and from the environment', () => {
    const expected = ['a[]:1', 'b[]:2'];
    assert.deepEqual(hostsOf({ host: ['a', 'b'], port: [1, 2] }), expected);
    assert.deepEqual(hostsOf({ host: 'a,b', port: '1,2' }), expected);
    assert.deepEqual(hostsOf('postgres://a:1,b:2/db'), expected);
    assert.deepEqual(hostsOf({ connectionString: 'postgres://a:1,b:2/db' }), expected);
    assert.deepEqual(hostsOf({}, { PGHOST: 'a,b', PGPORT: '1,2' }), expected);
    assert.deepEqual(hostsOf('postgres:///db?host=a,b&port=1,2'), expected);
  });

  it('take addresses beside names', () => {
    assert.deepEqual(hostsOf({ host: 'a', hostaddr: '127.0.0.1' }), ['a[127.0.0.1]:5432']);
    assert.deepEqual(hostsOf('postgres://a/db?hostaddr=127.0.0.1'), ['a[127.0.0.1]:5432']);
    assert.deepEqual(hostsOf({}, { PGHOST: 'a', PGHOSTADDR: '::1' }), ['a[::1]:5432']);
  });

  it('use PGPORT for a connection string without ports', () => {
    assert.deepEqual(hostsOf('postgres://a,b/db', { PGPORT: '7' }), ['a[]:7', 'b[]:7']);
  });

  it('give what stands nearer: connection string, then option, then environment', () => {
    const string = 'postgres://a/db?target_session_attrs=standby';
    const option = { target_session_attrs: 'primary' } as const;
    const env = { PGTARGETSESSIONATTRS: 'read-only' };
    assert.equal(resolveOptions({ ...option, connectionString: string }, env).target, 'standby');
    assert.equal(resolveOptions(option, env).target, 'primary');
    assert.equal(resolveOptions({}, env).target, 'read-only');
  });

  it('take target_session_attrs in both spellings, and the words of pgjdbc', () => {
    assert.equal(resolveOptions({ targetSessionAttrs: 'standby' }, {}).target, 'standby');
    assert.equal(resolveOptions({ target_session_attrs: 'preferSecondary' }, {}).target, 'prefer-standby');
    assert.equal(resolveOptions('postgres://a/db?targetSessionAttrs=secondary', {}).target, 'standby');
  });

  it('hand pg everything of the connection string but the list', () => {
    const { pg } = resolveOptions(
      'postgres://me:s%40crt@a:1,b:2/my%20db?application_name=app&sslmode=no-verify&options=-c%20x%3Dy&conmgr=require',
      {},
    );
    assert.equal(pg.user, 'me');
    assert.equal(pg.password, 's@crt');
    assert.equal(pg.database, 'my db');
    assert.equal(pg.application_name, 'app');
    assert.equal(pg.options, '-c x=y');
    assert.deepEqual(pg.ssl, { rejectUnauthorized: false });
    assert.equal(pg.host, 'a');
    assert.equal(pg.port, 1);
    assert.equal(pg.connectionString, undefined);
    assert.equal('conmgr' in pg, false);
  });

  it('do not let a connection string set what only code may set', () => {
    const { pg } = resolveOptions('postgres://a/db?stream=x&connection=y&types=z&Promise=w', {});
    for (const key of ['stream', 'connection', 'types', 'Promise']) assert.equal(key in pg, false, key);
  });

  it('keep a password that a pool hid from enumeration', () => {
    const options = { host: 'a' };
    Object.defineProperty(options, 'password', { enumerable: false, value: 'secret' });
    assert.equal(resolveOptions(options, {}).pg.password, 'secret');
  });

  it('take the limit of time from connectionTimeoutMillis, connect_timeout or PGCONNECT_TIMEOUT', () => {
    const timeout = (config: string | CmClientConfig, env: Environment = {}) =>
      resolveOptions(config, env).timeoutMs;
    assert.equal(timeout({ connectionTimeoutMillis: 1500 }), 1500);
    assert.equal(
      timeout({ connectionTimeoutMillis: 1e12 }),
      2_147_483_647,
      'a longer timer would fire at once',
    );
    assert.equal(timeout('postgres://a/?connect_timeout=3'), 3000);
    assert.equal(timeout({}, { PGCONNECT_TIMEOUT: '4' }), 4000);
    assert.equal(timeout({ connectionTimeoutMillis: 0 }, { PGCONNECT_TIMEOUT: '4' }), 0);
    assert.equal(resolveOptions({}, { PGCONNECT_TIMEOUT: '4' }).pg.connectionTimeoutMillis, 4000);
  });

  it('are refused with 22023 and the number of the message', () => {
    const wrong = { target_session_attrs: 'master' } as unknown as CmClientConfig;
    assert.equal(codeOfProblem(wrong), CLIENT_MESSAGES.badTarget.code);
    assert.equal(
      codeOfProblem({}, { PGTARGETSESSIONATTRS: 'preferPrimary' }),
      CLIENT_MESSAGES.badTarget.code,
    );
    assert.equal(codeOfProblem('postgres://a/?conmgr=never'), CLIENT_MESSAGES.badChoice.code);
    assert.equal(codeOfProblem('postgres://a/?conmgrLost=ignore'), CLIENT_MESSAGES.badChoice.code);
    assert.equal(codeOfProblem('postgres://a/?conmgrAllowRemote=maybe'), CLIENT_MESSAGES.badChoice.code);
    assert.equal(codeOfProblem({ host: 'a,b', port: '1,2,3' }), CLIENT_MESSAGES.portCount.code);
    assert.equal(codeOfProblem({ port: 70_000 }), CLIENT_MESSAGES.badPort.code);
  });
});

describe('a service', () => {
  let directory: string;
  let env: Environment;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'service-'));
    mkdirSync(join(directory, 'etc'));
    mkdirSync(join(directory, 'home'));
    env = { PGSYSCONFDIR: join(directory, 'etc'), HOME: join(directory, 'home') };
    writeFileSync(
      join(directory, 'home', '.pg_service.conf'),
      [
        '# services of this user',
        '[shop]',
        'host=a,b',
        'port=1,2',
        'dbname=shop',
        'user=me',
        'password=p#1;2"\'=x',
        'target_session_attrs=read-write',
        'connect_timeout=5',
        'sslmode=require',
        '',
        '[my.own]',
        'host=true',
      ].join('\r\n'),
    );
    writeFileSync(join(directory, 'etc', 'pg_service.conf'), '[shop]\nhost=system\n[reports]\nhost=r\n');
  });
  after(() => rmSync(directory, { recursive: true }));

  it('gives hosts, database, user, password, target and TLS', () => {
    const { hosts, target, timeoutMs, pg } = resolveOptions({ service: 'shop' }, env);
    assert.deepEqual(
      hosts.map((entry) => entry.host),
      ['a', 'b'],
    );
    assert.equal(target, 'read-write');
    assert.equal(timeoutMs, 5000);
    assert.equal(pg.database, 'shop');
    assert.equal(pg.user, 'me');
    assert.deepEqual(pg.ssl, { rejectUnauthorized: false });
  });

  it('gives a value as it stands, with # ; quotes and = in it', () => {
    assert.equal(resolveOptions({ service: 'shop' }, env).pg.password, 'p#1;2"\'=x');
  });

  it('may have a dot in its name, and values that look like something else', () => {
    assert.deepEqual(hostsOf({ service: 'my.own' }, env), ['true[]:5432']);
  });

  it('is named by the option, the connection string or PGSERVICE', () => {
    assert.deepEqual(hostsOf('postgres:///?service=shop', env), ['a[]:1', 'b[]:2']);
    assert.deepEqual(hostsOf({}, { ...env, PGSERVICE: 'shop' }), ['a[]:1', 'b[]:2']);
  });

  it('stands above the environment and below the options', () => {
    const more = { ...env, PGHOST: 'env', PGTARGETSESSIONATTRS: 'any' };
    assert.equal(resolveOptions({ service: 'shop' }, more).target, 'read-write');
    assert.deepEqual(hostsOf({ service: 'shop', host: 'own', port: 9 }, more), ['own[]:9']);
    assert.equal(resolveOptions({ service: 'shop', user: 'you', ssl: false }, more).pg.ssl, false);
  });

  it('is found in the system-wide file when the user has none of this name', () => {
    assert.deepEqual(hostsOf({ service: 'reports' }, env), ['r[]:5432']);
  });

  it('that does not exist is an error, and so is a named file that does not', () => {
    assert.equal(codeOfProblem({ service: 'none' }, env), CLIENT_MESSAGES.serviceMissing.code);
    const missing = { ...env, PGSERVICEFILE: join(directory, 'none') };
    assert.equal(codeOfProblem({ service: 'shop' }, missing), CLIENT_MESSAGES.serviceFileMissing.code);
  });

  it('of a file with a malformed line is an error that names the line', () => {
    assert.throws(() => parseServices('[a]\nhost=b\nnonsense\n', 'f'), { params: { file: 'f', line: 3 } });
  });

  it('cannot be called __proto__ to change anything', () => {
    const services = parseServices('[__proto__]\nhost=a\n[b]\n__proto__=c\nhost=d\n', 'f');
    assert.equal(services.get('__proto__')?.get('host'), 'a');
    assert.equal(services.get('b')?.get('host'), 'd');
    assert.equal(({} as Record<string, unknown>)['host'], undefined);
  });
});
