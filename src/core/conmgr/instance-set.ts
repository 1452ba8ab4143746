/** The instances of one conmgr.conf and the picture that is drawn of them. */
import { describeMember } from '../cluster/choice.js';
import {
  type ClusterEvent,
  type ClusterMemory,
  type ClusterView,
  drawView,
  EMPTY_MEMORY,
  EMPTY_VIEW,
  expireConflict,
  forgetCluster,
  type Member,
  viewsDiffer,
  viewWakeAt,
} from '../cluster/view.js';
import type { ConmgrConfig, InstanceConfig } from '../config/types.js';
import { newHealth } from '../link/health.js';
import type { LinkIdentity } from '../link/link.js';
import type { MessageParams } from '../messages/message.js';
import type { MonotonicMs } from '../time.js';
import { DEFAULT_GRACE_MS, longestGraceMs } from './endings.js';
import { Instance, linkSettings } from './instance.js';

export class InstanceSet {
  config: ConmgrConfig;
  readonly identity: LinkIdentity;
  readonly #instances = new Map<number, Instance>();
  /** Instances that have left the configuration and still say goodbye. */
  readonly #departing = new Map<number, Instance>();
  #memory: ClusterMemory = EMPTY_MEMORY;
  #view: ClusterView = EMPTY_VIEW;
  #viewNumber = 1;

  constructor(config: ConmgrConfig, identity: LinkIdentity) {
    this.config = config;
    this.identity = identity;
    for (const instance of config.instances) this.add(instance);
  }

  get view(): ClusterView {
    return this.#view;
  }

  /** Grows with every change that an application could see. */
  get viewNumber(): number {
    return this.#viewNumber;
  }

  /** Pictures are numbered behind those that a predecessor drew. */
  continueViews(number: number): void {
    this.#viewNumber = number;
  }

  /** Configured instances by number. */
  get all(): readonly Instance[] {
    return [...this.#instances.values()].sort((a, b) => a.number - b.number);
  }

  /** Configured ones and those that still say goodbye. */
  get tracked(): readonly Instance[] {
    return [...this.#instances.values(), ...this.#departing.values()];
  }

  get(number: number): Instance | undefined {
    return this.#instances.get(number);
  }

  /** The instance that owns the connection under this number: a departing one before its successor. */
  linked(number: number): Instance | undefined {
    return this.#departing.get(number) ?? this.#instances.get(number);
  }

  member(number: number): Member | undefined {
    return this.#view.members.find((one) => one.number === number);
  }

  add(config: InstanceConfig): Instance {
    const instance = new Instance(config, linkSettings(this.config), this.identity, DEFAULT_GRACE_MS);
    this.#instances.set(config.number, instance);
    return instance;
  }

  /** Takes an instance out of the set; it is tracked until `departed`. */
  remove(instance: Instance): void {
    // Its sessions go on without being watched, and its number may be another instance's soon.
    instance.health = newHealth(instance.health.data.settings);
    this.#instances.delete(instance.number);
    this.#departing.set(instance.number, instance);
  }

  isDeparting(number: number): boolean {
    return this.#departing.has(number);
  }

  /** A removed instance has said goodbye. False when it was not on its way. */
  departed(instance: Instance): boolean {
    return this.#departing.get(instance.number) === instance && this.#departing.delete(instance.number);
  }

  /** Draws the picture anew. `before` is the last one, the same object when nothing visible changed. */
  draw(now: MonotonicMs): {
    readonly before: ClusterView;
    readonly changed: boolean;
    readonly events: readonly ClusterEvent[];
  } {
    const before = this.#view;
    const { memory, view, events } = drawView(
      this.#memory,
      before,
      this.all.map((instance) => instance.facts()),
      { onConflict: this.config.onConflict, conflictMs: this.config.heartbeatTimeoutMs },
      now,
    );
    this.#memory = memory;
    this.#view = view;
    const changed = viewsDiffer(before, view);
    if (changed) this.#viewNumber = this.#viewNumber >= 0xffff_ffff ? 1 : this.#viewNumber + 1;
    return { before, changed, events };
  }

  wakeAt(): MonotonicMs {
    return Math.min(viewWakeAt(this.#memory), ...this.tracked.map((instance) => instance.wakeAt()));
  }

  /** The cluster this set belongs to, once a serving primary had it; 0 before. */
  get reference(): bigint {
    return this.#memory.firm ? this.#memory.reference : 0n;
  }

  forgetCluster(): void {
    this.#memory = forgetCluster(this.#memory);
  }

  /** An operator has decided a conflict. False when the instance is in none. */
  expireConflict(number: number, now: MonotonicMs): boolean {
    const found = this.#memory.conflicts.has(number);
    this.#memory = expireConflict(this.#memory, number, now);
    return found;
  }

  /** Whether the sessions of an instance in conflict have been ended. */
  isConflictSettled(number: number): boolean {
    return this.#memory.conflicts.get(number)?.dropped === true;
  }

  /** The longest grace that any watchdog of the set asked for. */
  graceMs(): number {
    return longestGraceMs(this.all);
  }

  /** What every message about an instance carries. */
  params(instance: Instance): MessageParams {
    return { instance: instance.number, host: instance.host, port: instance.config.backendPort };
  }

  /** `instance 1 (db2:5432)` for messages about several. */
  nameOf(number: number | undefined): string {
    if (number === undefined) return 'none';
    const instance = this.#instances.get(number);
    return instance === undefined ? `instance ${number}` : `instance ${number} (${addressOf(instance)})`;
  }

  /** What is known of every instance, for DETAIL. */
  describe(): string {
    return this.#view.members
      .map((member) => {
        const instance = this.#instances.get(member.number);
        return describeMember(member, instance === undefined ? '' : addressOf(instance));
      })
      .join(' ');
  }
}

function addressOf(instance: Instance): string {
  return `${instance.host}:${instance.config.backendPort}`;
}
