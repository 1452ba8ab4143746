import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  conmgrUnit,
  conmgrUnitsOf,
  escapeUnitName,
  escapeUnitPath,
  isPrivateToServices,
  unescapeUnitName,
  unescapeUnitPath,
  watchdogUnit,
} from '../../../src/core/unit-name.js';

/** Text that a path can hold: any but NUL and halves of surrogate pairs. */
const text = fc.string({ unit: 'binary' }).filter((one) => !one.includes('\0'));
const part = text.filter((one) => !one.includes('/') && !['', '.', '..'].includes(one));

describe('escaping for unit names', () => {
  it('comes back as it was, whatever the text', () => {
    fc.assert(fc.property(text, (one) => unescapeUnitName(escapeUnitName(one)) === one));
  });

  it('comes back as it was for every path without "." and ".."', () => {
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const path = `/${parts.join('/')}`;
        assert.equal(unescapeUnitPath(escapeUnitPath(path)), path);
      }),
    );
  });

  it('gives nothing but what a unit name may hold', () => {
    fc.assert(fc.property(text, (one) => /^[A-Za-z0-9:_.\\-]*$/.test(escapeUnitName(one))));
  });

  it('never throws on what is no escaped name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (one) => {
        const name = unescapeUnitName(one);
        assert.ok(name === undefined || !name.includes('\0'));
      }),
    );
  });

  it('refuses broken escapes, NUL and what is not UTF-8', () => {
    for (const escaped of ['\\', '\\x', '\\x2', '\\y20', 'a\\x2g', 'a\\x00b', '\\xff', '\\xe2\\x82']) {
      assert.equal(unescapeUnitName(escaped), undefined, escaped);
    }
    assert.equal(unescapeUnitName('\\xe2\\x82\\xac'), '\u20ac');
  });

  it('refuses paths that no path is escaped to', () => {
    for (const escaped of ['', 'a--b', '-a', 'a-', '\\x2e.', 'a-.-b', '..-a']) {
      assert.equal(unescapeUnitPath(escaped), undefined, escaped);
    }
    assert.equal(unescapeUnitPath('-'), '/');
  });
});

describe('the instance name of conmgr@', () => {
  it('is a name when it holds no slash', () => {
    assert.deepEqual(conmgrUnit('app1'), { kind: 'name', name: 'app1' });
    assert.deepEqual(conmgrUnit('my\\x2dapp'), { kind: 'name', name: 'my-app' });
  });

  it('is a path otherwise', () => {
    assert.deepEqual(conmgrUnit('srv-app\\x20one-my\\x2dapp'), {
      kind: 'path',
      path: '/srv/app one/my-app',
    });
    assert.deepEqual(conmgrUnit('-'), { kind: 'path', path: '/' });
  });

  it('means nothing when it leads out of the place of names', () => {
    for (const escaped of ['..', '\\x2e\\x2e', '..-etc', '']) {
      assert.equal(conmgrUnit(escaped), undefined, escaped);
    }
  });
});

describe('the instance name of conmgr-watchdog@', () => {
  it("is a cluster of Debian as PostgreSQL's own unit has it", () => {
    assert.deepEqual(watchdogUnit('15-main'), { kind: 'cluster', version: '15', cluster: 'main' });
    assert.deepEqual(watchdogUnit('9.6-my\\x2ddb'), { kind: 'cluster', version: '9.6', cluster: 'my-db' });
  });

  it('is a path otherwise', () => {
    for (const [escaped, path] of [
      ['var-lib-pgsql-16-data', '/var/lib/pgsql/16/data'],
      ['var-lib-postgresql-15-main', '/var/lib/postgresql/15/main'],
      ['15', '/15'],
      ['15-main-x', '/15/main/x'],
    ] as const) {
      assert.deepEqual(watchdogUnit(escaped), { kind: 'path', path });
    }
  });
});

describe('a directory of a service', () => {
  it('is not one of those that each service has for itself', () => {
    const paths = ['/tmp', '/tmp/a', '/var/tmp', '/var/tmp/a', '/tmpfs', '/var/tmp2/a', '/srv/tmp', '/'];
    assert.deepEqual(paths.filter(isPrivateToServices), ['/tmp', '/tmp/a', '/var/tmp', '/var/tmp/a']);
  });
});

describe('the units of a directory', () => {
  const place = '/var/lib/conmgr';
  const units = (directory: string, ...links: string[]): readonly string[] =>
    conmgrUnitsOf(directory, { place, links });

  it('prefer its name, then the names linked to it, then its path', () => {
    assert.deepEqual(units('/var/lib/conmgr/my-app', 'other'), [
      'conmgr@my\\x2dapp.service',
      'conmgr@other.service',
      'conmgr@var-lib-conmgr-my\\x2dapp.service',
    ]);
    assert.deepEqual(units('/srv/app', 'a', 'b'), [
      'conmgr@a.service',
      'conmgr@b.service',
      'conmgr@srv-app.service',
    ]);
    assert.deepEqual(units('/var/lib/conmgr/a/b'), ['conmgr@var-lib-conmgr-a-b.service']);
  });

  it('are none for what no unit can serve', () => {
    assert.deepEqual(units('/tmp/app', 'linked'), []);
    assert.deepEqual(units('/var/tmp/app'), []);
    assert.deepEqual(units('/app'), []);
    assert.deepEqual(units('/'), []);
    assert.deepEqual(units(`/srv/${'x'.repeat(300)}`), []);
  });

  it('are there for one directly below the root that has a name', () => {
    assert.deepEqual(units('/app', 'linked'), ['conmgr@linked.service']);
  });

  it('mean the directory again, whatever it is called', () => {
    const name = part.filter((one) => Buffer.byteLength(one) < 20);
    fc.assert(
      fc.property(fc.array(name, { minLength: 2, maxLength: 3 }), (parts) => {
        const directory = `/${parts.join('/')}`;
        for (const unit of units(directory)) {
          const meaning = conmgrUnit(unit.slice('conmgr@'.length, -'.service'.length));
          assert.deepEqual(meaning, { kind: 'path', path: directory });
        }
      }),
    );
  });
});
