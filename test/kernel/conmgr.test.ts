import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { PRIMARY, STANDBY } from '../support/scripted-watchdog.js';
import { KernelScene, type SceneOptions } from './scene.js';

describe('conmgr with conmgr-helper', () => {
  const scenes: KernelScene[] = [];
  const start = async (name: string, options: SceneOptions): Promise<KernelScene> => {
    const scene = await KernelScene.start(name, options);
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
    const scene = await start('roles', {
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
    const scene = await start('lost', {
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
});
