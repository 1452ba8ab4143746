/** A simulated application: an aware driver with one SQL session. */
import type { TargetSessionAttrs } from '../../../src/core/cluster/target-session.js';
import { attributeNames } from '../../../src/core/protocol/attributes.js';
import type { Candidate, ConmgrMessage, DownReason } from '../../../src/core/protocol/first-phase.js';
import type { ErrorFields } from '../../../src/core/protocol/startup.js';
import type { ConmgrProcess } from './conmgr-process.js';
import type { EndedBy } from './postgres.js';
import type { World } from './world.js';

/** Pause of a driver between attempts to attach again after a restart of conmgr. */
const REATTACH_MS = 500;
/** connect_timeout of the driver for each candidate. */
const CONNECT_TIMEOUT_MS = 2000;

export class Application {
  readonly name: string;
  readonly target: TargetSessionAttrs;
  readonly #world: World;
  readonly #conmgr: ConmgrProcess;
  #attachment: ReturnType<ConmgrProcess['ask']>;
  /** Of its SQL session: its own port, and the backend. */
  #port = 0;
  #pid = 0;
  /** Instance of the SQL session that works, as far as the application knows. */
  instance: string | undefined;
  /** When conmgr said that the session is to end. */
  toldAt: number | undefined;
  /** When the server ended it. */
  endedAt: number | undefined;
  refusal: ErrorFields | undefined;
  /** When its session began, or was told to conmgr anew. */
  boundAt = 0;
  #closed = false;

  /** Its conmgr has been told of its session. */
  get isAttached(): boolean {
    return this.#attachment !== undefined;
  }

  /** Name of its conmgr. */
  get conmgr(): string {
    return this.#conmgr.name;
  }

  constructor(world: World, conmgr: ConmgrProcess, name: string, target: TargetSessionAttrs) {
    this.#world = world;
    this.#conmgr = conmgr;
    this.name = name;
    this.target = target;
  }

  attach(exclude: readonly number[] = []): void {
    this.#ask(undefined, exclude);
    if (this.#attachment === undefined) this.#note('finds no conmgr');
  }

  /** The application ends its session. */
  detach(): void {
    this.#closed = true;
    this.#attachment?.close();
    this.#leaveServer();
  }

  #ask(attach: number | undefined, exclude: readonly number[]): void {
    this.#attachment = this.#conmgr.ask(
      { target: this.target, prefer: [], exclude, attach, ping: false, app: this.name },
      {
        receive: (messages, closes) => this.#receive(messages, closes),
        refused: (error) => {
          this.refusal = error;
          this.#note(`refused: ${error.message} (${error.detail ?? ''})`);
          // The answer may come before ask() has returned.
          this.#world.timeline.after(0, () => {
            this.#attachment = undefined;
            if (this.instance !== undefined) this.#reattach();
          });
        },
        broken: () => {
          if (this.#closed) return;
          this.#attachment = undefined;
          this.#end('told: conmgr is gone');
        },
      },
    );
  }

  #receive(messages: readonly ConmgrMessage[], closes: boolean): void {
    if (closes) this.#attachment = undefined;
    for (const message of messages) {
      switch (message.kind) {
        case 'candidates':
          // The answer may come before ask() has returned.
          this.#world.timeline.after(0, () => void this.#connect(message.candidates));
          break;
        case 'down':
          if (message.action === 'drop') {
            this.#told(message.reason, message.instance);
            this.#end(`told: drop (${message.reason}: ${message.text})`);
          } else this.#note(`advised: ${message.text}`);
          break;
        case 'changed':
          this.#note(`hears: db${message.instance} is ${attributeNames(message.bits).join(', ')}`);
          break;
        case 'bye':
          if (message.bye === 'restart') {
            this.#note('keeps its session while conmgr restarts');
            this.#reattach();
          } else {
            this.#world.observer?.({ kind: 'dismissed', application: this.name, conmgr: this.conmgr });
            this.#end(`told: ${message.text}`);
          }
          break;
        case 'hello':
        case 'ping':
          break;
      }
    }
  }

  #connect(candidates: readonly Candidate[]): void {
    const names = candidates.map(({ instance }) => `db${instance}`).join(', ');
    this.#note(`offered ${names}`);
    this.#tryNext(candidates, []);
  }

  #tryNext([first, ...rest]: readonly Candidate[], failed: readonly number[]): void {
    if (this.#closed || this.#attachment === undefined) return;
    if (first === undefined) {
      this.#note('could not connect to any');
      this.#attachment.close();
      return;
    }
    const name = `db${first.instance}`;
    const server = this.#world.server(name);
    const { network, timeline } = this.#world;
    const way = [network.passes(this.#conmgr.name, name), network.passes(name, this.#conmgr.name)];
    const reached = way.every((state) => state === 'open') && !server.stopped;
    if (reached && server.serves) {
      this.instance = name;
      const ended = (why: EndedBy) => {
        this.endedAt = this.#world.now;
        this.#world.observer?.({ kind: 'lost', application: this.name, instance: name, why });
        if (this.instance === name) this.#note(`loses its session on ${name}: ended by the server`);
        this.instance = undefined;
      };
      this.#port = this.#attachment.port;
      // Behind address translation the server sees another port, too.
      const port = this.#conmgr.inside === undefined ? this.#port : undefined;
      this.#pid = server.connect(this.name, this.#conmgr.address, ended, { port }).pid;
      this.boundAt = this.#world.now;
      this.#attachment.bound(first.instance, this.#port, this.#pid);
    } else {
      const after = reached ? 1 : CONNECT_TIMEOUT_MS;
      this.#note(`cannot connect to ${name}`);
      timeline.after(after, () => this.#tryNext(rest, [...failed, first.instance]));
    }
  }

  /** As the client library does, for as long as the session lives. */
  #reattach(): void {
    this.#attachment = undefined;
    this.#world.timeline.after(REATTACH_MS, () => {
      if (this.#closed || this.instance === undefined) return;
      const number = Number(this.instance.slice(2));
      this.#ask(number, []);
      if (this.#attachment === undefined) this.#reattach();
      else {
        this.boundAt = this.#world.now;
        this.#attachment.bound(number, this.#port, this.#pid);
      }
    });
  }

  #told(reason: DownReason, number: number): void {
    const [instance, conmgr] = [`db${number}`, this.conmgr];
    this.#world.observer?.({ kind: 'told', application: this.name, conmgr, instance, reason });
  }

  /** conmgr says that the session is over: the driver destroys its SQL connection. */
  #end(text: string): void {
    this.toldAt = this.#world.now;
    this.#note(text);
    this.#leaveServer();
    const attachment = this.#attachment;
    this.#attachment = undefined;
    this.#world.timeline.after(1, () => attachment?.close());
  }

  #leaveServer(): void {
    const name = this.instance;
    this.instance = undefined;
    if (name === undefined) return;
    // FIN reaches the server only if there is a way.
    const { network } = this.#world;
    if (network.passes(this.#conmgr.name, name) === 'open') {
      const server = this.#world.server(name);
      server.backends.delete(this.name);
    }
  }

  #note(text: string): void {
    this.#world.note(this.name, text);
  }
}
