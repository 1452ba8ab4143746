/**
 * An application with many sessions of both kinds, and what it sees of a restart of conmgr: errors, pauses, bytes that are
 * not those that were sent.
 */
import type { Program } from './commands.js';
import type { Instance } from './instance.js';
import { copyNodePackage } from './node-packages.js';

/** How many sessions it has. */
export interface Crowd {
  /** Of each kind. */
  readonly sessions: number;
  /** Of the stock ones, so many have bytes in flight, in each direction, when they are told to. */
  readonly transfers: number;
  /** And so many have a query that runs, most of the time. */
  readonly sleepers: number;
  /** Others that connect, ask something, and leave, all the time. */
  readonly visitors: number;
  /** Each asks something at random moments, this far from each other in the mean. */
  readonly everyMs: number;
}

/**
 * Sessions that ask something now and then, and others that come and go all the time. Commands on standard input:
 * `hold` begins transfers that are not read by the application, `upload` transfers that are not read by the server, which
 * the test has stopped; `release` ends both; `mark` begins to count; after `all` it says `worked` when each session has
 * asked something and was answered, or how many were lost; `report`.
 */
const APPLICATION = `
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { Client } = require('pg');
const { CmClient } = require('conmgr/client');
const [sessionsOf, transfersOf, sleepersOf, visitorsOf, everyMs] = process.argv.slice(2).map(Number);
const place = { host: 'localhost', port: 27546, user: 'postgres', database: 'postgres' };
const say = (text) => console.log(text);
let counted;
const reset = () => { counted = { errors: [], slowestMs: 0, connects: 0 }; };
reset();
const fail = (kind, error) => counted.errors.push(kind + ': ' + (error.code ?? '') + ' ' + error.message);

async function open(kind, Class, options = {}) {
  const client = new Class({ ...place, application_name: kind, ...options });
  client.on('error', (error) => fail(kind, error));
  await client.connect();
  return client;
}

// How long this process has waited for a processor that others had: no pause that conmgr makes.
const heldUpMs = () => Number(readFileSync('/proc/self/schedstat', 'latin1').split(' ')[1]) / 1e6;
let lost = 0;
let unseen = new Set();
async function work(kind, client, asks, takesMs) {
  for (;;) {
    await sleep(Math.random() * 2 * everyMs);
    const begun = performance.now() - heldUpMs();
    try {
      await client.query(asks);
    } catch (error) {
      fail(kind, error);
      lost += 1;
      return;
    }
    counted.slowestMs = Math.max(counted.slowestMs, performance.now() - heldUpMs() - begun - takesMs);
    unseen.delete(client);
  }
}

async function comeAndGo() {
  for (;;) {
    const client = new Client(place);
    try {
      client.on('error', () => {});
      await client.connect();
      await client.query('select 1');
      await client.end();
      counted.connects += 1;
    } catch (error) {
      fail('connect', error);
    }
    await sleep(50);
  }
}

const LINE = 'conmgr '.repeat(10000);
const download = async (client) => {
  const { rows } = await client.query('select repeat($1, 10000) as line from generate_series(1, 60)', ['conmgr ']);
  if (rows.length !== 60 || rows.some(({ line }) => line !== LINE)) throw new Error('other bytes');
};
const upload = async (client, at) => {
  const text = (at + LINE).repeat(200);
  const { rows } = await client.query('select md5($1) as sum', [text]);
  if (rows[0].sum !== createHash('md5').update(text).digest('hex')) throw new Error('other bytes');
};

(async () => {
  const clients = [];
  for (let i = 0; i < sessionsOf; i += 20) {
    clients.push(...await Promise.all(Array.from({ length: 20 }, async (_, at) => {
      const aware = await open('aware', CmClient, { target_session_attrs: 'read-write' });
      void work('aware', aware, 'select 1', 0);
      const stock = await open('stock', Client);
      const number = i + at;
      if (number >= 2 * transfersOf) {
        if (number < 2 * transfersOf + sleepersOf) void work('sleeper', stock, 'select pg_sleep(1)', 1000);
        else void work('stock', stock, 'select 1', 0);
      }
      return { aware, stock };
    })));
  }
  const stocks = clients.map(({ stock }) => stock);
  const [downloads, uploads] = [stocks.slice(0, transfersOf), stocks.slice(transfersOf, 2 * transfersOf)];
  const workers = [...stocks.slice(2 * transfersOf), ...clients.map(({ aware }) => aware)];
  for (let i = 0; i < visitorsOf; i += 1) void comeAndGo();
  let transfers = [];
  const acts = {
    hold: async () => {
      transfers = downloads.map(download);
      for (const { connection } of downloads) connection.stream.pause();
      say('holding, uploaders ' + uploads.map(({ processID }) => processID).join(' '));
    },
    upload: async () => {
      transfers.push(...uploads.map(upload));
      say('uploading');
    },
    mark: async () => { reset(); say('marked'); },
    all: async () => {
      unseen = new Set(workers);
      while (unseen.size > lost) await sleep(20);
      say(lost === 0 ? 'worked' : 'lost ' + lost);
    },
    release: async () => {
      for (const { connection } of downloads) connection.stream.resume();
      await Promise.all(transfers).then(() => say('released'), (error) => say('not released: ' + error.message));
    },
    report: async () => say('report ' + JSON.stringify(counted)),
  };
  createInterface({ input: process.stdin }).on('line', (line) => void acts[line]());
  say('ready');
})().catch((error) => { say('failed: ' + error.stack); process.exit(1); });
`;

/** What the application counts. */
export interface Counted {
  readonly errors: readonly string[];
  readonly slowestMs: number;
  readonly connects: number;
}

export class SessionCrowd {
  private constructor(private readonly program: Program) {}

  /** Starts it on the host of an instance; returns when all sessions are there. */
  static async start(
    { host }: Instance,
    { sessions, transfers, sleepers, visitors, everyMs }: Crowd,
  ): Promise<SessionCrowd> {
    await copyNodePackage(host, 'pg');
    await host.write('/srv/crowd.js', APPLICATION);
    const counts = [sessions, transfers, sleepers, visitors, everyMs].map(String);
    const program = host.start(['node', '/srv/crowd.js', ...counts], { user: 'postgres' });
    await program.waitForLine(/^ready$/, { timeoutMs: 150_000 });
    return new SessionCrowd(program);
  }

  /** What it sees of something, until each of its sessions was answered after that. */
  async during(action: () => Promise<unknown>): Promise<Counted> {
    await this.mark();
    await action();
    await this.#tell('all', /^(?:worked|lost \d+)$/);
    return this.report();
  }

  /** Counts from now on. */
  async mark(): Promise<void> {
    await this.#tell('mark', /^marked$/);
  }

  async report(): Promise<Counted> {
    return JSON.parse((await this.#tell('report', /^report .*/)).slice('report '.length)) as Counted;
  }

  /** Begins transfers that it does not read; yields the backends of those that it will begin then. */
  async hold(): Promise<readonly string[]> {
    return (await this.#tell('hold', /^holding.*/)).split(' ').slice(2);
  }

  /** Begins to send to these backends. */
  async upload(): Promise<void> {
    await this.#tell('upload', /^uploading$/);
  }

  /** Ends all transfers: `released` if every byte was right. */
  release(): Promise<string> {
    return this.#tell('release', /^(?:not )?released.*/);
  }

  async #tell(command: string, answer: RegExp): Promise<string> {
    const after = this.program.lines.length;
    this.program.stdin.write(`${command}\n`);
    const [line] = await this.program.waitForLine(answer, { after, timeoutMs: 40_000 });
    return line;
  }
}
