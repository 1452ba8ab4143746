import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { PRIMARY, STANDBY } from '../support/scripted-watchdog.js';
import { SILENT } from './place.js';
import { KernelScene, type SceneOptions } from './scene.js';

describe('conmgr with conmgr-helper', () => {
  const scenes: KernelScene[] = [];
  const start = async (options: SceneOptions): Promise<KernelScene> => {
    const scene = await KernelScene.start(options);
    scenes.push(scene);
    return scene;
  };
  const promote = ({ watchdogs: [first, second] }: KernelScene): void => {
    second?.tell({ bits: PRIMARY.bits, timeline: 2 });
    first?.tell({ bits: STANDBY.bits, timeline: 2 });
  };

  afterEach(async () => {
    for (const scene of scenes.splice(0)) await scene.end();
  });

  it('leads a listener straight to the primary, to the new one after a promotion, and evicts by the listener', async () => {
    const scene = await start({
      attributes: [PRIMARY, STANDBY],
      listeners: ['primary', 'standby'],
    });
    const [primary = 0, standby = 0] = scene.listeners;
    await scene.conmgr.logged(new RegExp(`port ${primary} leads straight to the servers \\(redirect\\)`));
    const [writer, reader] = [await scene.application(primary), await scene.application(standby)];
    assert.deepEqual([writer.at, reader.at], ['127.0.0.2', '127.0.0.3']);
    const kernel = await eventually(
      async () => {
        const { kernel } = await scene.conmgr.status();
        return kernel?.connections.every(({ count }) => count > 0) === true && kernel;
      },
      { what: 'both connections have been counted' },
    );
    assert.deepEqual(kernel, {
      helper: '',
      guard: { wanted: false, problem: '' },
      connections: [
        { instance: 0, count: 1 },
        { instance: 1, count: 1 },
      ],
      listeners: [
        { port: primary, target: 'primary', via: 'redirect', reason: '', instances: [0], connections: 1 },
        { port: standby, target: 'standby', via: 'redirect', reason: '', instances: [1], connections: 1 },
      ],
    });
    promote(scene);
    await writer.program.waitForLine(/^ended ECONNABORTED$/);
    await scene.conmgr.logged(/ended 1 connections to instance 0 \(127\.0\.0\.2:\d+\) in the kernel/);
    assert.equal((await scene.application(primary)).at, '127.0.0.3');
    assert.equal((await scene.application(standby)).at, '127.0.0.2');
    assert.deepEqual(reader.program.lines.length, 1, 'a reader may stay on a primary');
  });

  it('ends direct and redirected connections to a server that is lost, within heartbeat_timeout + 100 ms', async () => {
    const scene = await start({
      attributes: [PRIMARY, STANDBY],
      listeners: ['primary'],
      settings: { guard: 'on' },
    });
    const [primary = 0] = scene.listeners;
    const led = await scene.application(primary);
    const direct = await scene.application(scene.port, '127.0.0.2');
    const other = await scene.application(scene.port, '127.0.0.3');
    const [watchdog] = scene.watchdogs;
    watchdog!.greeting = 'silence';
    watchdog!.link.silence();
    const begun = performance.now();
    await led.program.waitForLine(/^ended ECONNABORTED$/);
    await direct.program.waitForLine(/^ended ECONNABORTED$/);
    const took = performance.now() - begun;
    assert.ok(took <= 1100, `within 1,100 ms (${took})`);
    assert.equal(other.program.lines.length, 1);
  });

  it('spreads the connections of one listener over all standbys', async () => {
    const scene = await start({ attributes: [PRIMARY, STANDBY, STANDBY], listeners: ['standby'] });
    const [standby = 0] = scene.listeners;
    await scene.untilLed(0, [1, 2]);
    const seen = new Set<string>();
    // Each of 30 at random: that one of two is missing has a chance of 2 in 2^30.
    for (let round = 0; round < 30 && seen.size < 2; round += 1) {
      const { at, program } = await scene.application(standby);
      seen.add(at);
      program.kill('SIGKILL');
    }
    assert.deepEqual([...seen].sort(), ['127.0.0.3', '127.0.0.4']);
  });

  it('leads no longer to a server that left the configuration, and to one that has come into it', async () => {
    const scene = await start({ attributes: [PRIMARY, STANDBY, STANDBY], listeners: ['standby'] });
    await scene.untilLed(0, [1, 2]);
    scene.conmgr.rewrite(scene.lines.slice(0, 2));
    await scene.conmgr.reload();
    await scene.untilLed(0, [1]);
    scene.conmgr.rewrite(scene.lines);
    await scene.conmgr.reload();
    await scene.untilLed(0, [1, 2]);
  });

  it('forwards while the helper is away, says so, and leads straight to the server when it is back', async () => {
    const scene = await start({ attributes: [PRIMARY], listeners: ['primary'] });
    const [primary = 0] = scene.listeners;
    await scene.untilLed(0, [0]);
    const early = await scene.application(primary);
    await scene.stopHelper();
    await scene.conmgr.logged(/WARNING: {2}lost connection to conmgr-helper: /);
    await scene.conmgr.logged(
      new RegExp(`port ${primary} forwards bytes \\(gateway\\): conmgr-helper cannot be`),
    );
    assert.equal((await scene.application(primary)).at, '127.0.0.1', 'it is forwarded');
    await scene.startHelper();
    await scene.conmgr.logged(/connected to conmgr-helper again/);
    await scene.untilLed(0, [0]);
    assert.equal((await scene.application(primary)).at, '127.0.0.2');
    assert.equal(early.program.lines.length, 1, 'a session that was redirected lives on');
  });

  it('evicts when the helper is back who came to an instance that meanwhile is another', async () => {
    const scene = await start({ attributes: [PRIMARY, STANDBY], listeners: ['primary'] });
    const [primary = 0] = scene.listeners;
    await scene.untilLed(0, [0]);
    const { program } = await scene.application(primary);
    await scene.stopHelper('SIGKILL');
    promote(scene);
    await scene.conmgr.logged(/instance 1 .*primary/);
    await scene.startHelper();
    await program.waitForLine(/^ended ECONNABORTED$/);
    assert.equal((await scene.application(primary)).at, '127.0.0.3');
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`takes its routes back when it ends by ${signal}; sessions that were redirected live on`, async () => {
      const scene = await start({ attributes: [PRIMARY], listeners: ['primary'] });
      const [primary = 0] = scene.listeners;
      await scene.untilLed(0, [0]);
      const { program } = await scene.application(primary);
      await scene.conmgr.stop(signal);
      await eventually(
        async () => {
          const attempt = scene.attempt(primary);
          const refused = await attempt.waitForLine(/^(at|ended) (\S+)/);
          attempt.kill('SIGKILL');
          return refused[2] === 'ECONNREFUSED';
        },
        { what: 'nobody is led to the server' },
      );
      assert.equal(program.lines.length, 1);
    });
  }

  it('forwards a listener that no list allows, and redirects it once one does and the helper was told', async () => {
    const scene = await start({
      attributes: [PRIMARY],
      listeners: ['primary'],
      list: (all) => all.replace(/listener .*\n/, ''),
    });
    const [primary = 0] = scene.listeners;
    await scene.conmgr.logged(
      /WARNING: {2}conmgr-helper refused what conmgr\.conf asks for: not allowed: listener/,
    );
    assert.equal((await scene.application(primary)).at, '127.0.0.1');
    scene.writeList();
    scene.helper.kill('SIGHUP');
    await scene.untilLed(0, [0]);
    assert.equal((await scene.application(primary)).at, '127.0.0.2');
  });

  it('does not start with guard = on and no helper, and says what switches it on', async () => {
    await assert.rejects(
      start({ attributes: [PRIMARY], settings: { guard: 'on' }, helper: false }),
      ({ message }: Error) => {
        assert.match(
          message,
          /FATAL: {2}guard = on is not possible: conmgr-helper cannot be reached: no such file/,
        );
        assert.match(message, /HINT: {2}Switch it on: systemctl enable --now conmgr-helper/);
        return true;
      },
    );
  });

  it('does not start with guard = on for a server that no list has', async () => {
    await assert.rejects(
      start({
        attributes: [PRIMARY],
        settings: { guard: 'on' },
        list: () => `user 65534\ntarget 127.0.0.9 1\n`,
      }),
      /guard = on is not possible: no list of conmgr-helper allows 127\.0\.0\.2:/,
    );
  });

  it('forwards where the programs are not loaded, and guards all the same', async () => {
    const scene = await start({
      attributes: [PRIMARY],
      listeners: ['primary'],
      settings: { guard: 'on' },
      programs: false,
    });
    const [primary = 0] = scene.listeners;
    await scene.conmgr.logged(/forwards bytes \(gateway\): .*no such file/);
    assert.equal((await scene.application(primary)).at, '127.0.0.1');
    const direct = await scene.application(scene.port, '127.0.0.2');
    const [watchdog] = scene.watchdogs;
    watchdog!.tell({ state: 'down', text: 'postmaster is gone' });
    await direct.program.waitForLine(/^ended ECONNABORTED$/);
  });

  it('cuts off attempts to connect to a server while that is lost, one after the other', async () => {
    const scene = await start({
      attributes: [PRIMARY],
      settings: { guard: 'on' },
      list: (all) => `${all}${all.replace('127.0.0.2', SILENT.ipv4).replace(/user .*\n/, '')}`,
    });
    const silent = { hostaddr: SILENT.ipv4, backendPort: scene.port, watchdogPort: 1 };
    scene.conmgr.rewrite([...scene.lines, silent]);
    await scene.conmgr.reload();
    await scene.conmgr.untilInstance(1, 'is lost', ({ health }) => health === 'lost');
    for (let round = 0; round < 3; round += 1) {
      const attempt = scene.attempt(scene.port, SILENT.ipv4);
      await attempt.waitForLine(/^ended ECONNABORTED$/);
    }
    assert.equal((await scene.application(scene.port, '127.0.0.2')).at, '127.0.0.2');
  });
});
