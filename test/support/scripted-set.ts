/** A set of scripted instances and a conmgr that watches them: what most tests of conmgr begin with. */
import type { InstanceAttributes } from '../../src/core/protocol/attributes.js';
import { ConmgrProcess, type ConmgrSettings, type InstanceLines } from './conmgr-process.js';
import type { FirstPhaseClient } from './first-phase-client.js';
import { freePort } from './free-ports.js';
import { ScriptedWatchdog } from './scripted-watchdog.js';

export interface SetOptions {
  readonly settings?: ConmgrSettings;
  readonly openFiles?: number;
  readonly program?: string;
}

/** Instances are numbered in the order of `watchdogs`. */
export class ScriptedSet {
  private constructor(
    readonly watchdogs: readonly ScriptedWatchdog[],
    readonly lines: readonly InstanceLines[],
    readonly conmgr: ConmgrProcess,
  ) {}

  /** Starts a watchdog for each element, and conmgr; returns when all links are up. No postmaster answers probes. */
  static async start(
    attributes: readonly InstanceAttributes[],
    options: SetOptions = {},
  ): Promise<ScriptedSet> {
    const watchdogs = await Promise.all(attributes.map((one) => ScriptedWatchdog.start({ attributes: one })));
    const lines = await Promise.all(
      watchdogs.map(async ({ port }) => ({ backendPort: await freePort(), watchdogPort: port })),
    );
    const conmgr = await ConmgrProcess.start({ instances: lines, ...options });
    await conmgr.linked();
    return new ScriptedSet(watchdogs, lines, conmgr);
  }

  watchdog(number: number): ScriptedWatchdog {
    const found = this.watchdogs[number];
    if (found === undefined) throw new Error(`there is no instance ${number}`);
    return found;
  }

  async end(): Promise<void> {
    await this.conmgr.stop('SIGQUIT');
    await Promise.all(this.watchdogs.map((one) => one.stop()));
  }
}

/** The kinds of the messages an application was sent, in their order. */
export function kindsOf(app: FirstPhaseClient): readonly string[] {
  return app.messages.map(({ kind }) => kind);
}
