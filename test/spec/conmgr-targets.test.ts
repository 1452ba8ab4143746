import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { attributeBits } from '../../src/core/protocol/attributes.js';
import { ConmgrProcess, type ConmgrSettings } from '../support/conmgr-process.js';
import { eventually } from '../support/eventually.js';
import type { FirstPhaseClient } from '../support/first-phase-client.js';
import { Relay } from '../support/relay.js';
import { kindsOf, ScriptedSet } from '../support/scripted-set.js';
import { PRIMARY, STANDBY } from '../support/scripted-watchdog.js';

const EPS_MS = 500;

const sets: ScriptedSet[] = [];
afterEach(async () => {
  await Promise.all(sets.splice(0).map((set) => set.end()));
});

async function startSet(
  attributes: Parameters<typeof ScriptedSet.start>[0],
  settings: ConmgrSettings = {},
): Promise<ScriptedSet> {
  const set = await ScriptedSet.start(attributes, { settings });
  sets.push(set);
  return set;
}

describe('target_session_attrs', () => {
  let set: ScriptedSet;
  before(async () => {
    set = await ScriptedSet.start([PRIMARY, STANDBY, STANDBY]);
  });
  after(() => set.end());

  const offered = async (question: string): Promise<readonly number[]> => {
    const app = set.conmgr.ask(question);
    const numbers = await app.offered();
    app.leave();
    return numbers;
  };
  const sorted = (numbers: readonly number[]): readonly number[] => [...numbers].sort();

  for (const [word, expected] of [
    ['any', [0, 1, 2]],
    ['read-write', [0]],
    ['read-only', [1, 2]],
    ['primary', [0]],
    ['standby', [1, 2]],
    ['secondary', [1, 2]],
    ['STANDBY', [1, 2]],
    ['Primary', [0]],
  ] as const) {
    it(`${word} is offered ${expected.length === 1 ? 'the primary alone' : `instances ${expected.join(', ')}`}`, async () => {
      assert.deepEqual(sorted(await offered(`1 target_session_attrs=${word}`)), expected);
    });
  }

  for (const word of ['prefer-standby', 'preferSecondary']) {
    it(`${word} is offered the standbys first, then the primary`, async () => {
      const numbers = await offered(`1 target_session_attrs=${word}`);
      assert.deepEqual(sorted(numbers), [0, 1, 2]);
      assert.equal(numbers.at(-1), 0);
    });
  }

  it('left out means any', async () => {
    assert.deepEqual(sorted(await offered('1')), [0, 1, 2]);
  });

  it('preferPrimary is refused: not supported with a connection manager', async () => {
    const refusal = await set.conmgr.ask('1 target_session_attrs=preferPrimary').refusal();
    assert.equal(refusal.sqlState, '22023');
    assert.match(refusal.detail, /preferPrimary.* not supported with a connection manager/);
    assert.match(refusal.message, /^conmgr: /);
  });

  it('anything else is refused with the list, and that is logged', async () => {
    const app = set.conmgr.ask('1 target_session_attrs=master');
    const refusal = await app.refusal();
    assert.equal(refusal.sqlState, '22023');
    for (const word of ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'])
      assert.ok(refusal.detail.includes(word), word);
    await app.closed();
    await set.conmgr.logged(/LOG: +refused question of 127\.0\.0\.1:\d+: .*"master"/);
  });

  it('an unknown key is ignored; one that must be understood is refused with 0A000', async () => {
    assert.deepEqual(await offered('1 target_session_attrs=primary color=blue'), [0]);
    const refusal = await set.conmgr.ask('1 !color=blue').refusal();
    assert.equal(refusal.sqlState, '0A000');
    assert.match(refusal.message, /^conmgr: required key "color" is not known/);
  });

  for (const [what, question] of [
    ['is empty', ''],
    ['has no version', 'target_session_attrs=any'],
    ['has two blanks', '1  ping=1'],
    ['is longer than 1024 bytes', `1 app=${'x'.repeat(1024)}`],
  ] as const) {
    it(`a question that ${what} is refused with 08P01`, async () => {
      assert.equal((await set.conmgr.ask(question).refusal()).sqlState, '08P01');
    });
  }

  it('wishes come first among those that fit, instances that just failed come last', async () => {
    assert.equal((await offered('1 target_session_attrs=standby prefer=2'))[0], 2);
    assert.equal((await offered('1 target_session_attrs=standby prefer=1'))[0], 1);
    assert.deepEqual(await offered('1 target_session_attrs=standby exclude=1'), [2, 1]);
    assert.deepEqual(await offered('1 target_session_attrs=primary prefer=1,2 exclude=0'), [0]);
  });

  it('the answer is HELLO, then CANDIDATES, at once', async () => {
    const begunMs = performance.now();
    const app = set.conmgr.ask({ target: 'primary' });
    await app.candidates();
    assert.ok(performance.now() - begunMs < EPS_MS);
    assert.deepEqual(app.types, ['m', 'm']);
    assert.deepEqual(kindsOf(app), ['hello', 'candidates']);
    const [hello] = app.messages;
    assert.ok(hello?.kind === 'hello');
    assert.match(hello.software, /^conmgr \d/);
    assert.deepEqual([hello.version, hello.graceMs], [1, 10_000]);
    app.leave();
    await app.closed();
  });

  it('other _pq_ options and newer minor versions are negotiated as a server does, before the answer', async () => {
    const app = set.conmgr.ask(
      { target: 'primary' },
      {
        version: 0x0003_0002,
        params: [
          ['user', 'app'],
          ['_pq_.test_protocol_negotiation', ''],
        ],
      },
    );
    await app.candidates();
    assert.deepEqual(app.types, ['v', 'm', 'm']);
    assert.deepEqual(app.negotiated, ['_pq_.test_protocol_negotiation']);
  });

  it('a question without a user name is answered: with required encryption nothing else is sent in the clear', async () => {
    assert.deepEqual(await set.conmgr.ask({ target: 'primary' }, { params: [] }).offered(), [0]);
  });
});

describe('what is offered', () => {
  it('a primary that is read-only by default is offered for primary and read-only, not for read-write', async () => {
    const { conmgr, ...set } = await startSet([PRIMARY]);
    set.watchdogs[0]!.tell({ bits: attributeBits('accepting', 'primary', 'readOnlyByDefault') });
    await conmgr.untilInstance(0, 'is read-only', ({ readOnly }) => readOnly === true);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
    assert.deepEqual(await conmgr.ask({ target: 'read-only' }).offered(), [0]);
    const refusal = await conmgr.ask({ target: 'read-write' }).refusal();
    assert.match(refusal.detail, /Instance 0 \(.*\): up, primary, read-only by default\./);
  });

  for (const state of ['starting', 'recovering', 'down'] as const) {
    it(`an instance that is ${state} is not offered`, async () => {
      const { conmgr, ...set } = await startSet([PRIMARY, STANDBY]);
      set.watchdogs[1]!.tell({ state, bits: 0 });
      await conmgr.untilInstance(1, `is ${state}`, (one) => one.state === state);
      assert.deepEqual(await conmgr.ask().offered(), [0]);
      assert.equal((await conmgr.ask({ target: 'standby' }).refusal()).sqlState, '57P03');
    });
  }

  it('an instance that does not accept connections is not offered; its sessions stay', async () => {
    const { conmgr, ...set } = await startSet([PRIMARY]);
    const app = await conmgr.bound({ target: 'primary' });
    set.watchdogs[0]!.tell({ bits: attributeBits('primary'), text: 'probe was not answered' });
    await app.next('changed');
    const refusal = await conmgr.ask({ target: 'primary' }).refusal();
    assert.match(refusal.detail, /not accepting connections, probe was not answered/);
    assert.deepEqual(kindsOf(app), ['hello', 'candidates', 'changed']);
  });

  it('a full instance is still offered', async () => {
    const { conmgr, ...set } = await startSet([PRIMARY]);
    set.watchdogs[0]!.tell({ bits: attributeBits('accepting', 'primary', 'full') });
    await conmgr.untilInstance(0, 'is full', ({ full }) => full);
    assert.deepEqual(await conmgr.ask({ target: 'primary' }).offered(), [0]);
  });

  it('no instance fits: 57P03 at once, with what is known of every instance in DETAIL and what to do in HINT', async () => {
    const { conmgr, ...set } = await startSet([STANDBY, STANDBY, PRIMARY]);
    set.watchdogs[1]!.tell({ state: 'down', bits: 0, text: 'postmaster is not running' });
    set.watchdogs[2]!.tell({ state: 'recovering', bits: 0 });
    await conmgr.until('there is no primary', ({ primary, instances }) => {
      return primary === null && instances[1]?.state === 'down';
    });
    const begunMs = performance.now();
    const app = conmgr.ask({ target: 'read-write' });
    const refusal = await app.refusal();
    assert.ok(performance.now() - begunMs < EPS_MS);
    assert.equal(refusal.sqlState, '57P03');
    assert.equal(refusal.message, 'conmgr: no instance is available for target_session_attrs=read-write');
    const ports = set.lines.map(({ backendPort }) => backendPort);
    assert.equal(
      refusal.detail,
      `Instance 0 (127.0.0.1:${ports[0]}): up, standby. ` +
        `Instance 1 (127.0.0.1:${ports[1]}): down, postmaster is not running. ` +
        `Instance 2 (127.0.0.1:${ports[2]}): recovering.`,
    );
    assert.match(refusal.hint, /cm_ctl status/);
    await app.closed();
  });

  it('before any link is up, the refusal says that nothing has been seen yet', async () => {
    const { conmgr, ...set } = await startSet([PRIMARY]);
    await set.watchdogs[0]!.refuse();
    const directory = conmgr.directory;
    await conmgr.stop();
    const again = await ConmgrProcess.start({ instances: set.lines, directory });
    try {
      assert.match((await again.ask().refusal()).detail, /^Instance 0 \(.*\): not yet seen\.$/);
    } finally {
      await again.stop('SIGQUIT');
    }
  });
});

describe('resolve_wait', () => {
  it('a request waits for an instance that fits and is answered the moment there is one', async () => {
    const { conmgr, ...set } = await startSet([STANDBY], { resolve_wait: '20s' });
    const app = conmgr.ask({ target: 'primary' });
    await conmgr.until('the request waits', ({ applications }) => applications.length === 1);
    assert.deepEqual(app.types, []);
    set.watchdogs[0]!.tell({ bits: PRIMARY.bits, timeline: 2 });
    const toldMs = performance.now();
    assert.deepEqual(await app.offered(), [0]);
    assert.ok(performance.now() - toldMs < EPS_MS);
  });

  it('a request that waited in vain is refused with 57P03 when resolve_wait has passed', async () => {
    const { conmgr } = await startSet([STANDBY], { resolve_wait: '400ms' });
    const begunMs = performance.now();
    const refusal = await conmgr.ask({ target: 'primary' }).refusal();
    const tookMs = performance.now() - begunMs;
    assert.equal(refusal.sqlState, '57P03');
    assert.ok(tookMs >= 390 && tookMs <= 400 + EPS_MS, `refused after ${tookMs} ms`);
  });

  it('a shorter resolve_wait after a reload holds for those who wait, too', async () => {
    const { conmgr, ...set } = await startSet([STANDBY], { resolve_wait: '60s' });
    const app = conmgr.ask({ target: 'primary' });
    await conmgr.until('the request waits', ({ applications }) => applications.length === 1);
    conmgr.rewrite(set.lines, { resolve_wait: '100ms' });
    await conmgr.reload();
    assert.equal((await app.refusal()).sqlState, '57P03');
  });

  it('an application that goes away while it waits is forgotten', async () => {
    const { conmgr } = await startSet([STANDBY], { resolve_wait: '20s' });
    const app = conmgr.ask({ target: 'primary' });
    await conmgr.until('the request waits', ({ applications }) => applications.length === 1);
    app.vanish();
    await conmgr.until('nobody waits', ({ applications }) => applications.length === 0);
  });
});

describe('load_balance', () => {
  const firsts = async (set: ScriptedSet, count: number): Promise<number[]> => {
    const numbers: number[] = [];
    for (let at = 0; at < count; at += 1) {
      const app = set.conmgr.ask({ target: 'standby' });
      numbers.push((await app.offered())[0]!);
      app.leave();
    }
    return numbers;
  };

  it('random: each that fits comes first now and then, all are alternatives', async () => {
    const set = await startSet([PRIMARY, STANDBY, STANDBY]);
    // Each of the two is missing in 40 answers once in 2^39 runs.
    assert.deepEqual(new Set(await firsts(set, 40)), new Set([1, 2]));
    assert.equal((await set.conmgr.ask({ target: 'standby' }).offered()).length, 2);
  });

  it('round-robin: they take turns', async () => {
    const set = await startSet([PRIMARY, STANDBY, STANDBY], { load_balance: 'round-robin' });
    const numbers = await firsts(set, 6);
    assert.deepEqual(numbers.slice(2), numbers.slice(0, 4));
    assert.notEqual(numbers[0], numbers[1]);
  });

  it('least-connections: the one with the fewest sessions comes first', async () => {
    const set = await startSet([PRIMARY, STANDBY, STANDBY], { load_balance: 'least-connections' });
    const apps: FirstPhaseClient[] = [];
    for (let at = 0; at < 3; at += 1) apps.push(await set.conmgr.bound({ target: 'standby' }, 1));
    await set.conmgr.untilInstance(1, 'has three sessions', ({ sessions }) => sessions === 3);
    for (let at = 0; at < 3; at += 1) {
      const app = set.conmgr.ask({ target: 'standby' });
      assert.equal((await app.offered())[0], 2);
      apps.push(app);
    }
    apps[0]?.leave();
    await set.conmgr.untilInstance(1, 'has two sessions', ({ sessions }) => sessions === 2);
    assert.equal((await set.conmgr.ask({ target: 'standby' }).offered())[0], 1);
  });

  it('nearest: the one with the shortest heartbeat round trip comes first', async () => {
    const { conmgr, ...set } = await startSet([PRIMARY, STANDBY, STANDBY], {
      load_balance: 'nearest',
      heartbeat_timeout: '5s',
    });
    const relay = await Relay.start({ host: '127.0.0.1', port: set.watchdogs[1]!.port });
    try {
      relay.delay(30);
      const far = { ...set.lines[1]!, watchdogPort: relay.port };
      conmgr.rewrite([set.lines[0], far, set.lines[2]], { load_balance: 'nearest', heartbeat_timeout: '5s' });
      await conmgr.reload();
      await conmgr.linked();
      await eventually(
        async () => {
          const { instances } = await conmgr.status();
          return (instances[1]?.link.rttMs ?? 0) > 50 && instances[2]?.link.rttMs !== null;
        },
        { what: 'both round trips are known' },
      );
      for (let at = 0; at < 5; at += 1)
        assert.deepEqual(await conmgr.ask({ target: 'standby' }).offered(), [2, 1]);
    } finally {
      relay.close();
    }
  });
});

describe('max_lag', () => {
  it('a standby further behind is not offered while another fits, and is while none does', async () => {
    const behind = { ...STANDBY, position: PRIMARY.position - 5_000_000n };
    const { conmgr, ...set } = await startSet([PRIMARY, STANDBY, behind], { max_lag: '1MB' });
    const { instances } = await conmgr.status();
    assert.equal(instances[2]?.lagBytes, '5000000');
    assert.deepEqual(await conmgr.ask({ target: 'standby' }).offered(), [1]);
    set.watchdogs[1]!.tell({ state: 'down', bits: 0 });
    await conmgr.untilInstance(1, 'is down', ({ state }) => state === 'down');
    assert.deepEqual(await conmgr.ask({ target: 'standby' }).offered(), [2]);
  });

  it('lag is unknown without a primary', async () => {
    const { conmgr } = await startSet([STANDBY]);
    assert.equal((await conmgr.status()).instances[0]?.lagBytes, null);
  });
});
