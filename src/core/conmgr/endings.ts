/** What is said when conmgr ends. */
import type { ByeKind, ConmgrMessage } from '../protocol/first-phase.js';
import type { GoodbyeReason } from '../protocol/messages.js';
import type { Instance } from './instance.js';

/** By the goodbye to the watchdogs: the bye to the applications, and the words. */
export const ENDINGS = {
  stop: { bye: 'stop', text: 'conmgr was stopped by administrator command' },
  restart: { bye: 'restart', text: 'conmgr is restarting' },
  hostShutdown: { bye: 'stop', text: 'the host of conmgr is shutting down' },
} as const satisfies Partial<Record<GoodbyeReason, { readonly bye: ByeKind; readonly text: string }>>;

export type Ending = keyof typeof ENDINGS;

/** Grace told to applications before any watchdog has named its own (default of watchdog.restart_grace). */
export const DEFAULT_GRACE_MS = 10_000;

/** The longest grace that any watchdog of the set asked for. */
export function longestGraceMs(instances: readonly Instance[]): number {
  return Math.max(...(instances.length === 0 ? [DEFAULT_GRACE_MS] : instances.map((one) => one.graceMs)));
}

/** What an aware driver is told that cannot be handed over. */
export function byeForRestart(instances: readonly Instance[]): ConmgrMessage {
  return { kind: 'bye', ...ENDINGS.restart, retryAfterMs: longestGraceMs(instances) };
}
