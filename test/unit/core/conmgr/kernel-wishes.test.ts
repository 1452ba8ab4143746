import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClusterView } from '../../../../src/core/cluster/view.js';
import type { ConmgrConfig } from '../../../../src/core/config/types.js';
import { KernelOrders } from '../../../../src/core/conmgr/kernel-orders.js';
import {
  type KernelCircumstances,
  type KernelWishes,
  kernelWishes,
  type PlacedInstance,
  wantsKernel,
} from '../../../../src/core/conmgr/kernel-wishes.js';
import { RequestAllowance } from '../../../../src/core/guard/request.js';
import { formatTarget } from '../../../../src/core/guard/target.js';
import type { HealthPhase } from '../../../../src/core/link/health.js';
import { primary, standby, viewOf } from '../cluster/members.js';

type Config = Pick<ConmgrConfig, 'guard' | 'listeners' | 'maxLagBytes' | 'evictOnRoleChange'>;

const listener = (
  port: number,
  target: ConmgrConfig['listeners'][number]['target'],
  mode = 'auto' as const,
) => ({
  number: port,
  port,
  target,
  mode,
});

const CONFIG: Config = {
  guard: true,
  listeners: [listener(1, 'primary'), listener(2, 'standby')],
  maxLagBytes: 0,
  evictOnRoleChange: 'writers',
};

const placed = (
  number: number,
  phase: HealthPhase = 'monitored',
  address = `192.0.2.${number}`,
): PlacedInstance => ({
  number,
  host: `db${number}`,
  address,
  config: { backendPort: 5432, guard: true },
  health: { phase },
});

const CIRCUMSTANCES: KernelCircumstances = { accepting: true, isSettled: () => false };

/** As text, for comparing. */
function shown({ ended, swept, routes, misplaced }: KernelWishes) {
  const places = (all: KernelWishes['ended']) => all.map(({ target }) => formatTarget(target));
  return {
    ended: places(ended),
    swept: places(swept),
    routes: routes.map(
      ({ listener: { port }, destinations }) => `${port}: ${places(destinations).join(' ')}`,
    ),
    misplaced: misplaced.map(({ port, destination }) => `${port}: ${formatTarget(destination.target)}`),
  };
}

function wishes(
  view: ClusterView,
  instances: readonly PlacedInstance[],
  config: Partial<Config> = {},
  circumstances: Partial<KernelCircumstances> = {},
) {
  return shown(
    kernelWishes({ ...CONFIG, ...config }, instances, view, { ...CIRCUMSTANCES, ...circumstances }),
  );
}

describe('what conmgr wants of the kernel', () => {
  const view = viewOf(primary(0), standby(1), standby(2));
  const instances = [placed(0), placed(1), placed(2)];

  it('leads each listener to all instances that fit it equally well, and cuts nobody off while all is well', () => {
    assert.deepEqual(wishes(view, instances), {
      ended: [],
      swept: [],
      routes: ['1: 192.0.2.0:5432', '2: 192.0.2.1:5432 192.0.2.2:5432'],
      misplaced: ['1: 192.0.2.1:5432', '1: 192.0.2.2:5432'],
    });
  });

  it('leads to no standby that is too far behind while another one is not', () => {
    const lagging = viewOf(primary(0, { position: 5000n }), standby(1, { position: 4990n }), standby(2));
    const { routes } = wishes(lagging, instances, { maxLagBytes: 100 });
    assert.deepEqual(routes, ['1: 192.0.2.0:5432', '2: 192.0.2.1:5432']);
  });

  it('leads to none that is only known from before while another one is known now', () => {
    const dim = viewOf(primary(0), standby(1, { dim: true }), standby(2));
    assert.equal(wishes(dim, instances).routes[1], '2: 192.0.2.2:5432');
  });

  it('ends and sweeps what is lost, only ends what is down, and evicts from both by every listener', () => {
    const gone = viewOf(primary(0, { health: 'lost' }), standby(1, { health: 'down' }), standby(2));
    assert.deepEqual(wishes(gone, [placed(0, 'lost'), placed(1, 'down'), placed(2)]), {
      ended: ['192.0.2.0:5432', '192.0.2.1:5432'],
      swept: ['192.0.2.0:5432'],
      routes: ['1: ', '2: 192.0.2.2:5432'],
      misplaced: [
        '1: 192.0.2.0:5432',
        '1: 192.0.2.1:5432',
        '1: 192.0.2.2:5432',
        '2: 192.0.2.0:5432',
        '2: 192.0.2.1:5432',
      ],
    });
  });

  it('ends nothing without guard = on but what came by a listener', () => {
    const gone = viewOf(primary(0, { health: 'lost' }));
    const { ended, swept, misplaced } = wishes(gone, [placed(0, 'lost')], { guard: false });
    assert.deepEqual([ended, swept, misplaced], [[], [], ['1: 192.0.2.0:5432', '2: 192.0.2.0:5432']]);
  });

  it('ends nothing to an instance with backend_guard = off but what came by a listener', () => {
    const gone = viewOf(primary(0, { health: 'lost' }), standby(1, { health: 'lost' }));
    const spared = { ...placed(0, 'lost'), config: { backendPort: 5432, guard: false } };
    const { ended, swept, misplaced } = wishes(gone, [spared, placed(1, 'lost')]);
    assert.deepEqual([ended, swept], [['192.0.2.1:5432'], ['192.0.2.1:5432']]);
    assert.ok(misplaced.includes('1: 192.0.2.0:5432'));
  });

  it('evicts by evict_on_role_change, and from a primary that has lost its conflict in any case', () => {
    const misplaced = (policy: Config['evictOnRoleChange'], settled = false) =>
      wishes(
        view,
        [placed(0), placed(1)],
        { evictOnRoleChange: policy },
        { isSettled: (number) => settled && number === 0 },
      ).misplaced;
    assert.deepEqual(misplaced('writers'), ['1: 192.0.2.1:5432']);
    assert.deepEqual(misplaced('all'), ['1: 192.0.2.1:5432', '2: 192.0.2.0:5432']);
    assert.deepEqual(misplaced('off'), []);
    assert.deepEqual(misplaced('off', true), ['1: 192.0.2.0:5432', '2: 192.0.2.0:5432']);
  });

  it('leads nowhere once conmgr ends', () => {
    assert.deepEqual(wishes(view, instances, {}, { accepting: false }).routes, ['1: ', '2: ']);
  });

  it('takes an address in backend_host until another one is known, and leaves out what has only a name', () => {
    const literal: PlacedInstance = { ...placed(0, 'lost', ''), host: '2001:db8::1' };
    assert.deepEqual(wishes(viewOf(), [literal, placed(1, 'lost', '')]).ended, ['[2001:db8::1]:5432']);
  });

  it('wants nothing of listeners with mode gateway, and no helper when that is all', () => {
    const listeners = [{ ...listener(1, 'primary'), mode: 'gateway' as const }];
    const { routes, misplaced } = wishes(view, instances, { listeners });
    assert.deepEqual([routes, misplaced], [[], []]);
    assert.equal(wantsKernel({ guard: false, listeners }), false);
    assert.equal(wantsKernel({ guard: true, listeners: [] }), true);
    assert.equal(wantsKernel({ guard: false, listeners: CONFIG.listeners }), true);
  });

  it('gives a listener no more destinations than the map of the kernel takes', () => {
    const many = Array.from({ length: 12 }, (_, number) => number);
    const { routes } = wishes(
      viewOf(...many.map((number) => standby(number))),
      many.map((number) => placed(number)),
    );
    assert.equal(routes[1]?.split(' ').length, 1 + 8);
  });
});

describe('what is said to the helper', () => {
  const both = { guard: true, redirect: true };
  const wanted = (view: ClusterView, instances: readonly PlacedInstance[]): KernelWishes =>
    kernelWishes(CONFIG, instances, view, CIRCUMSTANCES);
  const well = wanted(viewOf(primary(0), standby(1)), [placed(0), placed(1)]);
  const lost = wanted(viewOf(primary(0, { health: 'lost' }), standby(1)), [placed(0, 'lost'), placed(1)]);
  const said = (orders: KernelOrders, wishes: KernelWishes, means = both) =>
    orders.next(wishes, means).map(({ request }) => Object.values(request).flat().join(' '));

  it('is everything at first, then only what has changed; routes before ends, and no listener is asked about what the guard ends', () => {
    const orders = new KernelOrders();
    assert.deepEqual(said(orders, well), [
      'route 1 192.0.2.0,5432',
      'route 2 192.0.2.1,5432',
      'evict 1 192.0.2.1 5432',
    ]);
    assert.deepEqual(said(orders, well), []);
    assert.deepEqual(said(orders, lost), ['route 1', 'kill 192.0.2.0 5432', 'sweep 192.0.2.0 5432 true']);
    assert.deepEqual(said(orders, well), ['route 1 192.0.2.0,5432', 'sweep 192.0.2.0 5432 false']);
  });

  it('is the end of what came by each listener where nothing is guarded', () => {
    const orders = new KernelOrders();
    assert.deepEqual(said(orders, lost, { guard: false, redirect: true }), [
      'route 1',
      'route 2 192.0.2.1,5432',
      'evict 1 192.0.2.0 5432',
      'evict 1 192.0.2.1 5432',
      'evict 2 192.0.2.0 5432',
    ]);
  });

  it('does not wait for the limit of the helper when a hundred instances with sixteen listeners are lost at once', () => {
    const numbers = Array.from({ length: 100 }, (_, number) => number);
    const listeners = Array.from({ length: 16 }, (_, at) => listener(at + 1, 'any'));
    const orders = new KernelOrders();
    const all = kernelWishes(
      { ...CONFIG, listeners },
      numbers.map((number) => placed(number, 'lost')),
      viewOf(...numbers.map((number) => standby(number, { health: 'lost' }))),
      CIRCUMSTANCES,
    );
    const allowance = new RequestAllowance(0);
    const atOnce = orders.next(all, both).filter(() => allowance.take(0) === 0);
    const verbs = atOnce.map(({ request }) => request['do']);
    assert.equal(verbs.filter((verb) => verb === 'kill').length, 100);
    assert.equal(verbs.filter((verb) => verb === 'sweep').length, 100);
  });

  it('puts what is lost before what no longer fits a listener', () => {
    const orders = new KernelOrders();
    orders.next(well, both);
    const demoted = wanted(viewOf(standby(0), primary(1), standby(2, { health: 'lost' })), [
      placed(0),
      placed(1),
      placed(2, 'lost'),
    ]);
    const verbs = said(orders, demoted).map((text) => text.split(' ')[0]);
    assert.deepEqual(verbs, ['route', 'route', 'kill', 'sweep', 'evict']);
  });

  it('ends again what is lost again', () => {
    const orders = new KernelOrders();
    for (const wishes of [lost, well]) orders.next(wishes, both);
    assert.ok(said(orders, lost).includes('kill 192.0.2.0 5432'));
  });

  it('is everything again on a new connection, and again what was refused', () => {
    const orders = new KernelOrders();
    const first = orders.next(lost, both);
    orders.failed(first[0]!);
    assert.deepEqual(orders.next(lost, both), [first[0]]);
    orders.reset();
    assert.deepEqual(orders.next(lost, both), first);
  });

  it('is only what the helper is able to do', () => {
    assert.deepEqual(said(new KernelOrders(), lost, { guard: false, redirect: false }), []);
    assert.deepEqual(said(new KernelOrders(), lost, { guard: true, redirect: false }), [
      'kill 192.0.2.0 5432',
      'sweep 192.0.2.0 5432 true',
    ]);
    assert.deepEqual(said(new KernelOrders(), well, { guard: false, redirect: true }).length, 3);
  });

  it('has words for the log', () => {
    const words = new KernelOrders().next(lost, both).map(({ what }) => what);
    assert.deepEqual(
      [words[0], words[2], words[3], words[4]],
      [
        'route of listener 1',
        'end of connections to 192.0.2.0:5432',
        'sweep of 192.0.2.0:5432',
        'end of connections to 192.0.2.1:5432 of listener 1',
      ],
    );
  });
});
