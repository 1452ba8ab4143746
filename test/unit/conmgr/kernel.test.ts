import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { tryGuard } from '../../../src/conmgr/guard-trial.js';
import { Kernel } from '../../../src/conmgr/kernel.js';
import { resolveConmgrConfig } from '../../../src/core/config/resolve.js';
import type { ConmgrConfig } from '../../../src/core/config/types.js';
import { destinationOf, type KernelWishes } from '../../../src/core/conmgr/kernel-wishes.js';
import type { LocalEnd } from '../../../src/core/guard/local-ends.js';
import { type Log, renderMessage } from '../../../src/core/messages/message.js';
import { MessageError } from '../../../src/core/messages/message-error.js';
import { Guard } from '../../../src/helper/guard.js';
import { RouteTable } from '../../../src/helper/route-table.js';
import { type Serving, serveRequests } from '../../../src/helper/serve.js';
import { systemClock } from '../../../src/io/clock.js';
import { loadNative } from '../../../src/io/native.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';
import { temporaryDirectory } from '../../support/tree.js';
import { FakeKernel } from '../helper/fake-kernel.js';

const self = process.getuid?.() ?? 0;
const LIST = `user ${self}\ntarget 192.0.2.10 5432\ntarget 192.0.2.11 5432\nlistener 27547\nlistener 27548\n`;
const SERVERS =
  'backend_host0 = 192.0.2.10\nbackend_port0 = 5432\nbackend_host1 = 192.0.2.11\nbackend_port1 = 5432\n';
const LISTENERS =
  'listener_port0 = 27547\nlistener_target_session_attrs0 = primary\nlistener_port1 = 27548\nlistener_mode1 = redirect\n';

describe('conmgr and what it wants of the kernel', () => {
  const nothing: Log = { write: () => {} };
  let lines: string[];
  let clock: FakeClock;
  let fake: FakeKernel;
  let lists: string;
  let path: string;
  let serving: Serving | undefined;
  let kernel: Kernel;
  let config: ConmgrConfig;
  /** A watchdog wants to know whose connections there are. */
  let watched: boolean;
  let seen: Map<number, readonly LocalEnd[]>;
  /** The instance that is lost; undefined: none. */
  let lost: number | undefined;

  const allow = (text: string): void => {
    writeFileSync(join(lists, 'a.conf'), text);
    chmodSync(join(lists, 'a.conf'), 0o644);
  };
  const serve = async (guardProblem = '', redirectProblem = ''): Promise<void> => {
    const native = loadNative();
    assert.ok(native);
    const abilities = {
      guard: guardProblem === '' ? new Guard<object>(fake, systemClock, nothing) : undefined,
      guardProblem,
      routes: redirectProblem === '' ? new RouteTable<object>(fake, systemClock, nothing) : undefined,
      redirectProblem,
    };
    const shared = { native, abilities, clock: systemClock, log: nothing };
    serving = await serveRequests({ socket: path, targets: lists, listOwner: self, ...shared });
  };
  const unserve = async (): Promise<void> => {
    await serving?.close();
    serving = undefined;
  };
  const places = () =>
    config.instances.flatMap((one) => destinationOf({ ...placed, number: one.number, host: one.host ?? '' }));
  const placed = {
    address: '',
    config: { backendPort: 5432, guard: true },
    health: { phase: 'monitored' as const },
  };
  const wishes = (): KernelWishes => {
    const [one, two] = places();
    const gone = [one, two].flatMap((place, at) => (place !== undefined && at === lost ? [place] : []));
    return {
      ended: config.guard ? gone : [],
      swept: config.guard ? gone : [],
      routes: config.listeners.map((listener) => ({
        listener,
        destinations: [one, two].flatMap((place, at) => (place === undefined || at === lost ? [] : [place])),
      })),
      misplaced: config.listeners.flatMap(({ port }) => gone.map((destination) => ({ port, destination }))),
    };
  };
  const make = (text: string): Kernel => {
    const resolved = resolveConmgrConfig(text).config;
    assert.ok(resolved);
    config = resolved;
    kernel = new Kernel({
      config: () => config,
      wishes,
      places,
      watched: () => ({ guarded: watched ? places() : [], redirected: [], listeners: [] }),
      seen: (instance, ends) => seen.set(instance, ends),
      path,
      clock,
      log: {
        write: (spec, params) => {
          const { level, text: said } = renderMessage(spec, params);
          lines.push(`${level}: ${said}`);
        },
      },
      changed: () => {},
    });
    return kernel;
  };
  /** Waits for a line; the clock moves meanwhile. */
  const logged = (pattern: RegExp, count = 1) =>
    eventually(
      () => {
        clock.advance(50);
        return lines.filter((line) => pattern.test(line)).length >= count;
      },
      { everyMs: 2, what: `${pattern}, ${count} times, in ${JSON.stringify(lines)}` },
    );
  const routes = (text: string) =>
    eventually(
      () => [...fake.routes.values()].every((one) => one.startsWith(text)) && fake.routes.size === 2,
      {
        everyMs: 2,
        what: `routes to ${text}`,
      },
    );
  const refusal = (pattern: RegExp, cure: RegExp) => (error: unknown) => {
    assert.ok(error instanceof MessageError);
    const { code, text, hint, level } = renderMessage(error.spec, error.params);
    assert.deepEqual([code, level, error.spec.exit], ['CM1270', 'FATAL', 78]);
    assert.match(text, pattern);
    assert.match(hint ?? '', cure);
    return true;
  };
  /** Starts with guard = on, and lets time pass until that is settled. */
  const started = (text = `${SERVERS}guard = on\n`): Promise<void> => settled(make(text).start());
  const settled = async (starting: Promise<void>): Promise<void> => {
    let isSettled = false;
    const note = (): void => {
      isSettled = true;
    };
    starting.then(note, note);
    await eventually(
      () => {
        if (!isSettled) clock.advance(25);
        return isSettled;
      },
      { everyMs: 2, what: 'the start' },
    );
    await starting;
  };

  beforeEach(() => {
    [lines, lost, watched, seen] = [[], undefined, false, new Map()];
    clock = new FakeClock();
    fake = new FakeKernel();
    lists = join(temporaryDirectory(), 'targets.d');
    mkdirSync(lists);
    chmodSync(lists, 0o755);
    allow(LIST);
    path = join(temporaryDirectory(), 's');
  });

  afterEach(async () => {
    kernel.close();
    await unserve();
  });

  it('asks no helper where conmgr.conf wants nothing of the kernel', async () => {
    await make(`${SERVERS}listener_port0 = 27547\nlistener_mode0 = gateway\n`).start();
    assert.equal(clock.pending, 0);
    assert.equal(await kernel.status(), undefined);
  });

  it('does not start with guard = on and no helper, but waits 5 s for one', async () => {
    await assert.rejects(
      started(),
      refusal(/conmgr-helper cannot be reached: no such file/, /systemctl enable --now conmgr-helper/),
    );
    assert.ok(clock.monotonicMs() >= 5000);
    assert.deepEqual(lines, []);
  });

  it('does not start with guard = on for a user, or a server, that no list names', async () => {
    await serve();
    allow(`user ${self + 1}\n`);
    await assert.rejects(started(), refusal(/no list in .* names user/, /cm_ctl register/));
    allow(`user ${self}\ntarget 192.0.2.10 5432\n`);
    await assert.rejects(
      started(),
      refusal(/no list of conmgr-helper allows 192\.0\.2\.11:5432$/, /cm_ctl register/),
    );
    assert.ok(clock.monotonicMs() < 5000, 'nothing would change by waiting');
  });

  it('does not start with guard = on where the kernel cannot end sockets', async () => {
    await serve('the kernel was built without INET_DIAG_DESTROY');
    await assert.rejects(started(), refusal(/without INET_DIAG_DESTROY$/, /journalctl -u conmgr-helper/));
  });

  it('has the routes of a predecessor that is just gone, at the first attempt', async () => {
    await serve();
    await make(`${SERVERS}${LISTENERS}`).start();
    await routes('192.0.2.10');
    const taken = fake.routesRemoved;
    kernel.close();
    await make(`${SERVERS}${LISTENERS}`).start();
    await eventually(() => fake.routesRemoved >= taken + 2 && fake.routes.size === 2, {
      everyMs: 2,
      what: 'the routes are taken back and made again',
    });
    await routes('192.0.2.10');
    assert.deepEqual(
      lines.filter((line) => /WARNING|refused/.test(line)),
      [],
    );
  });

  it('before it takes over from one that runs, looks whether guard = on is possible, and touches nothing', async () => {
    make(`${SERVERS}${LISTENERS}guard = on\n`);
    const trial = (): Promise<void> => settled(tryGuard(path, config, clock));
    await assert.rejects(trial(), refusal(/cannot be reached: no such file/, /systemctl enable/));
    await serve();
    await trial();
    allow(`user ${self}\ntarget 192.0.2.10 5432\n`);
    await assert.rejects(trial(), refusal(/no list of conmgr-helper allows/, /cm_ctl register/));
    allow(`user ${self + 1}\n`);
    await assert.rejects(trial(), refusal(/no list in .* names user/, /cm_ctl register/));
    assert.equal(fake.routes.size, 0);
  });

  it('waits with guard = on for a helper that goes away just then and comes back', async () => {
    const leaving = createServer((socket) => socket.destroy());
    await once(leaving.listen(path), 'listening');
    const gone = once(leaving, 'connection');
    const starting = started();
    await gone;
    await new Promise((resolve) => leaving.close(resolve));
    await serve();
    await starting;
  });

  it('starts with guard = on as soon as a helper listens', async () => {
    const starting = started();
    await serve();
    await starting;
  });

  it('ends connections to a server once it is lost and sweeps it while it is; the others live', async () => {
    await serve();
    await started(`${SERVERS}guard = on\n`);
    fake.connect({ to: '192.0.2.10', port: 5432 });
    const other = fake.connect({ to: '192.0.2.11', port: 5432 });
    lost = 0;
    kernel.update();
    await logged(/LOG: ended 1 connections to instance 0 \(192\.0\.2\.10:5432\) in the kernel/);
    assert.deepEqual(fake.left, [other]);
    kernel.update();
    lost = undefined;
    kernel.update();
    const { guard, connections } = (await kernel.status())!;
    assert.deepEqual(guard, { wanted: true, problem: '' });
    assert.deepEqual(connections, [
      { instance: 0, count: 0 },
      { instance: 1, count: 1 },
    ]);
  });

  it('knows the connections that pass it by as long as a watchdog wants to', async () => {
    await serve();
    watched = true;
    await started(`${SERVERS}guard = on\n`);
    fake.connect({ to: '192.0.2.10', port: 5432, localPort: 40_001 });
    const known = (...ports: number[]) =>
      eventually(
        () => {
          clock.advance(1000);
          return String(seen.get(0)?.map(({ port }) => port) ?? []) === String(ports);
        },
        { everyMs: 2, what: `connections from ${ports}` },
      );
    await known(40_001);
    watched = false;
    await known();
  });

  it('says once of each listener which way it goes and why, and again when that changes', async () => {
    await make(SERVERS + LISTENERS).start();
    await logged(/port 27548/);
    assert.deepEqual(lines, [
      'LOG: port 27547 forwards bytes (gateway): conmgr-helper cannot be reached: no such file or directory',
      'WARNING: port 27548 forwards bytes although listener_mode is redirect: conmgr-helper cannot be reached: no such file or directory',
    ]);
    await serve();
    await logged(/leads straight to the servers/, 2);
    await routes('192.0.2.10:5432 192.0.2.11:5432');
    await unserve();
    await logged(/WARNING: lost connection to conmgr-helper/);
    await serve();
    await logged(/LOG: connected to conmgr-helper again/);
    await logged(/leads straight to the servers/, 4);
    assert.equal(lines.filter((line) => line.includes('forwards bytes')).length, 4);
  });

  it('says everything again to a helper that was away, also the end of what was lost meanwhile', async () => {
    await serve();
    await make(`${SERVERS}${LISTENERS}guard = on\n`);
    await Promise.all([kernel.start(), logged(/leads straight/, 2)]);
    await unserve();
    await logged(/lost connection/);
    fake.routes.clear();
    const came = fake.connect({ to: '192.0.2.10', port: 5432 });
    lost = 0;
    kernel.update();
    assert.deepEqual(fake.left, [came]);
    await serve();
    await logged(/ended 1 connections to instance 0/);
    await routes('192.0.2.11:5432 for');
  });

  it('forwards what no list allows to redirect, says so once, and redirects when a list does', async () => {
    allow(LIST.replace('listener 27548\n', ''));
    await serve();
    await make(SERVERS + LISTENERS).start();
    await logged(/WARNING: conmgr-helper refused what conmgr\.conf asks for: not allowed: listener 27548/);
    await logged(/port 27548 forwards bytes although .*: no list of conmgr-helper allows listener 27548/);
    const ways = (await kernel.status())!.listeners.map(({ via, reason }) => `${via} ${reason}`);
    assert.deepEqual(ways, ['redirect ', 'gateway no list of conmgr-helper allows listener 27548']);
    clock.advance(20_000);
    allow(LIST);
    await serving!.reload();
    await logged(/port 27548 leads straight/);
    assert.equal(lines.filter((line) => line.includes('not allowed')).length, 1);
  });

  it('forwards a listener that another conmgr has routed, and takes it over when that one is gone', async () => {
    await serve();
    const other = make(SERVERS + LISTENERS);
    await Promise.all([other.start(), logged(/leads straight/, 2)]);
    await routes('192.0.2.10:5432');
    await make(SERVERS + LISTENERS).start();
    await logged(/port 27547 forwards bytes \(gateway\): listener 27547 is routed by another conmgr/);
    other.close();
    await logged(/leads straight/, 5);
  });

  it('withdraws routes as soon as it is closed', async () => {
    await serve();
    await make(SERVERS + LISTENERS).start();
    await logged(/leads straight/, 2);
    await routes('192.0.2.10:5432');
    kernel.close();
    await eventually(() => fake.routes.size === 0, { what: 'no route is left' });
  });

  it('tells in status who cannot be reached and what is not guarded', async () => {
    await serve();
    await make(`${SERVERS}${LISTENERS}guard = on\n`);
    await Promise.all([kernel.start(), logged(/leads straight/, 2)]);
    await unserve();
    await logged(/lost connection/);
    const { helper, guard, connections, listeners } = (await kernel.status())!;
    assert.notEqual(helper, '');
    assert.deepEqual([guard.wanted, connections], [true, []]);
    assert.match(guard.problem, /^conmgr-helper cannot be reached: /);
    assert.deepEqual(
      listeners.map(({ via, instances, connections: came }) => [via, instances, came]),
      [
        ['gateway', [], null],
        ['gateway', [], null],
      ],
    );
  });
});
