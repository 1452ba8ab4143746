/** Host names for a program under test, below it: a module loaded before it answers getaddrinfo from a file. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { giveToServers } from './postgres-account.js';
import { temporaryDirectory } from './tree.js';

/** The addresses of a name; error: it cannot be resolved now; silence: no answer comes. */
export type NameAnswer = readonly string[] | 'error' | 'silence';

/** Loaded with --require, so it is a CommonJS file of its own. */
const PRELOADED = `
const dns = require('node:dns/promises');
const fs = require('node:fs');
const real = dns.lookup;
dns.lookup = async (name, options) => {
  const answer = JSON.parse(fs.readFileSync(process.env.TEST_NAMES, 'utf8'))[name];
  if (answer === undefined) return real(name, options);
  fs.appendFileSync(process.env.TEST_NAMES + '.asked', name + '\\n');
  if (answer === 'silence') return new Promise(() => {});
  if (answer === 'error') throw Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' });
  return answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
};
`;

export class NameServer {
  readonly #file: string;
  /** Environment for the program. */
  readonly env: NodeJS.ProcessEnv;

  constructor(names: Readonly<Record<string, NameAnswer>>) {
    const folder = temporaryDirectory();
    this.#file = join(folder, 'names');
    const module = join(folder, 'names.cjs');
    writeFileSync(module, PRELOADED);
    writeFileSync(`${this.#file}.asked`, '');
    this.env = { NODE_OPTIONS: `--require=${module}`, TEST_NAMES: this.#file };
    // A program that root's tests start is of the account of the servers.
    for (const path of [folder, module, `${this.#file}.asked`]) giveToServers(path);
    this.answer(names);
  }

  /** What is answered from now on. */
  answer(names: Readonly<Record<string, NameAnswer>>): void {
    writeFileSync(this.#file, JSON.stringify(names));
  }

  /** The names asked for so far. */
  get asked(): readonly string[] {
    return readFileSync(`${this.#file}.asked`, 'utf8').split('\n').slice(0, -1);
  }
}
