import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AF_INET, AF_INET6, decodeAnswers, TCP_STATE } from '../../../../src/core/guard/inet-diag.js';
import { familiesOf, socketsToEnd } from '../../../../src/core/guard/match.js';
import { MOST_SWEPT, SweepList, sweepPauseMs } from '../../../../src/core/guard/sweep.js';
import { formatTarget, parseTarget, sameTarget, type Target } from '../../../../src/core/guard/target.js';
import { socketMessage } from './diag-bytes.js';

const target = (address: string, port: number): Target => {
  const parsed = parseTarget(address, port);
  assert.ok(parsed, `${address} ${port}`);
  return parsed;
};
const socketTo = (
  address: string,
  port: number,
  state: number = TCP_STATE.ESTABLISHED,
  localPort = 40000,
) => {
  const family = address.includes(':') ? AF_INET6 : AF_INET;
  const fields = { family, state, local: ['::', localPort], remote: [address, port] } as const;
  const [socket] = decodeAnswers(socketMessage(fields)).sockets;
  assert.ok(socket);
  return socket;
};

const address = fc.oneof(fc.ipV4(), fc.ipV6());
const port = fc.integer({ min: 1, max: 65_535 });

describe('a target of the guard', () => {
  it('is an address without a zone and a port that can be connected to', () => {
    assert.equal(formatTarget(target('192.0.2.10', 27500)), '192.0.2.10:27500');
    assert.equal(formatTarget(target('2001:DB8::0:1', 27500)), '[2001:db8::1]:27500');
    for (const [wrong, number] of [
      ['fe80::1%eth0', 1],
      ['0.0.0.0', 1],
      ['::', 1],
      ['::ffff:0.0.0.0', 1],
      ['db1', 1],
      ['192.0.2.1', 0],
      ['192.0.2.1', 65_536],
      ['192.0.2.1', 1.5],
      ['192.0.2.1', '5432'],
      [7, 5432],
    ]) {
      assert.equal(parseTarget(wrong, number), undefined, `${wrong} ${number}`);
    }
  });

  it('is the same for an IPv4 address and its v4-mapped form, and is looked for in both families', () => {
    assert.ok(sameTarget(target('192.0.2.10', 1), target('::ffff:192.0.2.10', 1)));
    assert.deepEqual(familiesOf(target('192.0.2.10', 1)), [AF_INET, AF_INET6]);
    assert.deepEqual(familiesOf(target('2001:db8::1', 1)), [AF_INET6]);
  });
});

describe('the sockets that a loss ends', () => {
  it('are those whose remote address and port are exactly the target, and no other', () => {
    fc.assert(
      fc.property(address, port, address, port, (one, onePort, other, otherPort) => {
        const goal = parseTarget(one, onePort);
        fc.pre(goal !== undefined);
        const same = parseTarget(other, otherPort);
        const expected = same !== undefined && formatTarget(same) === formatTarget(goal) ? 1 : 0;
        assert.equal(socketsToEnd([socketTo(other, otherPort)], goal, new Set()).length, expected);
        assert.equal(socketsToEnd([socketTo(one, onePort)], goal, new Set()).length, 1);
      }),
    );
  });

  it('include v4-mapped ones, and neither the same address with another port nor a neighbour', () => {
    const goal = target('192.0.2.10', 27500);
    assert.equal(socketsToEnd([socketTo('::ffff:192.0.2.10', 27500)], goal, new Set()).length, 1);
    for (const [where, number] of [
      ['192.0.2.10', 27501],
      ['192.0.2.11', 27500],
      ['::192.0.2.10', 27500],
    ] as const) {
      assert.deepEqual(socketsToEnd([socketTo(where, number)], goal, new Set()), [], where);
    }
  });

  it('are in a state in which somebody may wait; a listening socket is never one', () => {
    const goal = target('192.0.2.10', 27500);
    const ended = Object.entries(TCP_STATE)
      .filter(([, state]) => socketsToEnd([socketTo('192.0.2.10', 27500, state)], goal, new Set()).length > 0)
      .map(([name]) => name);
    assert.deepEqual(ended, [
      'ESTABLISHED',
      'SYN_SENT',
      'FIN_WAIT1',
      'FIN_WAIT2',
      'CLOSE_WAIT',
      'LAST_ACK',
      'CLOSING',
    ]);
  });

  it('do not include those on a local port that is spared', () => {
    const sockets = [40000, 40001].map((local) => socketTo('192.0.2.10', 1, TCP_STATE.ESTABLISHED, local));
    const ended = socketsToEnd(sockets, target('192.0.2.10', 1), new Set([40000]));
    assert.deepEqual(
      ended.map(({ localPort }) => localPort),
      [40001],
    );
  });
});

describe('the sweep', () => {
  const goal = target('192.0.2.10', 27500);
  const connecting = (local = 40000, to = '192.0.2.10') => socketTo(to, 27500, TCP_STATE.SYN_SENT, local);

  it('ends attempts to connect, and no connection that stands', () => {
    const list = new SweepList<string>();
    list.add('a', goal, new Set());
    const chosen = list.choose([connecting(), socketTo('192.0.2.10', 27500), connecting(1, '192.0.2.11')]);
    assert.deepEqual(
      chosen.map(({ localPort }) => localPort),
      [40000],
    );
  });

  it('lasts until every owner has taken it back, and tells each how many were ended for it', () => {
    const list = new SweepList<string>();
    list.add('a', goal, new Set());
    list.choose([connecting()]);
    list.add('b', goal, new Set());
    list.choose([connecting()]);
    assert.equal(list.remove('a', goal), 2);
    assert.equal(list.choose([connecting()]).length, 1);
    assert.equal(list.remove('b', goal), 2);
    assert.deepEqual(list.choose([connecting()]), []);
    assert.equal(list.size, 0);
    assert.equal(list.remove('b', goal), 0);
  });

  it('spares what any of its owners spares, by the newest word of each', () => {
    const list = new SweepList<string>();
    list.add('a', goal, new Set([40000]));
    list.add('b', goal, new Set());
    assert.deepEqual(list.choose([connecting()]), []);
    list.add('a', goal, new Set());
    assert.equal(list.choose([connecting()]).length, 1);
  });

  it('is given back as a whole when its owner is gone', () => {
    const list = new SweepList<string>();
    list.add('a', goal, new Set());
    list.add('a', target('192.0.2.11', 1), new Set());
    list.removeAll('a');
    assert.equal(list.size, 0);
  });

  it('is bounded', () => {
    const list = new SweepList<string>();
    for (let at = 1; at <= MOST_SWEPT; at += 1) assert.ok(list.add('a', target('192.0.2.1', at), new Set()));
    assert.equal(list.add('a', target('192.0.2.2', 1), new Set()), false);
    assert.ok(list.add('b', target('192.0.2.1', 1), new Set()), 'one that is swept already costs nothing');
  });

  it('takes place every 20 ms, and never takes more than a tenth of a processor', () => {
    assert.equal(sweepPauseMs(0.3), 20);
    assert.equal(sweepPauseMs(2), 20);
    assert.equal(sweepPauseMs(30), 300);
  });
});
