/** The `systemctl` program (systemctl(1)): what systemd does for a person, with the same words and the same rights. */
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { parseProperties, parseUnitFiles, parseUnits, type UnitLine } from '../core/ctl/systemctl-output.js';

export type { UnitLine } from '../core/ctl/systemctl-output.js';

/** Whose manager: that of the host, or that of a user. */
export type ManagerScope = 'system' | 'user';

/** What changes the state of units. */
export type UnitVerb =
  | 'start'
  | 'stop'
  | 'restart'
  | 'reload'
  | 'enable'
  | 'disable'
  | 'reset-failed'
  | 'daemon-reload';

export interface SystemctlOptions {
  readonly scope: ManagerScope;
  /** The user whose manager is meant, when it is not the caller's (systemctl(1), --machine=); root may ask so. */
  readonly owner?: string;
  /** Found along PATH unless it has a slash. */
  readonly program?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** systemctl may ask for a password at the terminal (polkit(8)); default: where there is one. */
  readonly mayAsk?: boolean;
}

/** What it says beyond this is not kept. */
const SAID_LIMIT = 4000;
/** A list is this long at most: a line of each unit, of which a host has hundreds. */
const LISTED_LIMIT = 4_000_000;
/** A manager answers a question within milliseconds. */
const ANSWER_LIMIT_MS = 10_000;
/** Status of a shell that does not find a program (POSIX, Shell Command Language, 2.8.2). */
const NOT_FOUND = 127;

/** systemctl ended with another status than 0. */
export class SystemctlError extends Error {
  /** null: ended by a signal, as when the caller wanted no more. 127: there is no such program. */
  readonly status: number | null;
  /** What it said, in English, shortened. */
  readonly text: string;

  constructor(status: number | null, text: string) {
    super(text === '' ? `systemctl ended with status ${status}` : text);
    this.name = 'SystemctlError';
    this.status = status;
    this.text = text;
  }
}

/** Whether the host was booted with systemd, as sd_booted(3) tells it. */
export function systemdRuns(place = '/run/systemd/system'): boolean {
  try {
    return statSync(place).isDirectory();
  } catch {
    return false;
  }
}

/** Asks and commands one service manager. All methods reject with SystemctlError unless they say otherwise. */
export class Systemctl {
  readonly scope: ManagerScope;
  readonly #program: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #base: readonly string[];
  /** It may ask for a password at the terminal. */
  readonly mayAsk: boolean;

  constructor({ scope, owner, program, environment = process.env, mayAsk }: SystemctlOptions) {
    this.scope = scope;
    this.#program = program ?? 'systemctl';
    const bus = scope === 'user' && owner === undefined ? busOfCaller(environment) : {};
    // Words and units of time would be translated otherwise; a pager waits for a person.
    this.#environment = { ...environment, LC_ALL: 'C', SYSTEMD_PAGER: '', SYSTEMD_COLORS: '0', ...bus };
    const machine = owner === undefined ? [] : [`--machine=${owner}@.host`];
    this.#base = [`--${scope}`, ...machine, '--no-pager'];
    // The manager of a user asks its own user for nothing, and root is asked by none.
    const asks = scope === 'system' && process.geteuid?.() !== 0;
    this.mayAsk = asks && (mayAsk ?? (process.stdin.isTTY === true && process.stderr.isTTY === true));
  }

  /** Properties of a unit; one that the manager does not know is missing. A unit that does not exist has some, too. */
  async show(unit: string, properties: readonly string[]): Promise<Record<string, string>> {
    const question = ['show', `--property=${properties.join(',')}`, '--', unit];
    return parseProperties(await this.#run(question, { limitMs: ANSWER_LIMIT_MS }));
  }

  /**
   * Does it and waits until it is done, unless `args` say otherwise (`--no-block`). `signal` ends the waiting alone:
   * the manager goes on. `quiet`: asks for no password.
   */
  async act(
    verb: UnitVerb,
    units: readonly string[],
    { args = [], signal, quiet = false }: ActOptions = {},
  ): Promise<void> {
    const words = [verb, ...args, ...(units.length === 0 ? [] : ['--', ...units])];
    await this.#run(words, { ...(signal && { signal }), interactive: this.mayAsk && !quiet });
  }

  /** The units of this pattern (`conmgr@*.service`) that are loaded, and those that are only enabled; no templates. */
  async list(pattern: string): Promise<readonly UnitLine[]> {
    const form = ['--no-legend', '--plain', '--full', '--', pattern];
    const limits = { limitMs: ANSWER_LIMIT_MS };
    const [loaded, files] = await Promise.all([
      this.#run(['list-units', '--all', ...form], limits),
      // Says with status 1 that there are none.
      this.#run(['list-unit-files', ...form], limits).catch((error: unknown) => {
        if (error instanceof SystemctlError && error.status === 1 && error.text === '') return '';
        throw error;
      }),
    ]);
    const units = new Map(parseUnits(loaded).map((line) => [line.unit, line]));
    for (const unit of parseUnitFiles(files)) {
      if (!units.has(unit)) units.set(unit, { unit, load: 'stub', active: 'inactive', sub: 'dead' });
    }
    return [...units.values()].sort((a, b) => (a.unit < b.unit ? -1 : 1));
  }

  /** Never rejects. */
  async isReachable(): Promise<boolean> {
    return this.#run(['show', '--property=Version'], { limitMs: ANSWER_LIMIT_MS }).then(
      () => true,
      () => false,
    );
  }

  /** Whether instances can be made of this template (`conmgr@.service`). Never rejects. */
  async hasTemplate(name: string): Promise<boolean> {
    const { LoadState } = await this.show(name.replace('@.', '@x.'), ['LoadState']).catch(
      (): Record<string, string> => ({}),
    );
    return LoadState === 'loaded';
  }

  #run(words: readonly string[], { limitMs, signal, interactive = false }: RunOptions): Promise<string> {
    const args = [...this.#base, ...(interactive ? [] : ['--no-ask-password']), ...words];
    const stdin = interactive ? 'inherit' : 'ignore';
    const limit = limitMs === undefined ? signal : AbortSignal.timeout(limitMs);
    return new Promise((resolve, reject) => {
      const child = spawn(this.#program, args, {
        env: this.#environment,
        stdio: [stdin, 'pipe', 'pipe'],
        ...(limit && { signal: limit }),
      });
      let answer = '';
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        if (answer.length < LISTED_LIMIT) answer += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        if (said.length < SAID_LIMIT) said = (said + text).slice(0, SAID_LIMIT);
      });
      child.on('error', (error: NodeJS.ErrnoException) => {
        reject(new SystemctlError(error.code === 'ENOENT' ? NOT_FOUND : null, error.message));
      });
      child.on('close', (status) => {
        if (status === 0) resolve(answer);
        else reject(new SystemctlError(status, said.trim()));
      });
    });
  }
}

export interface ActOptions {
  readonly args?: readonly string[];
  readonly signal?: AbortSignal;
  readonly quiet?: boolean;
}

interface RunOptions {
  readonly limitMs?: number;
  readonly signal?: AbortSignal;
  readonly interactive?: boolean;
}

/**
 * Where the manager of this user is found. After su(1) and sudo(8) the variable is missing or somebody else's, so the
 * place that pam_systemd(8) makes is taken if there is one.
 */
function busOfCaller(environment: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const uid = process.geteuid?.() ?? 0;
  const own = (path: string | undefined): path is string => {
    try {
      return path !== undefined && path !== '' && statSync(path).uid === uid;
    } catch {
      return false;
    }
  };
  const { XDG_RUNTIME_DIR: given } = environment;
  const place = [given, join('/run/user', String(uid))].find(own);
  if (place === undefined || place === given) return {};
  // An address of another session is not that of this user either.
  return { XDG_RUNTIME_DIR: place, DBUS_SESSION_BUS_ADDRESS: undefined };
}
