import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  FAILURE_SUMMARY_MS,
  type LinkEffect,
  type LinkEvent,
  type LinkState,
  linkWakeAt,
  MAX_RETRY_AFTER_MS,
  MINIMUM_DOUBT_MS,
} from '../../../../src/core/link/link.js';
import { stepLink } from '../../../../src/core/link/link-table.js';
import type { HeartbeatMessage } from '../../../../src/core/protocol/messages.js';
import { type MonotonicMs, NEVER } from '../../../../src/core/time.js';
import {
  attr,
  beatOf,
  CLUSTER,
  drive,
  FRESH,
  goodbye,
  inWords,
  received,
  reject,
  SETTINGS,
  STATES,
  toUp,
  UP,
  welcome,
} from './link-states.js';

/** Runs a link on its own wake-ups from `from` to `to`; every effect with its moment. */
function idle(
  state: LinkState,
  to: MonotonicMs,
): { state: LinkState; effects: readonly (readonly [MonotonicMs, LinkEffect])[] } {
  let current = state;
  const effects: (readonly [MonotonicMs, LinkEffect])[] = [];
  for (let at = linkWakeAt(current); at <= to; at = linkWakeAt(current)) {
    const stepped = stepLink(current, { type: 'woke', lateMs: 0 }, at);
    current = stepped.state;
    effects.push(...stepped.effects.map((effect) => [at, effect] as const));
  }
  return { state: current, effects };
}

const words = (effects: readonly (readonly [MonotonicMs, LinkEffect])[]): readonly string[] =>
  effects.map(([at, effect]) => `${at} ${inWords(effect)}`);
const woke = (lateMs = 0): LinkEvent => ({ type: 'woke', lateMs });

/** The message of the one `send` among effects. */
function sent(effects: readonly LinkEffect[]): HeartbeatMessage {
  const messages = effects.flatMap((effect) => (effect.do === 'send' ? [effect.message] : []));
  assert.equal(messages.length, 1);
  return messages[0]!;
}

describe('a link that is up', () => {
  it('sends a packet every heartbeat_interval, whatever else flows', () => {
    let state = toUp();
    const beats: MonotonicMs[] = [];
    for (let now = 110; now < 5100; now += 10) {
      // A chatty peer: something arrives all the time.
      state = stepLink(state, received(attr()), now).state;
      if (now < linkWakeAt(state)) continue;
      const stepped = stepLink(state, woke(), now);
      state = stepped.state;
      if (stepped.effects.some((effect) => effect.do === 'send')) beats.push(now);
    }
    assert.deepEqual(beats, [1100, 2100, 3100, 4100]);
  });

  it('keeps the spacing of its beats when one goes out a little late, and sends no burst when it was held up', () => {
    const late = stepLink(toUp(), woke(300), 1400).state;
    assert.equal(linkWakeAt(late), 2100);
    const alive = stepLink(late, received(beatOf(1)), 1500).state;
    const held = stepLink(alive, woke(1950), 4050);
    assert.deepEqual(held.effects.map(inWords), ['send beat']);
    assert.equal(held.state.data.nextBeatAt, 5050);
  });

  it('counts any complete packet as a sign of life, also one that it does not know', () => {
    for (const event of [received(beatOf(1)), received(attr()), received(undefined)]) {
      const { state } = stepLink(toUp(), event, 2000);
      assert.equal(state.data.silentAt, 5000);
      assert.equal(state.data.packetsReceived, 2);
    }
  });

  it('is lost when nothing came for heartbeat_timeout, not a millisecond before, and says for how long', () => {
    const { effects } = idle(toUp(), 3100);
    assert.deepEqual(words(effects), [
      '1100 send beat',
      '2100 send beat',
      '3100 report lost by timeout',
      '3100 disconnect',
    ]);
    const [, lost] = effects.at(-2)!;
    assert.equal(lost.do === 'reportLost' && lost.text, 'no packet for 3000 ms');
  });

  it('tells the loss before it closes the connection', () => {
    for (const event of [woke(), { type: 'closed', text: 'x' } as const]) {
      const { effects } = stepLink(toUp(), event, 3100);
      assert.equal(effects[0]?.do, 'reportLost');
    }
  });

  it('numbers its beats from 1, wraps to 1 because 0 means none, and echoes the last beat with its delay', () => {
    const first = drive(STATES.greeting, [100, received(welcome())]);
    const beat = sent(first.effects);
    assert.deepEqual(beat, { name: 'beat', seq: 1, echoSeq: 0, echoDelayUs: 0, attrVersion: 0 });
    const last = { ...first.state, data: { ...first.state.data, seq: 0xffff_ffff } };
    const wrapped = drive(last, [1000.25, received(beatOf(0xffff_ffff))], [1100.5, woke()]);
    assert.deepEqual(sent(wrapped.effects), {
      name: 'beat',
      seq: 1,
      echoSeq: 0xffff_ffff,
      echoDelayUs: 100_250,
      attrVersion: 0,
    });
  });

  it('announces new timing at once and keeps its beats to it', () => {
    const { state, effects } = stepLink(
      toUp(),
      { type: 'configured', settings: { ...SETTINGS, intervalMs: 500, timeoutMs: 1500 } },
      200,
    );
    assert.deepEqual(sent(effects), { name: 'retime', intervalMs: 500, timeoutMs: 1500 });
    assert.equal(state.data.nextBeatAt, 700);
  });

  it('does not judge a peer by a shorter time-out before it can know of it', () => {
    const shorter = stepLink(
      toUp(),
      { type: 'configured', settings: { ...SETTINGS, timeoutMs: 1500 } },
      200,
    ).state;
    assert.equal(shorter.data.silentAt, 3100);
    assert.equal(stepLink(shorter, received(beatOf(1)), 1000).state.data.silentAt, 2500);
  });

  it('takes a longer time-out at once', () => {
    const longer = stepLink(
      toUp(),
      { type: 'configured', settings: { ...SETTINGS, timeoutMs: 9000 } },
      200,
    ).state;
    assert.equal(longer.data.silentAt, 9100);
  });
});

describe('a process that was itself late', () => {
  it('doubts itself before it declares the peer dead: it gives the time by which it was late', () => {
    const { state, effects } = stepLink(toUp(), woke(2000), 5100);
    assert.deepEqual(effects.map(inWords), ['doubt 2000']);
    assert.equal(state.phase, 'up');
    assert.equal(state.data.silentAt, 7100);
  });

  it('doubts itself when it was late by more than a quarter of heartbeat_timeout, not by less', () => {
    assert.equal(stepLink(toUp(), woke(751), 3851).state.phase, 'up');
    assert.equal(stepLink(toUp(), woke(750), 3850).state.phase, 'waiting');
  });

  it('gives at most heartbeat_timeout and at least one turn of the event loop', () => {
    assert.equal(stepLink(toUp(), woke(600_000), 603_100).state.data.silentAt, 603_100 + 3000);
    const quick = { ...toUp(), data: { ...toUp().data, settings: { ...SETTINGS, timeoutMs: 60 } } };
    assert.equal(stepLink(quick, woke(16), 3116).state.data.silentAt, 3116 + MINIMUM_DOUBT_MS);
  });

  it('doubts itself once: when nothing arrives in the time given, the peer is lost', () => {
    const doubting = stepLink(toUp(), woke(2000), 5100).state;
    const { state, effects } = stepLink(doubting, woke(2000), 9100);
    assert.equal(state.phase, 'waiting');
    assert.equal(effects[0]?.do, 'reportLost');
  });

  it('may doubt itself again after the peer was heard', () => {
    const heard = drive(toUp(), [5100, woke(2000)], [5200, received(beatOf(1))]).state;
    assert.equal(stepLink(heard, woke(2000), 10_300).state.phase, 'up');
  });

  it('sends the beat that it owes right after', () => {
    const doubting = stepLink(toUp(), woke(2000), 5100).state;
    assert.ok(linkWakeAt(doubting) <= 5100);
    const { effects } = stepLink(doubting, woke(4000), 5100);
    assert.deepEqual(effects.map(inWords), ['send beat']);
  });

  it('does not lose the time given by a reload that comes meanwhile', () => {
    const doubting = stepLink(toUp(), woke(2000), 5100).state;
    const settings = { ...SETTINGS, intervalMs: 500 };
    assert.equal(
      stepLink(doubting, { type: 'configured', settings }, 5101).state.data.silentAt,
      doubting.data.silentAt,
    );
  });
});

describe('round trip', () => {
  it('is the time from a beat to its echo less what the peer kept it', () => {
    const { state } = drive(toUp(), [1100, woke()], [1500, received(beatOf(1, 2, 380_000))]);
    assert.ok(Math.abs((state.data.rttMs ?? 0) - 20) < 1e-6);
  });

  it('is measured although the echo crosses with the next beat', () => {
    const { state } = drive(toUp(), [1100, woke()], [1101, received(beatOf(1, 1, 995_000))]);
    assert.ok(Math.abs((state.data.rttMs ?? 0) - 6) < 1e-6);
  });

  it('is measured on a path on which three beats are under way', () => {
    const beats = [1100, 2100, 3100].map((at) => [at, woke()] as const);
    const heard = [1000, 2000, 3000].map((at, index) => [at, received(beatOf(index + 1))] as const);
    const steps = [...beats, ...heard].sort(([a], [b]) => a - b);
    const { state } = drive(toUp(), ...steps, [3600, received(beatOf(9, 1, 400_000))]);
    assert.ok(Math.abs((state.data.rttMs ?? 0) - 3100) < 1e-6);
  });

  it('is never negative and never taken from an echo of nothing', () => {
    assert.equal(drive(toUp(), [150, received(beatOf(1, 1, 4e9))]).state.data.rttMs, 0);
    assert.equal(drive(toUp(), [150, received(beatOf(1, 0, 0))]).state.data.rttMs, undefined);
    assert.equal(drive(toUp(), [150, received(beatOf(1, 77, 0))]).state.data.rttMs, undefined);
  });
});

describe('setting up a link', () => {
  it('says who calls and how the link is to be timed', () => {
    const { effects } = drive(STATES.connecting, [150, { type: 'connected' }]);
    assert.deepEqual(sent(effects), {
      name: 'hello',
      magic: 0x434d4842,
      versionMin: 1,
      versionMax: 1,
      intervalMs: 1000,
      timeoutMs: 3000,
      conmgrId: '11'.repeat(16),
      bootId: '22'.repeat(16),
      systemIdentifier: CLUSTER,
      software: 'conmgr test',
      label: 'app:/dir',
    });
  });

  it('cuts an attempt, TCP connect and answer together, off after heartbeat_connect_timeout', () => {
    const greeting = drive(STATES.connecting, [1500, { type: 'connected' }]).state;
    assert.equal(linkWakeAt(greeting), 2100);
    assert.equal(stepLink(greeting, woke(), 2100).state.phase, 'waiting');
  });

  it('walks all addresses in order, each with its own time, and pauses only after the last', () => {
    const three = drive(
      FRESH,
      [0, { type: 'start' }],
      [10, { type: 'resolved', addresses: ['a', 'b', 'c'] }],
    );
    const { effects } = idle(three.state, 7100);
    assert.deepEqual(words(effects), [
      '2010 disconnect',
      '2010 connect b',
      '4010 disconnect',
      '4010 connect c',
      '6010 disconnect',
      '6010 report failure first: connection attempt timed out',
      '7010 resolve',
    ]);
  });

  it('pins the address that worked and goes back to it when resolution fails', () => {
    const up = drive(
      STATES['connecting, more addresses'],
      [200, { type: 'closed', text: 'refused' }],
      [300, { type: 'connected' }],
      [400, received(welcome())],
    ).state;
    assert.equal(up.data.address, '10.0.0.2');
    const again = drive(
      up,
      [500, { type: 'closed', text: 'reset' }],
      [1500, woke()],
      [1600, { type: 'resolveFailed', text: 'x' }],
    );
    assert.deepEqual(again.effects.map(inWords), ['connect 10.0.0.2']);
  });

  it('waits heartbeat_connect_interval after a failure', () => {
    assert.equal(linkWakeAt(STATES.waiting), 1100);
  });

  it('waits longer when the watchdog asks for it, but not for ever', () => {
    const limited = stepLink(STATES.greeting, received(reject('limit', 5000)), 200).state;
    assert.equal(linkWakeAt(limited), 5200);
    const eager = stepLink(STATES.greeting, received(reject('limit', 10)), 200).state;
    assert.equal(linkWakeAt(eager), 1200);
    const endless = stepLink(STATES.greeting, received(reject('limit', 0xffff_ffff)), 200).state;
    assert.equal(linkWakeAt(endless), 200 + MAX_RETRY_AFTER_MS);
  });

  it('announces new timing right after WELCOME when a reload came between HELLO and WELCOME', () => {
    const { effects } = drive(
      STATES.greeting,
      [150, { type: 'configured', settings: { ...SETTINGS, intervalMs: 500 } }],
      [200, received(welcome())],
    );
    assert.deepEqual(effects.map(inWords), ['report up', 'send retime', 'send beat']);
  });

  it('takes a watchdog that does not know its cluster yet', () => {
    assert.equal(
      stepLink(STATES.greeting, received(welcome({ systemIdentifier: 0n })), 200).state.phase,
      'up',
    );
  });
});

describe('reports of failures', () => {
  /** One failing attempt every second with the given texts; what is reported, with the second. */
  function attempts(texts: readonly string[]): readonly string[] {
    let state: LinkState = STATES.connecting;
    const reports: string[] = [];
    texts.forEach((text, index) => {
      const now = 1000 * (index + 1);
      const stepped = stepLink(state, { type: 'closed', text }, now);
      for (const effect of stepped.effects)
        if (effect.do === 'reportFailure') reports.push(`${index} ${inWords(effect)}`);
      state = drive(
        stepped.state,
        [now + 1000, woke()],
        [now + 1000, { type: 'resolved', addresses: ['a'] }],
      ).state;
    });
    return reports;
  }

  it('come once while the cause stays the same, then as a summary a minute', () => {
    assert.equal(FAILURE_SUMMARY_MS, 60_000);
    assert.deepEqual(attempts(new Array(125).fill('refused')), [
      '0 report failure first: refused',
      '60 report failure 61: refused',
      '120 report failure 121: refused',
    ]);
  });

  it('come again when the cause changes', () => {
    assert.deepEqual(attempts(['refused', 'refused', 'no route', 'no route']), [
      '0 report failure first: refused',
      '2 report failure first: no route',
    ]);
  });

  it('a refusal that is repeated is reported once, then as a summary a minute', () => {
    let state: LinkState = STATES.greeting;
    const reports: string[] = [];
    for (let now = 1000; now <= 130_000; now += 1000) {
      const stepped = stepLink(state, received(reject('limit', 0, 'limit of 1')), now);
      reports.push(
        ...stepped.effects.filter((effect) => effect.do !== 'disconnect').map((e) => `${now} ${inWords(e)}`),
      );
      state = drive(
        stepped.state,
        [now + 1000, woke()],
        [now + 1000, { type: 'resolved', addresses: ['a'] }],
        [now + 1000, { type: 'connected' }],
      ).state;
    }
    assert.deepEqual(reports, [
      '1000 report rejected limit',
      '61000 report failure 61: watchdog refused the link: limit of 1',
      '121000 report failure 121: watchdog refused the link: limit of 1',
    ]);
  });

  it('the recovery is reported with the attempts and the time since the first failure', () => {
    const { effects } = drive(
      STATES.waiting,
      [1100, woke()],
      [1100, { type: 'resolved', addresses: ['a'] }],
      [1200, { type: 'closed', text: 'refused' }],
      [2200, woke()],
      [2200, { type: 'resolved', addresses: ['a'] }],
      [2300, { type: 'connected' }],
      [2400, received(welcome())],
    );
    assert.deepEqual(effects.map(inWords), ['report up', 'report recovered after 2', 'send beat']);
    const recovered = effects[1];
    assert.equal(recovered?.do === 'reportRecovered' && recovered.afterMs, 2300);
  });

  it('a link that comes up at the first attempt recovers from nothing', () => {
    const { effects } = drive(STATES.greeting, [200, received(welcome())]);
    assert.ok(!effects.some((effect) => effect.do === 'reportRecovered'));
  });
});

describe('goodbye', () => {
  for (const reason of [
    'stop',
    'restart',
    'hostShutdown',
    'protocol',
    'limit',
    'instanceStopping',
  ] as const) {
    it(`of a watchdog (${reason}) is acknowledged, reported, and followed by a new attempt`, () => {
      const { state, effects } = stepLink(toUp(), received(goodbye(reason, 7000)), 200);
      assert.deepEqual(effects.slice(0, 2), [
        { do: 'send', message: { name: 'goodbyeAck' } },
        { do: 'disconnect' },
      ]);
      assert.deepEqual(effects[2], { do: 'reportGoodbye', reason, graceMs: 7000, text: 'bye' });
      assert.equal(linkWakeAt(state), 1200);
    });
  }

  it('with a reason of a later version reads as a plain stop', () => {
    const message: HeartbeatMessage = { name: 'goodbye', reason: 999, retryAfterMs: 0, text: '' };
    const { effects } = stepLink(toUp(), received(message), 200);
    assert.deepEqual(effects[2], { do: 'reportGoodbye', reason: 'stop', graceMs: 0, text: '' });
  });

  it('of conmgr names reason and grace, and waits half a second for the acknowledgement', () => {
    const { state, effects } = stepLink(
      toUp(),
      { type: 'stop', reason: 'restart', retryAfterMs: 10_000 },
      200,
    );
    assert.deepEqual(sent(effects), { name: 'goodbye', reason: 1, retryAfterMs: 10_000, text: '' });
    assert.equal(linkWakeAt(state), 700);
    const late = stepLink(state, woke(), 700).state;
    assert.equal(late.phase, 'stopped');
    assert.equal(linkWakeAt(late), NEVER);
  });
});

describe('what a watchdog tells', () => {
  it('is handed on with every ATTR', () => {
    const { effects } = stepLink(toUp(), received(attr({ ...UP, timeline: 4, text: 'slow' })), 200);
    assert.deepEqual(effects, [{ do: 'reportAttributes', attributes: { ...UP, timeline: 4, text: 'slow' } }]);
  });
});
