import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBackend } from '../../src/core/protocol/first-phase.js';
import { type WatchedRecord, WatchedSessions } from '../../src/core/terminator/watched.js';
import { eventually } from '../support/eventually.js';
import { gatewayScenes } from '../support/gateway-scene.js';
import { startup } from '../support/raw-driver.js';
import type { ScriptedLink } from '../support/scripted-watchdog.js';

const HERE = '127.0.0.1';

const start = gatewayScenes();

const want = (link: ScriptedLink, wanted: boolean): void =>
  link.send({ name: 'wantSessions', wanted: wanted ? 1 : 0 });

/** What the watchdog at this end of a link would know. */
function known(link: ScriptedLink): WatchedRecord | undefined {
  const watched = new WatchedSessions();
  for (const { message } of link.received) if (message.name === 'sessions') watched.apply(message);
  return watched.toRecord();
}

/** Waits until the watchdog knows these sessions: [port, process ID] of this host. */
async function knows(link: ScriptedLink, ...sessions: readonly (readonly [number, number])[]): Promise<void> {
  const text = (all: readonly (readonly number[])[]): string => all.map(String).sort().join(' ');
  const pairs = (): readonly (readonly number[])[] => {
    const numbers = known(link)?.find(([address]) => address === HERE)?.[1] ?? [];
    return numbers.flatMap((port, at) => (at % 2 === 0 ? [[port, numbers[at + 1] ?? 0]] : []));
  };
  const agrees = (): boolean => known(link) !== undefined && text(pairs()) === text(sessions);
  await eventually(agrees, { what: 'the watchdog knows them' }).catch((cause: unknown) => {
    const all = [text(pairs()), text(sessions)].map((one) => one.slice(0, 100));
    throw new Error(`the watchdog knows ${pairs().length}: ${all.join('; not ')}`, { cause });
  });
}

describe('the sessions that conmgr watches', () => {
  it('are told to no watchdog that has not asked, as an older one does not', async () => {
    const { set, drive } = await start(['serves']);
    await set.conmgr.bound({ target: 'primary' });
    await drive(startup()).until(1);
    const { link } = set.watchdog(0);
    const beats = link.count('beat');
    await eventually(() => link.count('beat') > beats + 3, { what: 'some beats pass' });
    assert.equal(link.count('sessions'), 0);
  });

  it('are told when the watchdog asks: those that are there, then each that comes, is identified, or goes', async () => {
    const { set, servers, drive } = await start(['serves']);
    const { link } = set.watchdog(0);
    const first = await set.conmgr.bound({ target: 'primary' });
    await set.conmgr.untilInstance(0, 'has it', ({ sessions }) => sessions === 1);
    want(link, true);
    await knows(link, [40_000, 0]);
    first.send(encodeBackend({ kind: 'backend', pid: 4711 }));
    await knows(link, [40_000, 4711]);
    const driver = drive(startup());
    await driver.until(1);
    const port = servers[0]!.ends[0]!.socket.remotePort!;
    const pid = servers[0]!.key.readUInt32BE(0);
    await knows(link, [40_000, 4711], [port, pid]);
    driver.socket.destroy();
    await knows(link, [40_000, 4711]);
    first.leave();
    await knows(link);
  });

  it('are told to the watchdog of their own server only', async () => {
    const { set } = await start(['serves', 'serves']);
    for (const { link } of set.watchdogs) want(link, true);
    const app = await set.conmgr.bound({ target: 'any' }, 0);
    await knows(set.watchdog(0).link, [40_000, 0]);
    await knows(set.watchdog(1).link);
    app.bind(1);
    await knows(set.watchdog(0).link);
    await knows(set.watchdog(1).link, [40_000, 0]);
  });

  it('are told no more when the watchdog says so, and anew on a new link when it asks there', async () => {
    const { set } = await start(['serves']);
    const watchdog = set.watchdog(0);
    const before = watchdog.link;
    want(before, true);
    await knows(before);
    want(before, false);
    await set.conmgr.bound({ target: 'primary' });
    const count = before.count('sessions');
    const beats = before.count('beat');
    await eventually(() => before.count('beat') > beats + 3, { what: 'some beats pass' });
    assert.equal(before.count('sessions'), count);
    const coming = watchdog.nextLink();
    before.reset();
    const link = await coming;
    await set.conmgr.untilInstance(0, 'is monitored', ({ health }) => health === 'monitored');
    assert.equal(link.count('sessions'), 0);
    want(link, true);
    await knows(link, [40_000, 0]);
  });

  it('a thousand at once are told in a few frames, and then nothing more', async () => {
    // This process makes the applications and is the watchdog, too: it may be late itself.
    const { set } = await start(['serves'], { heartbeat_timeout: '10s' });
    const apps = Array.from({ length: 1000 }, () => set.conmgr.ask({ target: 'primary' }));
    await Promise.all(apps.map((app) => app.candidates()));
    for (const [at, app] of apps.entries()) app.bind(0, HERE, 20_000 + at);
    await set.conmgr.untilInstance(0, 'has them', ({ sessions }) => sessions === 1000);
    const { link } = set.watchdog(0);
    want(link, true);
    await knows(link, ...apps.map((_app, at) => [20_000 + at, 0] as const));
    const frames = link.count('sessions');
    assert.ok(frames <= 5, `${frames} frames`);
    const beats = link.count('beat');
    await eventually(() => link.count('beat') > beats + 3, { what: 'some beats pass' });
    assert.equal(link.count('sessions'), frames);
  });
});
