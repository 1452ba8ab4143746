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
  type InstanceFacts,
  type Member,
  viewsDiffer,
  viewWakeAt,
  withRoundTrips,
} from '../cluster/view.js';
import type { ConmgrConfig, InstanceConfig } from '../config/types.js';
import { newHealth } from '../link/health.js';
import type { LinkIdentity } from '../link/link.js';
import type { MessageParams } from '../messages/message.js';
import type { MonotonicMs } from '../time.js';
import { DEFAULT_GRACE_MS, longestGraceMs } from './endings.js';
import { Instance, linkSettings } from './instance.js';

/** What a picture was drawn of, and by which configuration. */
interface Drawn {
  readonly facts: readonly InstanceFacts[];
  readonly config: ConmgrConfig;
}

export class InstanceSet {
  config: ConmgrConfig;
  readonly identity: LinkIdentity;
  readonly #instances = new Map<number, Instance>();
  /** Instances that have left the configuration and still say goodbye. */
  readonly #departing = new Map<number, Instance>();
  #memory: ClusterMemory = EMPTY_MEMORY;
  #view: ClusterView = EMPTY_VIEW;
  /** Undefined when what is remembered has been changed since. */
  #drawn: Drawn | undefined;
  #viewNumber = 1;
  /** Both lists are asked for with every packet, and change with the configuration only. */
  #sorted: readonly Instance[] | undefined;
  #tracked: readonly Instance[] | undefined;

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
    this.#sorted ??= [...this.#instances.values()].sort((a, b) => a.number - b.number);
    return this.#sorted;
  }

  /** Configured ones and those that still say goodbye. */
  get tracked(): readonly Instance[] {
    this.#tracked ??= [...this.#instances.values(), ...this.#departing.values()];
    return this.#tracked;
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
    this.#forgetLists();
    return instance;
  }

  /** Takes an instance out of the set; it is tracked until `departed`. */
  remove(instance: Instance): void {
    // Its sessions go on without being watched, and its number may be another instance's soon.
    instance.health = newHealth(instance.health.data.settings);
    this.#instances.delete(instance.number);
    this.#departing.set(instance.number, instance);
    this.#forgetLists();
  }

  isDeparting(number: number): boolean {
    return this.#departing.has(number);
  }

  /** A removed instance has said goodbye. False when it was not on its way. */
  departed(instance: Instance): boolean {
    if (this.#departing.get(instance.number) !== instance) return false;
    this.#departing.delete(instance.number);
    this.#forgetLists();
    return true;
  }

  #forgetLists(): void {
    this.#sorted = undefined;
    this.#tracked = undefined;
  }

  /**
   * Draws the picture anew where it would come out differently: most packets tell nothing new. `before` is the last one,
   * the same object when the picture has stayed.
   */
  draw(now: MonotonicMs): {
    readonly before: ClusterView;
    readonly changed: boolean;
    readonly events: readonly ClusterEvent[];
  } {
    const before = this.#view;
    const { config, all } = this;
    const known = this.#drawn;
    const isDrawn =
      known?.config === config &&
      now < viewWakeAt(this.#memory) &&
      known.facts.length === all.length &&
      all.every((instance, at) => instance.isStill(known.facts[at]));
    if (isDrawn && all.every((instance, at) => instance.link.data.rttMs === known.facts[at]?.rttMs))
      return { before, changed: false, events: [] };
    const facts = all.map((instance) => instance.facts());
    this.#drawn = { facts, config };
    if (isDrawn) {
      this.#view = withRoundTrips(before, facts);
      return { before, changed: false, events: [] };
    }
    const { memory, view, events } = drawView(
      this.#memory,
      before,
      facts,
      { onConflict: config.onConflict, conflictMs: config.heartbeatTimeoutMs },
      now,
    );
    this.#memory = memory;
    this.#view = view;
    const changed = viewsDiffer(before, view);
    if (changed) this.#viewNumber = this.#viewNumber >= 0xffff_ffff ? 1 : this.#viewNumber + 1;
    return { before, changed, events };
  }

  wakeAt(): MonotonicMs {
    let at = viewWakeAt(this.#memory);
    for (const instance of this.tracked) at = Math.min(at, instance.wakeAt());
    return at;
  }

  /** The cluster this set belongs to, once a serving primary had it; 0 before. */
  get reference(): bigint {
    return this.#memory.firm ? this.#memory.reference : 0n;
  }

  forgetCluster(): void {
    this.#memory = forgetCluster(this.#memory);
    this.#drawn = undefined;
  }

  /** An operator has decided a conflict. False when the instance is in none. */
  expireConflict(number: number, now: MonotonicMs): boolean {
    const found = this.#memory.conflicts.has(number);
    this.#memory = expireConflict(this.#memory, number, now);
    this.#drawn = undefined;
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
    return instance.params;
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
