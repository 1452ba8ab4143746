import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveConmgrConfig } from '../../../../src/core/config/resolve.js';
import { Outbox } from '../../../../src/core/conmgr/outbox.js';
import { kernelWatched, SeenSessions, takeSeen } from '../../../../src/core/conmgr/seen-sessions.js';
import { SessionTeller, tellSessions } from '../../../../src/core/conmgr/session-teller.js';
import { SessionTable } from '../../../../src/core/conmgr/sessions.js';
import { formatTarget } from '../../../../src/core/guard/target.js';
import { NO_WISHES } from '../../../../src/core/protocol/ask.js';
import { FRAME_LIMITS } from '../../../../src/core/protocol/messages.js';
import { WatchedSessions } from '../../../../src/core/terminator/watched.js';
import { NEVER } from '../../../../src/core/time.js';

const HERE = '10.0.0.1';
const end = (port: number) => ({ address: HERE, port });

describe('sessions that do not pass conmgr', () => {
  /** An instance, the session table, and what the watchdog knows. */
  class Scene {
    readonly seen = new SeenSessions();
    readonly teller = new SessionTeller();
    readonly sessions = new SessionTable();
    readonly instances = [{ number: 0, seen: this.seen, teller: this.teller }];
    readonly heard = new WatchedSessions();
    #now = 0;

    constructor() {
      this.sessions.onTouched = (_instance, id) => this.teller.touch(id);
    }

    want(wanted = true): void {
      this.teller.want({ wanted, maxFrame: FRAME_LIMITS.max }, this.instances[0]!, this.sessions, this.#now);
    }

    list(...ports: number[]): void {
      takeSeen(this, 0, ports.map(end));
    }

    /** A session that conmgr knows is bound to the instance. */
    bind(id: number, port: number, pid: number): void {
      const at = { instance: undefined, address: HERE, port, pid, since: 0, failed: [] };
      this.sessions.add({
        id,
        mode: 'aware',
        ask: { ...NO_WISHES, target: 'any', app: '' },
        phase: 'bound',
        ...at,
      });
      this.sessions.assign(this.sessions.get(id)!, 0);
    }

    /** [port, process ID] of each that the watchdog knows by now. */
    get known(): number[][] {
      const out = new Outbox();
      while (this.teller.dueAt !== NEVER) {
        this.#now = Math.max(this.#now, this.teller.dueAt);
        tellSessions(this.instances, this.sessions, out, this.#now);
      }
      for (const effect of out.take()) {
        if (effect.do === 'send' && effect.message.name === 'sessions') this.heard.apply(effect.message);
      }
      const numbers = this.heard.toRecord()?.[0]?.[1] ?? [];
      return numbers.flatMap((port, at) => (at % 2 === 0 ? [[port, numbers[at + 1] ?? 0]] : [])).sort();
    }
  }

  it('are told as they come and go, from the moment that the watchdog wants to know', () => {
    const scene = new Scene();
    scene.list(1, 2);
    assert.deepEqual(scene.known, []);
    scene.want();
    assert.deepEqual(scene.known, [
      [1, 0],
      [2, 0],
    ]);
    scene.list(2, 3);
    assert.deepEqual(scene.known, [
      [2, 0],
      [3, 0],
    ]);
    scene.list();
    assert.deepEqual(scene.known, []);
  });

  it('are told once where conmgr knows them as well, with what it knows', () => {
    const scene = new Scene();
    scene.want();
    scene.list(1, 2);
    scene.bind(7, 1, 4711);
    assert.deepEqual(scene.known, [
      [1, 4711],
      [2, 0],
    ]);
    scene.list(1, 2);
    assert.deepEqual(scene.known, [
      [1, 4711],
      [2, 0],
    ]);
    // The application has left conmgr; its connection stands.
    scene.sessions.remove(7);
    scene.list(1, 2);
    assert.deepEqual(scene.known, [
      [1, 0],
      [2, 0],
    ]);
  });

  it('of an instance that has left the configuration are nobody’s', () => {
    const scene = new Scene();
    takeSeen(scene, 5, [end(1)]);
    assert.equal(scene.seen.size, 0);
  });
});

describe('what is asked of conmgr-helper about them', () => {
  const placed = (number: number, wanted: boolean, guard = true) => ({
    number,
    host: `192.0.2.${number}`,
    address: '',
    config: { backendPort: 5432, guard },
    health: { phase: 'monitored' as const },
    teller: { wanted },
  });
  const watched = (text: string, ...instances: ReturnType<typeof placed>[]) => {
    const { config } = resolveConmgrConfig(`backend_host0 = 192.0.2.1\nbackend_port0 = 5432\n${text}`);
    assert.ok(config);
    const { guarded, redirected, listeners } = kernelWatched(config, instances);
    const targets = (all: typeof guarded) => all.map(({ target }) => formatTarget(target));
    return { guarded: targets(guarded), redirected: targets(redirected), listeners };
  };
  const LISTENER = 'listener_port0 = 27547\nlistener_target_session_attrs0 = primary\n';

  it('is nothing while no watchdog wants to know', () => {
    const { guarded, redirected } = watched(
      `guard = on\n${LISTENER}`,
      placed(1, false),
      placed(2, false, false),
    );
    assert.deepEqual([guarded, redirected], [[], []]);
  });

  it('is all connections to instances that are guarded, and to the others those that came by a listener', () => {
    assert.deepEqual(watched(`guard = on\n${LISTENER}`, placed(1, true), placed(2, false, false)), {
      guarded: ['192.0.2.1:5432'],
      redirected: ['192.0.2.2:5432'],
      listeners: [27547],
    });
  });

  it('is nothing of instances that are neither guarded nor redirected to', () => {
    const { guarded, redirected } = watched('guard = on\n', placed(1, true, false));
    assert.deepEqual([guarded, redirected], [[], []]);
    const forwarded = watched(`${LISTENER}listener_mode0 = gateway\n`, placed(1, true));
    assert.deepEqual([forwarded.guarded, forwarded.redirected], [[], []]);
  });
});
