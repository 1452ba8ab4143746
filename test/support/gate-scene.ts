/** The watchdog's end of protected links on a real port, and calls of conmgr's end to it. */
import { once } from 'node:events';
import net from 'node:net';
import { after, before } from 'node:test';
import type { HeartbeatMessage } from '../../src/core/protocol/messages.js';
import type { GateSecurity, LinkSecurity } from '../../src/io/link-security.js';
import { connectFramed, FramedSocket } from '../../src/io/tcp-frames.js';
import { TlsGate } from '../../src/io/tls-gate.js';
import { eventually } from './eventually.js';

/** One call of conmgr's end. */
export interface Calling {
  readonly framed: FramedSocket;
  readonly heard: string[];
  /** The words for its end. */
  readonly closed: Promise<string>;
}

/** For the tests of one file, from the first to the last. */
export class GateScene {
  readonly server: net.Server;
  port = 0;
  /** What the watchdog's end told since `open`, in order. */
  told: string[] = [];
  /** Its links since then. */
  links: FramedSocket[] = [];
  gate: TlsGate | undefined;

  constructor() {
    this.server = net.createServer((raw) => this.#accept(raw));
    before(async () => {
      this.server.listen(0, '127.0.0.1');
      await once(this.server, 'listening');
      this.port = (this.server.address() as net.AddressInfo).port;
    });
    after(() => {
      this.server.close();
    });
  }

  /** From here on the watchdog's end is protected like this. */
  open(security: GateSecurity): void {
    this.gate = new TlsGate(security);
    this.told = [];
    this.links = [];
  }

  call(security: LinkSecurity, to = this.port, host?: string): Calling {
    const heard: string[] = [];
    let close: (text: string) => void = () => {};
    const closed = new Promise<string>((resolve) => {
      close = resolve;
    });
    const framed = connectFramed(
      { address: '127.0.0.1', port: to, security, ...(host === undefined ? {} : { host }) },
      {
        connected: () => heard.push('connected'),
        message: (message) => heard.push(`message ${message?.name}`),
        violated: (text) => heard.push(`violated ${text}`),
        closed: close,
      },
    );
    return { framed, heard, closed };
  }

  async isTold(text: string): Promise<void> {
    await eventually(() => this.told.includes(text), {
      everyMs: 2,
      what: `told "${text}", of: ${this.told.join('; ')}`,
    });
  }

  #accept(raw: net.Socket): void {
    const { told, links } = this;
    this.gate?.accept(raw, {
      secured: (socket, below) => {
        told.push('secured');
        const events = {
          message: (message: HeartbeatMessage | undefined) => told.push(`message ${message?.name}`),
          violated: (text: string) => told.push(`violated ${text}`),
          closed: (text: string) => told.push(`closed: ${text}`),
        };
        links.push(new FramedSocket(socket, events, below));
      },
      unproven: (text, socket) => {
        told.push(`unproven: ${text}`);
        socket.destroy();
      },
      plain: () => {
        told.push('plain');
        raw.destroy();
      },
      failed: (text) => told.push(`failed: ${text}`),
    });
  }
}
