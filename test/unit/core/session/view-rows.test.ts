import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LONGEST_VIEW_FILE, renderViewFile, type ViewRow } from '../../../../src/core/session/view-rows.js';

const ROW: ViewRow = {
  address: '192.0.2.7',
  port: 41234,
  intervalMs: 200,
  timeoutMs: 1500,
  connectedAt: 1_700_000_000_000.4,
  lastPacketAt: 1_700_000_001_000.6,
  rttMs: 0.25,
  packetsReceived: 17,
  software: 'conmgr 0.1.0',
  tls: false,
  authenticated: false,
  label: 'app1:/srv/app',
};

function fileOf(rows: readonly ViewRow[], bootId: string, wallMs: number): string {
  return [...renderViewFile(rows, bootId, wallMs)].join('');
}

describe('the file behind pgx_stat_watchdog', () => {
  it('begins with its layout, the boot id and the time', () => {
    assert.equal(fileOf([], 'abc', 1234.6), 'pgx_stat_watchdog\t1\tabc\t1235\n');
  });

  it('has one link a line, fields separated by tabs', () => {
    const [, line] = fileOf([ROW], 'abc', 0).split('\n');
    assert.equal(
      line,
      '192.0.2.7\t41234\t200\t1500\t1700000000000\t1700000001001\t0.250\t17\tconmgr 0.1.0\tfalse\tfalse\tapp1:/srv/app',
    );
  });

  it('is pure ASCII and keeps its columns whatever a peer calls itself', () => {
    const text = fileOf([{ ...ROW, label: 'a\tb\nc\u00e9\u{1f600}d' }], 'abc', 0);
    assert.match(text, /^[\x09\x0a\x20-\x7e]*$/);
    assert.equal(text.split('\n').length, 3);
    assert.ok(text.endsWith('\ta?b?c??d\n'));
  });

  it('leaves out the scope of an address, which inet does not take, and a round trip that is not known', () => {
    const [, line = ''] = fileOf([{ ...ROW, address: 'fe80::1%eth0', rttMs: undefined }], 'abc', 0).split(
      '\n',
    );
    assert.equal(line.split('\t')[0], 'fe80::1');
    assert.equal(line.split('\t')[6], '');
  });

  it('is never longer than what the SQL side reads, and ends with a whole line', () => {
    const text = fileOf(
      Array.from({ length: 100_000 }, () => ROW),
      'abc',
      0,
    );
    assert.ok(text.length <= LONGEST_VIEW_FILE);
    assert.ok(text.endsWith('app1:/srv/app\n'));
  });

  it('comes in parts, between which packets flow', () => {
    const lengths = Array.from(
      renderViewFile(
        Array.from({ length: 1000 }, () => ROW),
        'abc',
        0,
      ),
      (part) => part.split('\n').length - 1,
    );
    assert.deepEqual(lengths, [201, 200, 200, 200, 200]);
  });
});
