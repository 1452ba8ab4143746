import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConmgrConfig } from '../../../../src/core/config/types.js';
import { ConmgrCore } from '../../../../src/core/conmgr/core.js';
import type { ConmgrEffect } from '../../../../src/core/conmgr/effects.js';
import type { HandedCore } from '../../../../src/core/conmgr/handing.js';
import { attributeBits } from '../../../../src/core/protocol/attributes.js';
import {
  configOf,
  kinds,
  linkedCore,
  OTHER_ID,
  PRIMARY,
  runOn,
  tell,
  toldTo,
  WRITER,
} from './linked-core.js';

const STANDBY = { ...PRIMARY, bits: attributeBits('accepting', 'standby', 'readOnlyByRecovery') };
const ANY = { ...WRITER, target: 'any' as const, app: 'psql', ping: true };

/** A primary with an aware session (1), a forwarded one (2) and one that has no SQL connection yet (3). */
function predecessor(): ConmgrCore {
  const core = linkedCore(0, 1);
  tell(core, 0, PRIMARY, 0);
  tell(core, 1, STANDBY, 0);
  core.ask(1, ANY, 100);
  core.bound(1, 1, '127.0.0.1', 40_001);
  core.backend(1, 4711);
  core.forward(2, 'primary', 'app', 200);
  core.bound(2, 0, '127.0.0.1', 40_002);
  core.ask(3, WRITER, 300);
  return core;
}

/** Ends a predecessor in order. */
function handedBy(core: ConmgrCore, now = 1000): HandedCore {
  const effects = [...core.stop('handOver', now), ...runOn(core, now + 2000)];
  assert.ok(kinds(effects).includes('exit'));
  return core.handOver(now + 2000);
}

function successor(handed: HandedCore, config: ConmgrConfig = configOf(0, 1), now = 50) {
  const identity = {
    conmgrId: '0123456789abcdef0123456789abcdef',
    bootId: OTHER_ID,
    software: 'conmgr 2',
    label: '',
  };
  const core = new ConmgrCore(config, { identity, random: () => 0 });
  return { core, effects: core.start(now, handed) };
}

function goodbyes(effects: readonly ConmgrEffect[]): readonly unknown[] {
  return effects.flatMap((effect) =>
    effect.do === 'send' && effect.message.name === 'goodbye'
      ? [[effect.instance, effect.message.reason]]
      : [],
  );
}

describe('a conmgr that hands over', () => {
  it('says goodbye for a restart to the watchdogs and nothing at all to the applications', () => {
    const core = predecessor();
    const effects = core.stop('handOver', 1000);
    // Number 1 is `restart` (docs/protocol.md).
    assert.deepEqual(goodbyes(effects), [
      [0, 1],
      [1, 1],
    ]);
    assert.deepEqual(
      kinds([...effects, ...runOn(core, 3000)]).filter((kind) => /tell|reset|refuse/.test(kind)),
      [],
    );
  });

  it('answers those who come in the last moment', () => {
    const core = predecessor();
    core.stop('handOver', 1000);
    assert.deepEqual(
      toldTo(9, core.ask(9, WRITER, 1001)).map(({ kind }) => kind),
      ['hello', 'candidates'],
    );
    assert.ok(kinds(core.forward(10, 'primary', '', 1001)).includes('route'));
    assert.equal(core.handOver(1002).sessions.length, 5);
  });

  it('goes on when its successor does not come: links anew, the postmaster is asked, no session is told', () => {
    const core = predecessor();
    handedBy(core);
    const effects = core.resume(3000);
    assert.deepEqual(
      kinds(effects).filter(
        (kind) => /tell|reset|refuse/.test(kind) === false && kind !== 'changed' && kind !== 'log',
      ),
      ['probe', 'resolve', 'probe', 'resolve'],
    );
    assert.deepEqual(
      kinds(effects).filter((kind) => /reset|refuse/.test(kind)),
      [],
    );
    assert.ok(!core.ending);
    assert.deepEqual(core.resume(3001), []);
    core.probed(0, true, '', 3010);
    assert.ok(core.resolve('primary').length > 0);
  });

  it('begins with an instance that a reload changed just before, when its successor does not come', () => {
    const core = predecessor();
    const config = configOf(0, 1);
    const [first, second] = config.instances;
    core.reconfigure({ ...config, instances: [{ ...first!, backendPort: 6543 }, second!] }, 900);
    handedBy(core);
    const effects = [...core.resume(3000), ...runOn(core, 20_000)];
    assert.ok(effects.some((effect) => effect.do === 'probe' && effect.instance === 0));
    assert.ok(effects.some((effect) => effect.do === 'resolve' && effect.instance === 0));
  });
});

describe('a conmgr that takes over', () => {
  it('has the sessions as they were, and what was known of the instances', () => {
    const before = predecessor();
    const { core } = successor(handedBy(before));
    const facts = ({ sessions }: ConmgrCore) =>
      [...sessions.all()].map(({ id, mode, ask, phase, instance, address, port, pid }) => [
        id,
        mode,
        ask,
        phase,
        instance,
        address,
        port,
        pid,
      ]);
    assert.deepEqual(facts(core), facts(before));
    assert.deepEqual(
      [...core.sessions.all()].map(({ since }) => since),
      [-2850, -2750, -2650],
    );
    assert.deepEqual(
      core.instances.map(({ attributes }) => attributes),
      [PRIMARY, STANDBY],
    );
    assert.deepEqual(
      core.instances.map(({ address }) => address),
      ['127.0.0.1', '127.0.0.2'],
    );
    assert.deepEqual(core.sessions.countOf(0), 2);
  });

  it('tells nobody anything but that the instances are not monitored at this moment', () => {
    const { effects } = successor(handedBy(predecessor()));
    assert.deepEqual(
      kinds(effects).filter((kind) => /reset|refuse|route/.test(kind)),
      [],
    );
    const told = effects.flatMap((effect) => (effect.do === 'tell' ? effect.messages : []));
    assert.deepEqual(new Set(told.map(({ kind }) => kind)), new Set(['changed']));
  });

  it('answers before the first link is up, with what the predecessor knew', () => {
    const { core } = successor(handedBy(predecessor()));
    const [hello, candidates] = toldTo(9, core.ask(9, WRITER, 60));
    assert.ok(hello?.kind === 'hello' && candidates?.kind === 'candidates');
    assert.deepEqual(
      candidates.candidates.map(({ instance, hostaddr }) => [instance, hostaddr]),
      [[0, '127.0.0.1']],
    );
  });

  it('numbers its pictures behind those of the predecessor', () => {
    const handed = handedBy(predecessor());
    assert.ok(successor(handed).core.viewNumber > handed.view);
  });

  it('ends the sessions of an instance that is lost before its watchdog was heard', () => {
    const { core } = successor(handedBy(predecessor()));
    const effects = runOn(core, 100_000);
    assert.ok(toldTo(1, effects).some(({ kind }) => kind === 'down'));
    assert.ok(effects.some((effect) => effect.do === 'reset' && effect.sessions.includes(2)));
  });

  it('answers a session that waited, and refuses it no earlier and no later than the predecessor would', () => {
    const before = linkedCore(0);
    before.reconfigure({ ...configOf(0), resolveWaitMs: 5000 }, 0);
    before.ask(1, WRITER, 1000);
    const { core } = successor(handedBy(before), { ...configOf(0), resolveWaitMs: 5000 });
    assert.equal(core.sessions.get(1)?.phase, 'waiting');
    assert.equal(core.sessions.waitingUntil(5000), 50 - 2000 + 5000);
  });

  it('keeps the sessions of an instance that has left the configuration, and says so to those that can hear it', () => {
    const { core, effects } = successor(handedBy(predecessor()), configOf(0));
    assert.equal(core.sessions.get(1)?.instance, undefined);
    const [told] = toldTo(1, effects);
    assert.ok(told?.kind === 'down' && told.action === 'advice');
  });

  it('believes nothing of an instance that is configured otherwise now', () => {
    const config = configOf(0, 1);
    const [first, second] = config.instances;
    const moved = { ...config, instances: [{ ...first!, backendPort: 6543 }, second!] };
    const { core } = successor(handedBy(predecessor()), moved);
    assert.deepEqual(
      core.instances.map(({ attributes }) => attributes),
      [undefined, STANDBY],
    );
    assert.deepEqual(
      [1, 2].map((id) => core.sessions.get(id)?.instance),
      [1, undefined],
    );
  });

  it('does without what it cannot read of an instance', () => {
    const handed = handedBy(predecessor());
    const instances = handed.instances.map((one) => ({
      ...one,
      attributes: Buffer.from('nonsense of a later version'),
    }));
    const { core } = successor({ ...handed, instances });
    assert.deepEqual(
      core.instances.map(({ attributes }) => attributes),
      [undefined, undefined],
    );
    assert.equal(core.sessions.size, 3);
  });

  it('is handed nothing of an instance that was not offered', () => {
    const before = predecessor();
    tell(before, 0, { ...PRIMARY, version: 2, state: 'down', bits: 0 }, 500);
    const handed = handedBy(before);
    assert.deepEqual(
      handed.instances.map(({ attributes }) => attributes.length > 0),
      [false, true],
    );
  });
});
