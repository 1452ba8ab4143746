/** A simulated conmgr: ConmgrCore with simulated IO. */
import { Buffer } from 'node:buffer';
import type { TargetSessionAttrs } from '../../../src/core/cluster/target-session.js';
import type { ConmgrConfig, InstanceConfig } from '../../../src/core/config/types.js';
import { ConmgrCore, type CoreStopMode } from '../../../src/core/conmgr/core.js';
import type { ConmgrEffect } from '../../../src/core/conmgr/effects.js';
import type { LinkEvent } from '../../../src/core/link/link.js';
import { CONMGR_MESSAGES } from '../../../src/core/messages/conmgr.js';
import { renderMessage } from '../../../src/core/messages/message.js';
import type { Ask } from '../../../src/core/protocol/ask.js';
import {
  agreedFrameLimit,
  decodeHeartbeat,
  encodeHeartbeat,
  ProtocolViolation,
} from '../../../src/core/protocol/codec.js';
import type { ConmgrMessage } from '../../../src/core/protocol/first-phase.js';
import { FrameReader } from '../../../src/core/protocol/framer.js';
import type { ErrorFields } from '../../../src/core/protocol/startup.js';
import { ORDERLY_END, type TcpEnd } from './network.js';
import { SimProcess } from './process.js';
import type { World } from './world.js';

/** What a name resolves to, and how long that takes; undefined: resolution fails. */
export interface NameAnswer {
  readonly addresses: readonly string[] | undefined;
  readonly afterMs: number;
}

/** An application's end of its attachment. */
export interface Attached {
  receive(messages: readonly ConmgrMessage[], closes: boolean): void;
  refused(error: ErrorFields): void;
  /** The connection to conmgr ended without a word. */
  broken(): void;
}

export class ConmgrProcess {
  readonly name: string;
  /** As the servers see it. */
  readonly address: string;
  /** Its own address, where that is translated on the way to the servers. */
  readonly inside: string | undefined;
  readonly #world: World;
  readonly #config: ConmgrConfig;
  readonly #links = new Map<number, TcpEnd>();
  readonly #probes = new Map<number, TcpEnd>();
  readonly #heard = new Map<number, number>();
  readonly #attached = new Map<number, Attached>();
  readonly #wake = (): void => this.#act(() => this.#core.wake(this.#world.now));
  #process: SimProcess;
  #core: ConmgrCore;
  #boots = 0;
  #nextSession = 1;

  constructor(world: World, name: string, address: string, config: ConmgrConfig, inside?: string) {
    this.#world = world;
    this.name = name;
    this.address = address;
    this.inside = inside;
    this.#config = config;
    this.#process = new SimProcess(world.timeline);
    this.#core = this.#newCore();
  }

  get core(): ConmgrCore {
    return this.#core;
  }

  get alive(): boolean {
    return this.#process.alive;
  }

  get process(): SimProcess {
    return this.#process;
  }

  /** Starts it, or starts it again: the same identity with a new boot id. */
  start(config: ConmgrConfig = this.#core.config): void {
    this.#process = new SimProcess(this.#world.timeline);
    this.#core = this.#newCore(config);
    this.#act(() => this.#core.start(this.#world.now));
  }

  /** SIGKILL: the kernel ends its connections. */
  kill(): void {
    this.#process.kill();
    for (const end of this.#links.values()) end.end();
    this.#over();
  }

  stop(mode: CoreStopMode): void {
    const meant = mode === 'restart' && this.#world.flaw === 'restart-as-stop' ? 'fast' : mode;
    this.#act(() => this.#core.stop(meant, this.#world.now));
  }

  /** SIGSTOP. */
  freeze(): void {
    this.#process.stop();
    if (this.#world.flaw !== 'data-path') return;
    for (const { name, conmgr, instance } of this.#world.applications.values())
      if (conmgr === this.name && instance !== undefined)
        this.#world.server(instance).end(name, 'somebody between');
  }

  /** Numbers of the instances that an application would be sent to now. */
  offers(target: TargetSessionAttrs): readonly number[] {
    const offered = this.#core.resolve(target).map(({ instance }) => instance);
    const { flaw } = this.#world;
    if (target !== 'read-write' || (flaw !== 'every-primary' && flaw !== 'older-primary')) return offered;
    const primaries = [...this.#world.servers.values()]
      .filter((server) => server.primary)
      .sort((a, b) => a.timeline - b.timeline)
      .map((server) => Number(server.name.slice(2)));
    return flaw === 'every-primary' ? primaries : primaries.slice(0, 1);
  }

  /** When something of an instance last reached it: octets of its watchdog, the end of a link, an answer to a probe. */
  heardOf(number: number): number {
    return this.#heard.get(number) ?? 0;
  }

  reconfigure(change: Partial<ConmgrConfig>): void {
    this.#act(() => this.#core.reconfigure({ ...this.#core.config, ...change }, this.#world.now));
  }

  forgetCluster(): void {
    this.#act(() => this.#core.forgetCluster(this.#world.now));
  }

  resolveConflict(instance: number): boolean {
    let found = false;
    this.#act(() => {
      const decided = this.#core.resolveConflict(instance, this.#world.now);
      found = decided.found;
      return decided.effects;
    });
    return found;
  }

  /** An application asks; false when nobody listens. */
  ask(
    ask: Ask,
    attached: Attached,
  ):
    | { readonly port: number; bound(instance: number, port: number, pid: number): void; close(): void }
    | undefined {
    if (!this.alive) return undefined;
    const id = this.#nextSession++;
    this.#attached.set(id, attached);
    this.#act(() => this.#core.ask(id, ask, this.#world.now));
    return {
      port: 40_000 + id,
      bound: (instance, port, pid) => {
        this.#act(() => this.#core.bound(id, instance, this.inside ?? this.address, port));
        this.#act(() => this.#core.backend(id, pid));
      },
      close: () => {
        this.#attached.delete(id);
        this.#act(() => this.#core.closed(id, this.#world.now));
      },
    };
  }

  #newCore(config: ConmgrConfig = this.#config): ConmgrCore {
    this.#boots += 1;
    return new ConmgrCore(config, {
      identity: {
        conmgrId: Buffer.from(this.name.padEnd(16, '.')).toString('hex').slice(0, 32),
        bootId: this.#boots.toString(16).padStart(32, '0'),
        software: 'conmgr',
        label: this.name,
      },
      random: this.#world.random,
    });
  }

  /** Does something within the process, now or when it goes on. */
  #act(deed: () => readonly ConmgrEffect[]): void {
    this.#process.post(() => {
      for (const effect of deed()) this.#carryOut(effect);
      this.#process.setTimer(this.#core.wakeAt(), this.#wake);
    });
  }

  #link(number: number, event: LinkEvent): void {
    this.#act(() => this.#core.link(number, event, this.#world.now));
  }

  #carryOut(effect: ConmgrEffect): void {
    switch (effect.do) {
      case 'resolve':
        this.#resolve(effect.instance);
        return;
      case 'connect':
        this.#connect(effect.instance, effect.address);
        return;
      case 'send':
        this.#links.get(effect.instance)?.send(encodeHeartbeat(effect.message));
        return;
      case 'disconnect':
      case 'forget':
        this.#disconnect(effect.instance);
        return;
      case 'probe':
        this.#probe(effect.instance, effect.timeoutMs);
        return;
      case 'tell':
        if (this.#world.flaw === 'silent-conmgr' && effect.messages.some(({ kind }) => kind === 'down'))
          return;
        for (const id of effect.sessions) {
          const attached = this.#attached.get(id);
          if (effect.close) this.#attached.delete(id);
          attached?.receive(effect.messages, effect.close);
        }
        return;
      case 'refuse': {
        const attached = this.#attached.get(effect.session);
        this.#attached.delete(effect.session);
        attached?.refused(effect.error);
        return;
      }
      case 'log': {
        if (this.#world.quiet) return;
        const { level, text } = renderMessage(CONMGR_MESSAGES[effect.message], effect.params);
        this.#world.note(this.name, `${level}: ${text}`);
        return;
      }
      case 'changed':
        return;
      case 'route':
      case 'hold':
      case 'reset':
        throw new Error('the simulation has no stock drivers');
      case 'exit':
        if (!this.alive) return;
        this.#world.note(this.name, 'exits');
        this.#process.kill();
        for (const end of this.#links.values()) end.end();
        this.#over();
    }
  }

  /** The process is gone. */
  #over(): void {
    this.#links.clear();
    this.#probes.clear();
    const broken = [...this.#attached.values()];
    this.#attached.clear();
    for (const attached of broken) attached.broken();
  }

  #configOf(number: number): InstanceConfig | undefined {
    return this.#core.instances.find((one) => one.number === number)?.config;
  }

  #resolve(number: number): void {
    if (this.#world.flaw === 'no-reconnect' && this.#heard.has(number)) return;
    const { addresses, afterMs } = this.#world.resolve(this.#configOf(number)?.host ?? '');
    this.#world.timeline.after(afterMs, () =>
      this.#link(
        number,
        addresses === undefined
          ? { type: 'resolveFailed', text: 'name or service not known' }
          : { type: 'resolved', addresses },
      ),
    );
  }

  #connect(number: number, address: string): void {
    this.#disconnect(number);
    const reader = new FrameReader();
    const report = (event: LinkEvent) =>
      this.#process.post(() => {
        if (this.#links.get(number) === end) this.#link(number, event);
      });
    const read = (bytes: Buffer) => {
      try {
        for (const frame of reader.push(bytes)) {
          const message = decodeHeartbeat(frame);
          if (message?.name === 'welcome') reader.setLimit(agreedFrameLimit(message.maxFrame));
          report({ type: 'received', message });
        }
      } catch (error) {
        if (!(error instanceof ProtocolViolation)) throw error;
        report({ type: 'violated', text: error.message });
      }
    };
    const end = this.#world.network.connect(this.name, address, 'watchdog', {
      connected: () => report({ type: 'connected' }),
      data: (bytes) =>
        this.#process.post(() => {
          this.#heard.set(number, this.#world.now);
          read(bytes);
        }),
      closed: (text) =>
        this.#process.post(() => {
          if (text === ORDERLY_END) this.#heard.set(number, this.#world.now);
          report({ type: 'closed', text });
        }),
    });
    this.#links.set(number, end);
  }

  #disconnect(number: number): void {
    const end = this.#links.get(number);
    this.#links.delete(number);
    end?.end();
  }

  #probe(number: number, timeoutMs: number): void {
    const instance = this.#core.instances.find((one) => one.number === number);
    if (instance === undefined) return;
    this.#probes.get(number)?.destroy();
    const settle = (seen: boolean, text: string) =>
      this.#process.post(() => {
        if (this.#probes.get(number) !== end) return;
        const answered = seen && this.#world.flaw !== 'deaf-probe';
        if (answered) this.#heard.set(number, this.#world.now);
        this.#probes.delete(number);
        end.destroy();
        this.#act(() => this.#core.probed(number, answered, text, this.#world.now));
      });
    const address = instance.address || this.#world.resolve(instance.host).addresses?.[0] || '';
    const end = this.#world.network.connect(this.name, address, 'postgres', {
      connected: () => end.send(Buffer.from('probe')),
      data: () => settle(true, ''),
      closed: (text) => settle(false, text),
    });
    this.#probes.set(number, end);
    this.#world.timeline.wakeAt(this.#world.now + timeoutMs, () =>
      settle(false, `no answer within ${timeoutMs} ms`),
    );
  }
}
