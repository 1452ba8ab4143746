/** `cm_ctl resolve` and `resolve-conflict`: where an application would be sent, and the end of a conflict. */
import { parseTarget } from '../core/cluster/target-session.js';
import type { ResolvedCandidate } from '../core/control/protocol.js';
import { EXIT, type ExitStatus } from '../core/ctl/exit-status.js';
import { CTL_MESSAGES } from '../core/messages/ctl.js';
import { MessageError } from '../core/messages/message-error.js';
import { ask, askStatus } from './ask.js';
import type { Call } from './call.js';

export async function runResolve({ world, options, operands, directory }: Call): Promise<ExitStatus> {
  const [word = ''] = operands;
  const parsed = parseTarget(word);
  if ('refusal' in parsed) {
    throw new MessageError(CTL_MESSAGES.wrongTarget, { target: word, refusal: parsed.refusal });
  }
  const answer = await ask(directory, { command: 'resolve', target: parsed.target });
  if (!('candidates' in answer)) return EXIT.failed;
  const candidates = options.all ? answer.candidates : answer.candidates.slice(0, 1);
  if (options.json) world.output.json(options.all ? candidates : candidates[0]);
  else world.output.lines(candidates.map(connectionWords));
  return EXIT.done;
}

/** As in a connection string of libpq; a value with blanks or quotes is quoted as there. */
export function connectionWords({ host, hostaddr, port }: ResolvedCandidate): string {
  const quote = (value: string): string =>
    /^[^\s'\\]+$/.test(value) ? value : `'${value.replace(/['\\]/g, '\\$&')}'`;
  const address = hostaddr === '' ? '' : ` hostaddr=${quote(hostaddr)}`;
  return `host=${quote(host)}${address} port=${port}`;
}

export async function runResolveConflict({ world, operands, directory }: Call): Promise<ExitStatus> {
  const [word] = operands;
  const instance = word === undefined ? await onlyConflict(directory) : numberOf(word);
  await ask(directory, { command: 'resolveConflict', instance });
  world.output.lines([`conflict of instance ${instance} settled: its sessions are ended`]);
  return EXIT.done;
}

function numberOf(word: string): number {
  if (!/^[0-9]{1,9}$/.test(word)) throw new MessageError(CTL_MESSAGES.wrongNumber, { word });
  return Number(word);
}

async function onlyConflict(directory: string): Promise<number> {
  const { instances } = await askStatus(directory);
  const [first, ...others] = instances.filter(({ conflict }) => conflict).map(({ number }) => number);
  if (first === undefined) throw new MessageError(CTL_MESSAGES.noConflict);
  if (others.length > 0) {
    throw new MessageError(CTL_MESSAGES.severalConflicts, { numbers: [first, ...others].join(', ') });
  }
  return first;
}
