/**
 * The second socket of an aware application: the connection to conmgr that stays open beside the SQL connection
 * and tells of a loss. Carries out what the attachment's machine decides.
 */
import type { Socket } from 'node:net';
import {
  ATTACHMENT,
  type AttachmentEffect,
  type AttachmentEvent,
  type AttachmentState,
  type LossReason,
  newAttachment,
} from '../core/client/attachment.js';
import { PeerMessageReader } from '../core/client/peer-messages.js';
import { step } from '../core/fsm.js';
import { ProtocolViolation } from '../core/protocol/codec.js';
import { decodeConmgrMessage, encodeBackend, encodeBound } from '../core/protocol/first-phase.js';
import type { Clock, TimerHandle } from '../core/time.js';
import type { Asked } from './first-phase.js';
import { CLOSE_MESSAGE } from './first-phase.js';

type AskedConmgr = Extract<Asked, { kind: 'conmgr' }>;

/** Keepalive towards a conmgr on another host; on the same host nothing can vanish silently. */
const KEEPALIVE_MS = 10_000;

/** The SQL connection's own end, as conmgr and the server see it; '' and 0 for a Unix socket. */
export interface LocalEnd {
  readonly address: string;
  readonly port: number;
  /** Process ID of the backend, from BackendKeyData. */
  readonly pid?: number | undefined;
}

/** What the shell of an attachment needs. */
export interface SideSocketOptions {
  /** Wherefrom a wait takes its time; its timers must not keep the process alive. */
  readonly clock: Clock;
  /** conmgrLost: 'keep'. */
  readonly keep: boolean;
  /** A number from 0 up to but not including 1, for the jitter. */
  readonly random: () => number;
  /** Asks the same conmgr with attach=N. */
  readonly reattach: (instance: number) => Promise<Asked>;
}

/** Called once when the SQL connection is to be ended. */
export type LossListener = (reason: LossReason, text: string) => void;

/** Called for an instance that is not to be used, before the SQL connection stands. */
export type DoubtListener = (instance: number, reason: LossReason, text: string) => void;

/** One attachment; made when conmgr has told its candidates. */
export class SideSocket {
  readonly #options: SideSocketOptions;
  #state: AttachmentState;
  #socket: Socket | undefined;
  #local: LocalEnd = { address: '', port: 0 };
  #timer: TimerHandle | undefined;
  #onLost: LossListener = () => {};
  #onDoubt: DoubtListener = () => {};

  constructor(asked: AskedConmgr, options: SideSocketOptions) {
    this.#options = options;
    this.#state = newAttachment(asked.graceMs, options.keep);
    this.#adopt(asked);
  }

  /** The connection to conmgr; undefined while there is none. */
  get socket(): Socket | undefined {
    return this.#socket;
  }

  /** Whether conmgr watches the session, or is expected back. */
  get watching(): boolean {
    return this.#state.phase === 'bound' || this.#state.phase === 'reattaching';
  }

  /** Who is told, while connections are being made, that an instance is not to be used any more. */
  set onDoubt(listener: DoubtListener) {
    this.#onDoubt = listener;
  }

  /** Tells conmgr where the SQL connection goes. `onLost` may be called at once: conmgr may have left meanwhile. */
  bind(instance: number, local: LocalEnd, onLost: LossListener): void {
    this.#local = local;
    this.#onLost = onLost;
    // From now on the SQL connection decides how long the process lives.
    this.#socket?.unref();
    this.#dispatch({ type: 'bind', instance });
  }

  /** The SQL connection is at its end: says goodbye to conmgr. */
  end(): void {
    this.#onLost = () => {};
    this.#dispatch({ type: 'end' });
  }

  #dispatch(event: AttachmentEvent): void {
    const { state, effects } = step(ATTACHMENT, this.#state, event, this.#options.clock.monotonicMs());
    this.#state = state;
    for (const effect of effects) this.#run(effect);
  }

  #run(effect: AttachmentEffect): void {
    switch (effect.type) {
      case 'send-bound':
        this.#socket?.write(
          encodeBound({
            kind: 'bound',
            instance: effect.instance,
            port: this.#local.port,
            address: this.#local.address,
          }),
        );
        if (this.#local.pid !== undefined)
          this.#socket?.write(encodeBackend({ kind: 'backend', pid: this.#local.pid }));
        return;
      case 'doubt':
        this.#onDoubt(effect.instance, effect.reason, effect.text);
        return;
      case 'lose':
        this.#onLost(effect.reason, effect.text);
        return;
      case 'close':
        this.#close();
        return;
      case 'wait': {
        const { fromMs, toMs } = effect;
        const delayMs = fromMs + this.#options.random() * (toMs - fromMs);
        this.#timer = this.#options.clock.setTimer(delayMs, () => this.#dispatch({ type: 'timer' }));
        return;
      }
      case 'reattach':
        this.#options.reattach(effect.instance).then(
          (asked) => {
            if (asked.kind !== 'conmgr') {
              this.#dispatch({ type: 'reattach-failed' });
              return;
            }
            // Told before what came behind HELLO is read: it may be about this very session.
            this.#own(asked.socket);
            asked.socket.unref();
            this.#dispatch({ type: 'reattached', graceMs: asked.graceMs });
            this.#listen(asked);
          },
          () => this.#dispatch({ type: 'reattach-failed' }),
        );
        return;
    }
  }

  #adopt(asked: AskedConmgr): void {
    this.#own(asked.socket);
    this.#listen(asked);
  }

  #own(socket: Socket): void {
    this.#socket = socket;
    socket.setKeepAlive(true, KEEPALIVE_MS);
  }

  #listen({ socket, rest }: AskedConmgr): void {
    const reader = new PeerMessageReader('mE');
    const closed = () => {
      if (this.#socket === socket) this.#dispatch({ type: 'closed' });
    };
    const receive = (chunk: Buffer) => {
      try {
        for (const { type, body } of reader.push(chunk)) {
          if (this.#socket !== socket) return;
          if (type === 'm') this.#receive(body);
        }
      } catch (error) {
        if (!(error instanceof ProtocolViolation)) throw error;
        socket.destroy();
        closed();
      }
    };
    if (rest.length > 0) receive(rest);
    if (this.#socket !== socket) return;
    // A conmgr that closed before anybody listened shows it here: these events are not repeated.
    if (socket.destroyed || socket.readableEnded) {
      closed();
      return;
    }
    socket.on('data', receive).on('end', closed).on('close', closed);
    socket.resume();
  }

  #receive(body: Buffer): void {
    const message = decodeConmgrMessage(body);
    if (message === 'malformed') throw new ProtocolViolation('malformed message of conmgr');
    switch (message?.kind) {
      case 'down':
        this.#dispatch({
          type: 'down',
          instance: message.instance,
          action: message.action,
          reason: message.reason,
          text: message.text,
        });
        return;
      case 'bye':
        // A restarting conmgr says how long it may take, which is also how long to knock.
        this.#dispatch({ type: 'bye', bye: message.bye, graceMs: message.retryAfterMs });
        return;
      default:
        // PING and CHANGED only show that conmgr is there.
        return;
    }
  }

  #close(): void {
    this.#timer?.cancel();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    socket.removeAllListeners().on('error', () => {});
    socket.unref();
    if (socket.writable) socket.end(CLOSE_MESSAGE, () => socket.destroy());
    else socket.destroy();
  }
}
