// @ts-check
/** The frame of every adapter in JavaScript: requests on standard input, answers on standard output (see ../README.md). */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/**
 * @typedef {(rest: string) => unknown} Verb
 * @param {string} version
 * @param {Record<string, Verb>} verbs all but `cancel` run one after the other
 */
export function serve(version, verbs) {
  const say = (/** @type {object} */ answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  const perform = async (
    /** @type {number} */ id,
    /** @type {string} */ verb,
    /** @type {string} */ rest,
  ) => {
    const act = verbs[verb];
    try {
      if (act === undefined) throw new Error(`there is no ${verb}`);
      say({ id, value: String((await act(rest)) ?? '') });
    } catch (thrown) {
      const error = /** @type {{ message: string, code?: string, name: string, sqlstate?: string }} */ (
        thrown
      );
      say({
        id,
        error: error.message.trim(),
        sqlstate: error.sqlstate ?? error.code ?? null,
        kind: error.name,
      });
    }
  };
  say({ version });
  let before = Promise.resolve();
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const [, id = '', verb = '', rest = ''] = /^(\d+) (\S+) ?(.*)$/.exec(line) ?? [];
      if (verb === 'cancel') void perform(Number(id), verb, rest);
      else before = before.then(async () => void (await perform(Number(id), verb, rest)));
    })
    .on('close', () => process.exit(0));
}

/**
 * What copy-in sends: the numbers 1 to `count`, one a line.
 * @param {string | number} count
 */
export function rows(count) {
  return Array.from({ length: Number(count) }, (_, at) => `${at + 1}\n`).join('');
}

/**
 * Options with the certificate in place of the name of its file.
 * @param {any} options
 */
export function withCertificate(options) {
  const ca = options.ssl?.ca;
  return ca === undefined ? options : { ...options, ssl: { ...options.ssl, ca: readFileSync(ca, 'utf8') } };
}
