/** A ConmgrCore with links that are up, for tests of what it decides. */
import assert from 'node:assert/strict';
import { resolveConmgrConfig } from '../../../../src/core/config/resolve.js';
import type { ConmgrConfig } from '../../../../src/core/config/types.js';
import { ConmgrCore } from '../../../../src/core/conmgr/core.js';
import type { ConmgrEffect } from '../../../../src/core/conmgr/effects.js';
import type { Ask } from '../../../../src/core/protocol/ask.js';
import type { InstanceAttributes } from '../../../../src/core/protocol/attributes.js';
import { attributeBits } from '../../../../src/core/protocol/attributes.js';
import { encodeAttributes } from '../../../../src/core/protocol/codec.js';
import type { ConmgrMessage } from '../../../../src/core/protocol/first-phase.js';
import type { HeartbeatMessageOf } from '../../../../src/core/protocol/messages.js';
import { NEVER } from '../../../../src/core/time.js';

const ID = '0123456789abcdef0123456789abcdef';

/** The identity of another process than ID. */
export const OTHER_ID = 'fedcba9876543210fedcba9876543210';

/** How a watchdog takes a link with the default timing. */
export const WELCOME: HeartbeatMessageOf<'welcome'> = {
  name: 'welcome',
  version: 1,
  intervalMs: 10_000,
  timeoutMs: 20_000,
  restartGraceMs: 10_000,
  bootId: ID,
  systemIdentifier: 1n,
  maxFrame: 4096,
  software: '',
};

/** What a primary on timeline 1 is told as. */
export const PRIMARY: InstanceAttributes = {
  version: 1,
  state: 'up',
  bits: attributeBits('accepting', 'primary'),
  timeline: 1,
  position: 1n,
  receivedPosition: 0n,
  serverVersionNum: 170_000,
  systemIdentifier: 1n,
  leaseEpoch: 0n,
  text: '',
};

/** What an application asks that wants the primary. */
export const WRITER: Ask = {
  target: 'primary',
  prefer: [],
  exclude: [],
  attach: undefined,
  ping: false,
  app: '',
};

/** A configuration with one instance for each number. */
export function configOf(...numbers: readonly number[]): ConmgrConfig {
  const { config } = resolveConmgrConfig(
    numbers.map((n) => `backend_hostaddr${n} = 127.0.0.${n + 1}\n`).join(''),
  );
  assert.ok(config !== undefined);
  return config;
}

/** A core whose links to these instances came up at 0; nothing has been told of them. */
export function linkedCore(...numbers: readonly number[]): ConmgrCore {
  const identity = { conmgrId: ID, bootId: ID, software: 'conmgr 1', label: 'test' };
  const core = new ConmgrCore(configOf(...numbers), { identity, random: () => 0 });
  core.start(0);
  for (const number of numbers) {
    core.link(number, { type: 'resolved', addresses: [`127.0.0.${number + 1}`] }, 0);
    core.link(number, { type: 'connected' }, 0);
    core.link(number, { type: 'received', message: WELCOME }, 0);
  }
  assert.ok(core.instances.every(({ link }) => link.phase === 'up'));
  return core;
}

/** A watchdog tells of its instance. */
export function tell(
  core: ConmgrCore,
  number: number,
  attributes: InstanceAttributes,
  now: number,
): readonly ConmgrEffect[] {
  return core.link(number, { type: 'received', message: encodeAttributes(attributes) }, now);
}

/** Calls wake whenever something is due, as the shell does, until nothing is or `until` has come. */
export function runOn(core: ConmgrCore, until: number): readonly ConmgrEffect[] {
  const effects: ConmgrEffect[] = [];
  for (let at = core.wakeAt(); at !== NEVER && at <= until; at = core.wakeAt())
    effects.push(...core.wake(at));
  return effects;
}

/** The names of effects in their order. */
export function kinds(effects: readonly ConmgrEffect[]): readonly string[] {
  return effects.map((effect) => effect.do);
}

/** The messages told to a session, in their order. */
export function toldTo(session: number, effects: readonly ConmgrEffect[]): readonly ConmgrMessage[] {
  return effects.flatMap((effect) =>
    effect.do === 'tell' && effect.sessions.includes(session) ? effect.messages : [],
  );
}
