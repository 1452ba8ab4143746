/**
 * Applications under load on a host of the lab, of each kind that conmgr serves, and one that goes past it. Each statement's
 * result is checked, and how long each took is known; nothing is tried again.
 */
import { eventually } from '../../support/eventually.js';
import type { Program } from './commands.js';
import type { Host } from './host.js';
import { copyNodePackage } from './node-packages.js';

/** Each writer writes its numbers, each once and the next one after that was acknowledged; a reader has them echoed. */
export const WRITERS = [
  'pool0',
  'pool1',
  'transaction',
  'stock0',
  'stock1',
  'psql',
  'each',
  'psqlEach',
  'direct',
  'directEach',
];
const READERS = ['reader', 'stockReader'];
/** Those whose session is one and the same all the time, by application_name. */
export const LASTING = ['pool', 'transaction', 'stock0', 'stock1', 'psql', 'direct', 'reader', 'stockReader'];
/** They connect to the primary itself: how long they wait is the machine's doing, or the server's. */
const CONTROL = { lasting: 'direct', each: 'directEach' } as const;

const PROGRAM = `
const { spawn } = require('node:child_process');
const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { Client } = require('pg');
const { CmClient, CmPool } = require('conmgr/client');

const server = { host: 'localhost', user: 'postgres', database: 'postgres' };
const at = (name, port = 27546) => ({ ...server, port, application_name: name });
const aware = (name, target) => ({ ...at(name), target_session_attrs: target });
const INSERT = 'insert into written values ($1, $2) returning number';
let going = true;
const tallies = {};
const fail = (name, error) => console.log('failed ' + name + ': ' + error.code + ' ' + error.message);

/** Does one statement after the other, until the end or a failure; \`statement\` gives what it was to give: the number. */
async function load(name, pauseMs, statement) {
  const tally = (tallies[name] = { rows: 0, worstMs: 0 });
  try {
    for (let row = 0; going; row++) {
      const begun = performance.now();
      const got = Number(await statement(row));
      if (got !== row) throw new Error('got ' + got + ' for ' + row);
      tally.rows = row + 1;
      tally.worstMs = Math.max(tally.worstMs, performance.now() - begun);
      await sleep(pauseMs);
    }
  } catch (error) {
    fail(name, error);
  }
}
const numberOf = ({ rows }) => rows[0].number;
const writing = (name, client) => (row) => client.query(INSERT, [name, row]).then(numberOf);

async function lasting(name, client, around = []) {
  client.on('error', (error) => fail(name, error));
  await client.connect();
  for (const text of around.slice(0, 1)) await client.query(text);
  await load(name, name === 'stock0' ? 5 : 50, name.endsWith('eader')
    ? (row) => client.query('select $1::int as number', [row]).then(numberOf)
    : writing(name, client));
  for (const text of around.slice(1)) await client.query(text);
  await client.end();
}

async function pooled() {
  const pool = new CmPool({ ...aware('pool', 'read-write'), max: 2, idleTimeoutMillis: 0 });
  for (const event of ['error', 'cmLost']) pool.on(event, (error) => fail('pool', error));
  await Promise.all(['pool0', 'pool1'].map((name) => load(name, 50, writing(name, pool))));
  await pool.end();
}

/** libpq: a session that reads its statements one by one. */
async function psql() {
  const child = spawn('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', 'localhost', '-p', '27546'], {
    env: { ...process.env, PGUSER: 'postgres', PGAPPNAME: 'psql' }, stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await load('psql', 10, async (row) => {
    child.stdin.write("insert into written values ('psql', " + row + ') returning number;\\n');
    const { value, done } = await lines.next();
    if (done) throw new Error('psql has ended');
    return value;
  });
  child.stdin.end();
}

/** A connection for each statement. */
const each = (name, place) => load(name, 100, async (row) => {
  const client = new Client({ ...at(name), ...place });
  await client.connect();
  const number = await writing(name, client)(row);
  await client.end();
  return number;
});
const psqlEach = () => load('psqlEach', 500, (row) => new Promise((resolve, reject) => {
  const text = "insert into written values ('psqlEach', " + row + ') returning number';
  const child = spawn('psql', ['-XAtq', '-h', 'localhost', '-p', '27546', '-c', text], {
    env: { ...process.env, PGUSER: 'postgres', PGAPPNAME: 'psqlEach' }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '', told = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  child.stderr.on('data', (chunk) => { told += chunk; });
  child.once('close', (status) => status === 0 ? resolve(out) : reject(new Error('status ' + status + ': ' + told)));
}));

createInterface({ input: process.stdin }).on('line', (line) => {
  console.log(line + ' ' + JSON.stringify(tallies));
  for (const tally of Object.values(tallies)) tally.worstMs = 0;
  if (line === 'end') going = false;
});
Promise.all([
  pooled(),
  lasting('transaction', new CmClient(aware('transaction', 'read-write')), ['begin', 'commit']),
  lasting('stock0', new Client(at('stock0'))),
  lasting('stock1', new Client(at('stock1'))),
  psql(),
  each('each', {}),
  each('directEach', { host: 'db1', port: 5432 }),
  psqlEach(),
  lasting('direct', new Client({ ...at('direct', 5432), host: 'db1' })),
  lasting('reader', new CmClient(aware('reader', 'standby'))),
  lasting('stockReader', new Client(at('stockReader', 27547))),
]).then(() => { console.log('ended ' + JSON.stringify(tallies)); process.exit(); },
  (error) => fail('load', error));
`;

/** How far a writer or reader has come, and its longest statement since the last look, connecting included. */
export interface Tally {
  readonly rows: number;
  readonly worstMs: number;
}
export type Tallies = Readonly<Record<string, Tally>>;

export class Load {
  #marks = 0;

  private constructor(private readonly program: Program) {}

  /** Needs a table written (writer text, number int), conmgr on ports 27546 and, for standbys, 27547. */
  static async start(host: Host): Promise<Load> {
    await copyNodePackage(host, 'pg');
    await host.write('/srv/load.js', PROGRAM);
    const load = new Load(host.start(['node', '/srv/load.js'], { user: 'postgres' }));
    await load.goesOn();
    return load;
  }

  /** What failed so far. */
  get failures(): readonly string[] {
    return this.program.lines.filter((line) => !/^(mark\d+|end|ended) \{/.test(line));
  }

  /** How far each has come by now. */
  look(): Promise<Tallies> {
    this.#marks += 1;
    return this.#ask(`mark${this.#marks}`);
  }

  /** Waits until each has done some more statements, or one has failed; the longest since the last look. */
  async goesOn(): Promise<Tallies> {
    const before = await this.look();
    const ahead = (now: Tallies): boolean =>
      [...WRITERS, ...READERS].every((name) => (now[name]?.rows ?? 0) > (before[name]?.rows ?? 0) + 3);
    let worst = before;
    await eventually(
      async () => {
        const now = await this.look();
        worst = worseOf(worst, now);
        return this.failures.length > 0 || ahead(now);
      },
      { everyMs: 100, timeoutMs: 30_000, what: 'every application goes on' },
    );
    return worst;
  }

  /** Ends it; what each has done in all. */
  async end(): Promise<Tallies> {
    await this.#ask('end');
    const { 1: text = '' } = await this.program.waitForLine(/^ended (.*)$/);
    return JSON.parse(text) as Tallies;
  }

  async #ask(word: string): Promise<Tallies> {
    this.program.stdin.write(`${word}\n`);
    const { 1: text = '' } = await this.program.waitForLine(new RegExp(`^${word} (.*)$`));
    return JSON.parse(text) as Tallies;
  }
}

/** What two looks have seen. */
function worseOf(before: Tallies, now: Tallies): Tallies {
  return Object.fromEntries(
    Object.entries(now).map(([name, { rows, worstMs }]) => [
      name,
      { rows, worstMs: Math.max(worstMs, before[name]?.worstMs ?? 0) },
    ]),
  );
}

/**
 * How long each waited, less what the one of its kind that goes past conmgr waited meanwhile. psqlEach is left out: it is a
 * program that is started for each statement, and that is most of its time.
 */
export function pauses(tallies: Tallies): readonly (readonly [name: string, ms: number])[] {
  return Object.entries(tallies)
    .filter(([name]) => name !== 'psqlEach')
    .map(([name, { worstMs }]) => {
      const control = tallies[name === 'each' ? CONTROL.each : CONTROL.lasting];
      return [name, Math.round(worstMs - (control?.worstMs ?? 0))];
    });
}
