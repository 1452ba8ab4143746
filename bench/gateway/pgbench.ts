/** pgbench, once: how many transactions it made and how fast. */
import { startCommand } from '../../test/support/running.js';

export interface Load {
  readonly clients: number;
  /** `select`: one query by key (pgbench -S); `tpc-b`: the transaction it has by itself. */
  readonly script: 'select' | 'tpc-b';
  /** A connection for every transaction (pgbench -C). */
  readonly reconnect: boolean;
}

export interface Outcome {
  /** Transactions a second, the time for the first connections not counted; with `reconnect` all is counted. */
  readonly perSecond: number;
  readonly transactions: number;
}

/** What pgbench takes for its connections counts as part of that, and of many it takes a second. */
const secondsOf = ({ clients, reconnect }: Load): number => (clients > 32 && !reconnect ? 2 : 1);

/** Fills the tables. */
export async function prepareTables(program: string, port: number, scale: number): Promise<void> {
  await run(program, ['-i', '-q', '-s', String(scale)], port, []);
}

/** `within`: a command in front of pgbench. Throws what pgbench says when it fails. */
export async function runLoad(
  program: string,
  port: number,
  load: Load,
  within: readonly string[] = [],
): Promise<Outcome> {
  const { clients, script, reconnect } = load;
  const args = [
    ...['-n', '-c', String(clients), '-T', String(secondsOf(load))],
    ...(script === 'select' ? ['-S'] : []),
    ...(reconnect ? ['-C'] : []),
  ];
  const said = await run(program, args, port, within);
  const [, perSecond] = /^tps = ([\d.]+)/m.exec(said) ?? [];
  const [, transactions] = /^number of transactions actually processed: (\d+)/m.exec(said) ?? [];
  // It says no rate when it made no transaction.
  if (transactions === '0') return { perSecond: 0, transactions: 0 };
  if (perSecond === undefined || transactions === undefined) throw new Error(`pgbench said ${said}`);
  return { perSecond: Number(perSecond), transactions: Number(transactions) };
}

async function run(
  program: string,
  args: readonly string[],
  port: number,
  within: readonly string[],
): Promise<string> {
  const place = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', 'postgres'];
  const { code, stdout, stderr } = await startCommand(program, [...args, ...place], { within }).done;
  if (code !== 0) throw new Error(`pgbench on port ${port} ended with status ${code}:\n${stderr}`);
  return stdout;
}
