import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { TCP_STATE } from '../../../src/core/guard/inet-diag.js';
import { decodeEnds } from '../../../src/core/guard/local-ends.js';
import { Permission, parseTargetList } from '../../../src/core/guard/target-list.js';
import type { Log, MessageParams, MessageSpec } from '../../../src/core/messages/message.js';
import { Guard } from '../../../src/helper/guard.js';
import { RouteTable } from '../../../src/helper/route-table.js';
import { type Abilities, HelperService } from '../../../src/helper/service.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeKernel } from './fake-kernel.js';

const LIST =
  'user conmgr\ntarget 192.0.2.0/24 27500\ntarget 2001:db8::/64 27500\nlistener 27547\nlistener 27548\n';

class Lines implements Log {
  readonly codes: string[] = [];
  write(spec: MessageSpec, _params?: MessageParams): void {
    this.codes.push(spec.code);
  }
}

describe('the helper, asked by conmgr', () => {
  let kernel: FakeKernel;
  let clock: FakeClock;
  let log: Lines;
  let service: HelperService;
  let other: HelperService;
  let abilities: Abilities;

  const make = (): HelperService => {
    const list = parseTargetList(LIST);
    assert.ok('users' in list);
    const permission = new Permission([list], 'conmgr', 999);
    return new HelperService({ abilities, clock, log, directory: '/etc' }, 'conmgr', permission);
  };
  const ask = (fields: object, whom = service): Record<string, unknown> => {
    const { id, ...answer } = whom.answer(JSON.stringify({ id: 5, ...fields })) as unknown as Record<
      string,
      unknown
    >;
    assert.equal(id, 5);
    return answer;
  };
  const lost = ['192.0.2.10', 27500];

  beforeEach(() => {
    kernel = new FakeKernel();
    clock = new FakeClock();
    log = new Lines();
    abilities = {
      guard: new Guard(kernel, clock, log),
      guardProblem: '',
      routes: new RouteTable(kernel, clock, log),
      redirectProblem: '',
    };
    service = make();
    other = make();
  });

  it('ends exactly the connections to the lost instance, whatever else the kernel lists', () => {
    kernel.connect({ to: '192.0.2.10', port: 27500 });
    kernel.connect({ to: '192.0.2.10', port: 27500, v6: true });
    const spared = kernel.connect({ to: '192.0.2.10', port: 27500, localPort: 40_001 });
    const neighbour = kernel.connect({ to: '192.0.2.11', port: 27500 });
    const otherPort = kernel.connect({ to: '192.0.2.10', port: 27545 });
    assert.deepEqual(ask({ do: 'kill', target: lost, spare: [40_001] }), { ok: true, ended: 2 });
    assert.deepEqual(kernel.left, [spared, neighbour, otherPort]);
  });

  it('refuses what no list allows, and says what; nothing is touched', () => {
    kernel.connect({ to: '10.0.0.1', port: 22 });
    assert.deepEqual(ask({ do: 'kill', target: ['10.0.0.1', 22] }), {
      ok: false,
      error: 'not allowed: 10.0.0.1:22',
    });
    assert.equal(ask({ do: 'sweep', target: ['10.0.0.1', 22], on: true })['ok'], false);
    assert.equal(
      ask({ do: 'route', listener: 22, targets: [lost] })['error'],
      'not allowed: listener 22, 192.0.2.10:27500',
    );
    kernel.cameBy.set(kernel.connect({ to: '192.0.2.10', port: 27500 }), 27999);
    assert.equal(
      ask({ do: 'evict', listener: 27999, target: lost })['error'],
      'not allowed: listener 27999, 192.0.2.10:27500',
    );
    clock.advance(100);
    assert.equal(kernel.left.length, 2);
    assert.deepEqual(log.codes, ['CM5005', 'CM5005', 'CM5005', 'CM5005']);
  });

  it('sweeps attempts to connect every 20 ms until it is told to stop, and says how many there were', () => {
    ask({ do: 'sweep', target: lost, on: true });
    for (let round = 0; round < 3; round += 1) {
      kernel.connect({ to: '192.0.2.10', port: 27500, state: TCP_STATE.SYN_SENT });
      clock.advance(20);
      assert.deepEqual(kernel.left, []);
    }
    const standing = kernel.connect({ to: '192.0.2.10', port: 27500 });
    clock.advance(20);
    assert.deepEqual(kernel.left, [standing]);
    assert.deepEqual(ask({ do: 'sweep', target: lost, on: false }), { ok: true, ended: 3 });
    kernel.connect({ to: '192.0.2.10', port: 27500, state: TCP_STATE.SYN_SENT });
    clock.advance(1000);
    assert.equal(kernel.left.length, 2);
  });

  it('forgets sweeps and routes of a connection that ends, and only those', () => {
    ask({ do: 'sweep', target: lost, on: true });
    ask({ do: 'route', listener: 27547, targets: [lost] });
    ask({ do: 'route', listener: 27548, targets: [lost] }, other);
    service.close();
    assert.deepEqual([...kernel.routes.keys()], [27548]);
    kernel.connect({ to: '192.0.2.10', port: 27500, state: TCP_STATE.SYN_SENT });
    clock.advance(1000);
    assert.equal(kernel.left.length, 1);
  });

  it('renews routes every second, each valid for five', () => {
    ask({ do: 'route', listener: 27547, targets: [lost, ['2001:db8::1', 27500]] });
    assert.equal(kernel.routes.get(27547), '192.0.2.10:27500 [2001:db8::1]:27500 for 5000');
    kernel.routes.clear();
    clock.advance(1000);
    assert.equal(kernel.routes.size, 1);
    assert.deepEqual(ask({ do: 'route', listener: 27547, targets: [] }), { ok: true });
    assert.equal(kernel.routes.size, 0);
    clock.advance(5000);
    assert.equal(kernel.routes.size, 0, 'a listener without destination stays without');
  });

  it('gives a listener to the connection that routed it first, until that clears it', () => {
    ask({ do: 'route', listener: 27547, targets: [] });
    assert.deepEqual(ask({ do: 'route', listener: 27547, targets: [lost] }, other), {
      ok: false,
      error: 'listener 27547 is routed by another conmgr',
    });
    assert.deepEqual(ask({ do: 'clear' }), { ok: true });
    assert.deepEqual(ask({ do: 'route', listener: 27547, targets: [lost] }, other), { ok: true });
  });

  it('evicts the sockets that came by a listener, and leaves those that came directly', () => {
    const came = kernel.connect({ to: '192.0.2.10', port: 27500 });
    const byOther = kernel.connect({ to: '192.0.2.10', port: 27500 });
    const direct = kernel.connect({ to: '192.0.2.10', port: 27500 });
    kernel.cameBy.set(came, 27547);
    kernel.cameBy.set(byOther, 27548);
    assert.deepEqual(ask({ do: 'evict', listener: 27547, target: lost }), { ok: true, ended: 1 });
    assert.deepEqual(kernel.left, [byOther, direct]);
  });

  it('counts the connections that stand', () => {
    kernel.connect({ to: '192.0.2.10', port: 27500 });
    kernel.connect({ to: '192.0.2.10', port: 27500, v6: true });
    kernel.connect({ to: '2001:db8::1', port: 27500 });
    kernel.connect({ to: '2001:db8::1', port: 27500, state: TCP_STATE.SYN_SENT });
    const answer = ask({ do: 'count', targets: [['2001:db8::1', 27500]] });
    assert.deepEqual(answer, { ok: true, counts: [1], came: [] });
  });

  it('counts those that came by each listener', () => {
    const [one] = [
      kernel.connect({ to: '192.0.2.10', port: 27500 }),
      kernel.connect({ to: '192.0.2.10', port: 27500 }),
    ];
    kernel.cameBy.set(one, 27547);
    const answer = ask({ do: 'count', targets: [lost], listeners: [27547, 27548] });
    assert.deepEqual(answer, { ok: true, counts: [2], came: [1, 0] });
    const refused = ask({ do: 'count', targets: [], listeners: [22] });
    assert.deepEqual(refused, { ok: false, error: 'not allowed: listener 22' });
  });

  it('lists the ends on this host of the connections that stand, by address', () => {
    kernel.connect({ to: '192.0.2.10', port: 27500, localPort: 40_001 });
    kernel.connect({ to: '192.0.2.10', port: 27500, localPort: 40_002, v6: true });
    kernel.connect({ to: '192.0.2.10', port: 27500, localPort: 40_001, localAddress: '192.0.2.2' });
    kernel.connect({ to: '192.0.2.10', port: 27500, localPort: 40_003, state: TCP_STATE.SYN_SENT });
    kernel.connect({ to: '192.0.2.11', port: 27500, localPort: 40_004 });
    const other = ['2001:db8::1', 27500];
    kernel.connect({ to: '2001:db8::1', port: 27500, localPort: 40_005, localAddress: '2001:db8::2' });
    const { ok, ends, left } = ask({ do: 'ends', targets: [lost, other] });
    assert.deepEqual([ok, left], [true, 0]);
    assert.deepEqual(decodeEnds(ends, 2), [
      [
        { address: '192.0.2.1', port: 40_001 },
        { address: '192.0.2.1', port: 40_002 },
        { address: '192.0.2.2', port: 40_001 },
      ],
      [{ address: '2001:db8::2', port: 40_005 }],
    ]);
    assert.equal(
      ask({ do: 'ends', targets: [['10.0.0.1', 22]] })['error'],
      'not allowed: 10.0.0.1:22',
      'nobody learns of connections that are none of his',
    );
  });

  it('lists of those only what came by the listeners asked for', () => {
    const connect = (localPort: number) => kernel.connect({ to: '192.0.2.10', port: 27500, localPort });
    kernel.cameBy.set(connect(40_001), 27547);
    kernel.cameBy.set(connect(40_002), 27548);
    connect(40_003);
    const { ends } = ask({ do: 'ends', targets: [lost], listeners: [27548] });
    assert.deepEqual(decodeEnds(ends, 1), [[{ address: '192.0.2.1', port: 40_002 }]]);
    const refused = ask({ do: 'ends', targets: [], listeners: [22] });
    assert.deepEqual(refused, { ok: false, error: 'not allowed: listener 22' });
  });

  it('says in a probe what is possible and what would be refused', () => {
    assert.deepEqual(ask({ do: 'probe', targets: [lost, ['10.0.0.1', 1]], listeners: [27547, 22] }), {
      ok: true,
      version: 1,
      guard: null,
      redirect: null,
      refused: ['10.0.0.1:1', 'listener 22'],
    });
    abilities = { guard: undefined, guardProblem: 'no right', routes: undefined, redirectProblem: 'too old' };
    const poor = make();
    const { guard, redirect } = ask({ do: 'probe' }, poor);
    assert.deepEqual([guard, redirect], ['no right', 'too old']);
    assert.deepEqual(ask({ do: 'kill', target: lost }, poor), {
      ok: false,
      error: 'sockets cannot be ended: no right',
    });
    assert.deepEqual(ask({ do: 'route', listener: 27547, targets: [lost] }, poor), {
      ok: false,
      error: 'connections cannot be redirected: too old',
    });
  });

  it('answers with the reason when the kernel refuses after all, and goes on', () => {
    kernel.connect({ to: '192.0.2.10', port: 27500 });
    kernel.endErrno = 1;
    assert.match(String(ask({ do: 'kill', target: lost })['error']), /operation not permitted/);
    kernel.routeError = new Error('map is gone');
    assert.equal(ask({ do: 'route', listener: 27547, targets: [lost] })['error'], 'map is gone');
    assert.deepEqual(log.codes, ['CM5008', 'CM5009']);
    kernel.endErrno = 0;
    assert.deepEqual(ask({ do: 'kill', target: lost }), { ok: true, ended: 1 });
  });
});
