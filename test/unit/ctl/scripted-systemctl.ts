/** A systemctl that answers as told and keeps what it was asked, for whoever drives one. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshDirectory } from './fake-world.js';

/** What it does when its words begin with these (options left out). */
export interface ScriptedAnswer {
  readonly when: string;
  /** Only of this manager: `--user`. */
  readonly scope?: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly status?: number;
  /** Does not end by itself. */
  readonly hangs?: boolean;
}

export class ScriptedSystemctl {
  readonly program: string;
  readonly #calls: string;

  /** The first answer that fits is given; none: an error. */
  constructor(answers: readonly ScriptedAnswer[]) {
    const place = mkdtempSync(join(freshDirectory(), 'systemctl-'));
    this.program = join(place, 'systemctl');
    this.#calls = join(place, 'calls');
    const cases = answers.map(({ when, scope = '', stdout = '', stderr = '', status = 0, hangs = false }) => {
      const end = hangs ? 'exec tail -f /dev/null' : `exit ${status}`;
      const fits = `case "$1" in ${quoted(scope)}*) true;; *) false;; esac`;
      return `if ${fits}; then case "$words" in ${quoted(` ${when}`)}*) printf %s ${quoted(stdout)}; printf %s ${quoted(stderr)} >&2; ${end};; esac; fi`;
    });
    const script = [
      '#!/bin/sh',
      `printf '%s\\n' "$*" >> ${quoted(this.#calls)}`,
      'words=',
      'for word; do case $word in --*) ;; *) words="$words $word";; esac; done',
      ...cases,
      'echo "unexpected: $*" >&2; exit 99',
    ];
    writeFileSync(this.program, `${script.join('\n')}\n`);
    chmodSync(this.program, 0o755);
  }

  /** The command lines so far. */
  get calls(): readonly string[] {
    return existsSync(this.#calls) ? readFileSync(this.#calls, 'utf8').trimEnd().split('\n') : [];
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
