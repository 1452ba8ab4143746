/** What a service said in its last invocation, as far as the caller may read the journal (journalctl(1)). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

const LIMIT_MS = 5000;
const MOST_LINES = 200;

export interface JournalQuestion {
  /** InvocationID of the unit (sd_id128_get_invocation(3)). */
  readonly invocation: string;
  readonly program?: string;
}

/** The lines, oldest first; none when there is no journal or it is closed to the caller. Never rejects. */
export async function saidByInvocation({
  invocation,
  program = 'journalctl',
}: JournalQuestion): Promise<string> {
  if (!/^[0-9a-f]{32}$/.test(invocation)) return '';
  const env = { ...process.env, LC_ALL: 'C', SYSTEMD_PAGER: '' };
  const options = { env, timeout: LIMIT_MS, maxBuffer: 4_000_000 };
  // What the process wrote last may still be on its way. Only some may ask for that; the others get what is there.
  await run(program, ['--sync'], options).catch(() => {});
  const words = ['--quiet', '--no-pager', '--output=cat', `--lines=${MOST_LINES}`];
  return run(program, [...words, `_SYSTEMD_INVOCATION_ID=${invocation}`], options).then(
    ({ stdout }) => stdout,
    () => '',
  );
}
