/** One instance of the set as conmgr holds it: configuration, link, health and what was told. */

import type { InstanceFacts } from '../cluster/view.js';
import type { ConmgrConfig, InstanceConfig } from '../config/types.js';
import { type HealthPhase, type HealthState, healthWakeAt, newHealth } from '../link/health.js';
import {
  type LinkEffect,
  type LinkIdentity,
  type LinkSettings,
  type LinkState,
  linkWakeAt,
  newLink,
} from '../link/link.js';
import type { MessageParams } from '../messages/message.js';
import { attributesDiffer, hasAttribute, type InstanceAttributes } from '../protocol/attributes.js';
import type { MonotonicMs } from '../time.js';
import { SeenSessions } from './seen-sessions.js';
import { SessionTeller } from './session-teller.js';

/** Timing of the links as the configuration gives it. */
export function linkSettings(config: ConmgrConfig): LinkSettings {
  return {
    intervalMs: config.heartbeatIntervalMs,
    timeoutMs: config.heartbeatTimeoutMs,
    connectIntervalMs: config.heartbeatConnectIntervalMs,
    connectTimeoutMs: config.heartbeatConnectTimeoutMs,
  };
}

const PINNING: ReadonlySet<HealthPhase> = new Set(['checking', 'grace', 'unmonitored', 'leaving']);

/** Mutable record of one instance; only ConmgrCore writes to it. */
export class Instance {
  readonly config: InstanceConfig;
  /** What every message about it carries. */
  readonly params: MessageParams;
  /** Tells the watchdog which sessions are watched. */
  readonly teller = new SessionTeller();
  /** Sessions that do not pass conmgr. */
  readonly seen = new SeenSessions();
  link: LinkState;
  health: HealthState;
  attributes: InstanceAttributes | undefined;
  /** The watchdog is up but cannot look into the instance; `attributes` are from before. */
  dim = false;
  /** Why it is as it is, in words, and since when. */
  reason = '';
  changedAt: MonotonicMs | undefined;
  /** watchdog.restart_grace as told in WELCOME. */
  graceMs: number;

  constructor(config: InstanceConfig, settings: LinkSettings, identity: LinkIdentity, graceMs: number) {
    this.config = config;
    this.params = { instance: this.number, host: this.host, port: config.backendPort };
    this.link = newLink(settings, identity);
    this.health = newHealth(settings);
    this.graceMs = graceMs;
  }

  get number(): number {
    return this.config.number;
  }

  /** Name in messages and candidates. */
  get host(): string {
    return this.config.host ?? this.config.hostaddr ?? '';
  }

  /**
   * Address of the link, or the last one that worked: that is where its sessions are. Not the one that is being tried,
   * which may lead nowhere.
   */
  get address(): string {
    return this.link.data.lastGoodAddress ?? this.config.hostaddr ?? '';
  }

  /** There is no link, and sessions stay because the postmaster at `address` answers. */
  get pinned(): boolean {
    return PINNING.has(this.health.phase);
  }

  wakeAt(): MonotonicMs {
    return Math.min(linkWakeAt(this.link), healthWakeAt(this.health), this.teller.dueAt);
  }

  facts(): InstanceFacts {
    return {
      number: this.number,
      health: this.health.phase,
      attributes: this.attributes,
      dim: this.dim,
      rttMs: this.link.data.rttMs,
    };
  }

  /** Whether everything but the round trip is as in these facts of it. */
  isStill(facts: InstanceFacts | undefined): boolean {
    return (
      facts !== undefined &&
      facts.number === this.number &&
      facts.health === this.health.phase &&
      facts.attributes === this.attributes &&
      facts.dim === this.dim
    );
  }

  /**
   * Takes what the watchdog told; returns whether anything but positions changed. `wasLost`: the instance was gone
   * until now, so what was known of it has no worth.
   */
  tell(told: InstanceAttributes, wasLost: boolean, now: MonotonicMs): boolean {
    // A watchdog that cannot look inside must not make its instance unusable: the last knowledge stays, marked stale.
    if (told.state === 'unknown' && this.attributes !== undefined && !wasLost) {
      const reason = told.text === '' ? 'watchdog cannot look into the instance' : told.text;
      // The first cause may be what follows from the next: a session that is ended, and a password that is no longer right.
      const changed = !this.dim || reason !== this.reason;
      this.dim = true;
      if (changed) this.note(reason, now);
      return changed;
    }
    const changed = this.dim || this.attributes === undefined || attributesDiffer(this.attributes, told);
    this.dim = false;
    this.attributes = told;
    if (changed) this.note(told.text, now);
    return changed;
  }

  /**
   * The watchdog where this instance was refuses the link. One of another cluster: another server has taken its place, so
   * nothing is known of this one any more. Returns whether that is new.
   */
  refused({ code, text, address }: Extract<LinkEffect, { do: 'reportRejected' }>, now: MonotonicMs): boolean {
    if (code !== 'wrongCluster' || address !== this.address || this.attributes === undefined) return false;
    this.attributes = undefined;
    this.dim = false;
    this.note(text, now);
    return true;
  }

  note(reason: string, now: MonotonicMs): void {
    this.reason = reason;
    this.changedAt = now;
  }
}

/** 'primary', 'standby' or 'unknown' for people. */
export function roleOf(bits: number): 'primary' | 'standby' | 'unknown' {
  if (hasAttribute(bits, 'primary')) return 'primary';
  return hasAttribute(bits, 'standby') ? 'standby' : 'unknown';
}

/** Whether the configuration of an instance has stayed as it was. */
export function sameInstance(a: InstanceConfig | undefined, b: InstanceConfig): boolean {
  return a !== undefined && (Object.keys(b) as (keyof InstanceConfig)[]).every((key) => a[key] === b[key]);
}
