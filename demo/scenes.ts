/** What happens: a host dies silently, comes back as a standby, and a postmaster crashes. */
import { setTimeout as delay } from 'node:timers/promises';
import { type DatabaseHost, HEARTBEAT_TIMEOUT_S } from './cluster.js';
import { type Figures, measure, measureReader, type ReaderFigures, type Span } from './figures.js';
import { now } from './history.js';
import type { Stage } from './stage.js';
import { status, type Truth } from './status.js';
import type { Writer } from './writer.js';

export interface SceneResult {
  readonly title: string;
  readonly span: Span;
  /** When the standby had been promoted, counted from the fault. */
  readonly promotedMs: number;
  /** How long the host list was left alone with the dead host; undefined: to the end. */
  readonly patienceMs: number | undefined;
  readonly conmgr: Figures;
  readonly hostList: Figures;
  readonly reader: ReaderFigures;
}

/** The moments of a take-over. */
interface FailOver {
  /** When pg_promote() returned. */
  readonly promotedAt: number;
  readonly offeredAt: number;
}

/** Both applications write so many rows in peace before anything is done to them, and after it. */
const ROWS_IN_PEACE = 40;
/** How long the host list may wait for the dead host before the demo goes on. */
const PATIENCE_MS = 12_000;
const STILL_WAITING_EVERY_MS = 4000;
/** The promise for a silent host: heartbeat_timeout and a second. */
const TOLD_WITHIN_MS = (HEARTBEAT_TIMEOUT_S + 1) * 1000;
/** Far more than a promotion or a connection takes, on a busy machine too. */
const STEP_TIMEOUT_MS = 10_000;

/** The primary's host freezes. Returns when both applications write to the other one. */
export async function silentDeath(stage: Stage): Promise<SceneResult> {
  const { screen, cluster, hostList } = stage;
  const [db1, db2] = cluster.hosts;
  const title = 'db1 dies silently: it freezes, no FIN, no RST';
  stage.heading(`Scene 1: ${title}, as after a power cut`);
  const from = await inPeace(stage);
  await truth(stage, ['primary', 'standby']);
  stage.columns();

  const fault = now();
  stage.origin = fault;
  const processes = db1.freeze();
  stage.event(fault, 'both', `SIGSTOP to all ${processes} processes of db1, the watchdog among them`);
  const failedOver = await failOver(
    stage,
    fault,
    TOLD_WITHIN_MS,
    db2,
    ['lost', 'standby'],
    ['lost', 'primary'],
  );

  for (let waited = STILL_WAITING_EVERY_MS; waited <= PATIENCE_MS; waited += STILL_WAITING_EVERY_MS) {
    await delay(Math.max(0, fault + waited - now()));
    if (hostList.acknowledged.last!.at < fault && waited < PATIENCE_MS)
      stage.event(now(), 'hostList', 'no answer from db1, still waiting', screen.paint.red);
  }
  const patienceMs = now() - fault;
  stage.event(now(), 'both', 'the demo switches db1 off: only now are its sockets closed');
  await db1.powerOff();
  await firstRowOn(hostList, db2, fault);
  await inPeace(stage);
  return measured(stage, { title, from, fault, ...failedOver, patienceMs, primary: db2 });
}

/** The host that died is back, as a standby of the new primary. */
export async function comeBack(stage: Stage, back: DatabaseHost, primary: DatabaseHost): Promise<void> {
  stage.heading(`${back.name} comes back as the standby of ${primary.name}`);
  stage.origin = now();
  await back.rejoin(primary);
  await stage.cluster.pictures.first(({ at, up }) => at > stage.origin && up[back.number] === true, {
    timeoutMs: STEP_TIMEOUT_MS,
    what: `conmgr sees ${back.name} up`,
  });
  stage.event(now(), 'both', `${back.name} streams, synchronously`);
  await truth(stage, back.number === 0 ? ['standby', 'primary'] : ['primary', 'standby']);
}

/** The postmaster of the primary is killed on a host that lives on. */
export async function crash(stage: Stage): Promise<SceneResult> {
  const [db1, db2] = stage.cluster.hosts;
  const title = 'kill -9 of the postmaster of db2, the host lives on';
  stage.heading(`Scene 2: ${title}`);
  const from = await inPeace(stage);
  stage.columns();

  const fault = now();
  stage.origin = fault;
  stage.event(fault, 'both', `SIGKILL to the postmaster of db2 (pid ${db2.server.pid})`);
  await db2.server.kill9();
  const failedOver = await failOver(
    stage,
    fault,
    STEP_TIMEOUT_MS,
    db1,
    ['standby', 'down'],
    ['primary', 'down'],
  );
  await firstRowOn(stage.hostList, db1, fault);
  await inPeace(stage);
  return measured(stage, { title, from, fault, ...failedOver, patienceMs: undefined, primary: db1 });
}

/** From the fault to the first row on the new primary. */
async function failOver(
  stage: Stage,
  fault: number,
  toldWithinMs: number,
  next: DatabaseHost,
  before: Truth,
  after: Truth,
): Promise<FailOver> {
  const { cluster, conmgr } = stage;
  await conmgr.losses.first(({ at }) => at >= fault, {
    timeoutMs: toldWithinMs - (now() - fault),
    what: 'the application with conmgr is told of the loss',
  });
  // The end of a crashed server's connections may reach the application before the watchdog's word reaches conmgr.
  await cluster.pictures.first(({ at, up }) => at > fault && up[1 - next.number] === false, {
    timeoutMs: STEP_TIMEOUT_MS,
    what: 'conmgr knows that the primary is gone',
  });
  await truth(stage, before);
  stage.event(now(), 'both', `the demo promotes ${next.name} (pg_promote)`);
  const offered = firstOffer(stage, next, fault).then((at) => {
    stage.event(at, 'conmgr', `${next.name} is offered for read-write`);
    return at;
  });
  const promoted = next.server.promote().then(now);
  const [promotedAt, offeredAt] = await Promise.all([promoted, offered, firstRowOn(conmgr, next, fault)]);
  await truth(stage, after);
  return { promotedAt, offeredAt };
}

/**
 * When conmgr first offered a host for read-write. It tells the applications that wait before anybody else, so an
 * application may have its session before the control socket brings the news.
 */
async function firstOffer(
  { cluster, conmgr }: Stage,
  { number, name }: DatabaseHost,
  fault: number,
): Promise<number> {
  const options = { timeoutMs: STEP_TIMEOUT_MS, what: `conmgr offers ${name}` };
  const { at } = await Promise.race([
    cluster.pictures.first((one) => one.at > fault && one.primary === number, options),
    conmgr.moves.first((one) => one.at > fault && one.server === name, options),
  ]);
  return at;
}

/** Waits until all three applications have gone on for a while undisturbed; returns when that began. */
async function inPeace({ conmgr, hostList, reader }: Stage): Promise<number> {
  const from = now();
  const goal = (history: { readonly entries: readonly unknown[] }, more: number) => {
    const enough = history.entries.length + more;
    return () => history.entries.length >= enough;
  };
  const options = { timeoutMs: STEP_TIMEOUT_MS, what: 'the applications go on' };
  // Already reached goals cannot be: each asks for entries that are not there yet.
  await Promise.all([
    conmgr.acknowledged.first(after(from, goal(conmgr.acknowledged, ROWS_IN_PEACE)), options),
    hostList.acknowledged.first(after(from, goal(hostList.acknowledged, ROWS_IN_PEACE)), options),
    reader.reads.first(after(from, goal(reader.reads, 1)), options),
  ]);
  return from;
}

function after(from: number, reached: () => boolean): (entry: { readonly at: number }) => boolean {
  return ({ at }) => at > from && reached();
}

async function firstRowOn(writer: Writer, host: DatabaseHost, fault: number): Promise<void> {
  await writer.acknowledged.first(({ at, server }) => at > fault && server === host.name, {
    timeoutMs: STEP_TIMEOUT_MS,
    what: `the first row of "${writer.name}" on ${host.name}`,
  });
}

async function truth(stage: Stage, expected: Truth): Promise<void> {
  stage.status(await status(stage.cluster, expected));
}

async function measured(
  { conmgr, hostList, reader }: Stage,
  scene: FailOver & {
    readonly title: string;
    readonly from: number;
    readonly fault: number;
    readonly patienceMs: number | undefined;
    readonly primary: DatabaseHost;
  },
): Promise<SceneResult> {
  const { title, from, fault, promotedAt, offeredAt, patienceMs, primary } = scene;
  const span = { from, fault, to: now() };
  const foundAt = hostList.moves.entries.find((one) => one.at > fault && one.server === primary.name)?.at;
  return {
    title,
    span,
    promotedMs: promotedAt - fault,
    patienceMs,
    conmgr: await measure(conmgr, span, primary.server, offeredAt),
    hostList: await measure(hostList, span, primary.server, foundAt),
    reader: measureReader(reader, span),
  };
}
