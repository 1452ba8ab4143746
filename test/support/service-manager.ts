/**
 * What systemd does for one unit as far as descriptors go: keeps those that are stored, gives them to each process that
 * it starts, and answers barriers.
 */
import { closeSync, fstatSync } from 'node:fs';
import { join } from 'node:path';
import { type Datagram, DatagramReceiver } from './datagram-receiver.js';
import { eventually } from './eventually.js';
import type { StartOptions } from './running.js';
import { temporaryDirectory } from './tree.js';

export class ServiceManager {
  /** Other messages, as they came. */
  readonly told: string[] = [];
  readonly #path = join(temporaryDirectory(), 'notify');
  readonly #socket = new DatagramReceiver(this.#path);
  readonly #most: number;
  #store: { readonly name: string; readonly fd: number }[] = [];
  #closed = false;

  /** `most`: FileDescriptorStoreMax=. */
  constructor(most = 100) {
    this.#most = most;
    void this.#listen();
  }

  /** Names in the store, sorted. */
  get names(): readonly string[] {
    return this.#store.map(({ name }) => name).sort();
  }

  /** How a process of the unit is started now. */
  start(): Required<Pick<StartOptions, 'env' | 'fds' | 'within'>> {
    const names = this.#store.map(({ name }) => name);
    return {
      env: {
        NOTIFY_SOCKET: this.#path,
        ...(names.length === 0 ? {} : { LISTEN_FDS: String(names.length), LISTEN_FDNAMES: names.join(':') }),
      },
      fds: this.#store.map(({ fd }) => fd),
      within: ['sh', '-c', 'LISTEN_PID=$$ exec "$0" "$@"'],
    };
  }

  async stored(...names: readonly string[]): Promise<void> {
    const wanted = [...names].sort().join();
    await eventually(() => this.names.join() === wanted, { what: `the store holds ${wanted || 'nothing'}` });
  }

  async saysOneLike(pattern: RegExp): Promise<void> {
    await eventually(() => this.told.some((text) => pattern.test(text)), { what: String(pattern) });
  }

  /** Reads no more. */
  deaf(): void {
    this.#socket.pause();
  }

  /** Closes everything; the unit is down. */
  close(): void {
    this.#closed = true;
    this.#socket.close();
    for (const { fd } of this.#store) closeSync(fd);
    this.#store = [];
  }

  async #listen(): Promise<void> {
    while (!this.#closed) this.#take(await this.#socket.next());
  }

  #take({ bytes, fds }: Datagram): void {
    const lines = bytes.toString('utf8').split('\n');
    const [, name = ''] = /^FDNAME=(.*)$/m.exec(bytes.toString('utf8')) ?? [];
    if (lines.includes('FDSTORE=1')) this.#keep(name, fds);
    else {
      for (const fd of fds) closeSync(fd);
      if (lines.includes('FDSTOREREMOVE=1')) this.#drop(name);
      else if (!lines.includes('BARRIER=1')) this.told.push(bytes.toString('utf8'));
    }
  }

  #keep(name: string, fds: readonly number[]): void {
    for (const fd of fds) {
      const isKnown = this.#store.some((one) => fstatSync(one.fd).ino === fstatSync(fd).ino);
      if (!isKnown && this.#store.length < this.#most) this.#store.push({ name, fd });
      else closeSync(fd);
    }
  }

  #drop(name: string): void {
    for (const one of this.#store) if (one.name === name) closeSync(one.fd);
    this.#store = this.#store.filter((one) => one.name !== name);
  }
}
