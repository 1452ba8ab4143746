/** Instances as facts and as members of a picture, for the tests of view and choice. */
import {
  type ClusterEvent,
  type ClusterMemory,
  type ClusterView,
  drawView,
  EMPTY_MEMORY,
  EMPTY_VIEW,
  type InstanceFacts,
  type Member,
} from '../../../../src/core/cluster/view.js';
import type { HealthPhase } from '../../../../src/core/link/health.js';
import {
  type AttributeName,
  attributeBits,
  type InstanceAttributes,
  UNKNOWN_ATTRIBUTES,
} from '../../../../src/core/protocol/attributes.js';

export const CLUSTER = 71n;

/** Facts of an instance that is monitored, up and accepting, unless said otherwise. */
export function facts(
  number: number,
  bits: readonly AttributeName[],
  change: Partial<InstanceAttributes> & { readonly health?: HealthPhase; readonly dim?: boolean } = {},
): InstanceFacts {
  const { health = 'monitored', dim = false, ...attributes } = change;
  return {
    number,
    health,
    dim,
    rttMs: undefined,
    attributes: {
      ...UNKNOWN_ATTRIBUTES,
      version: 1,
      state: 'up',
      bits: attributeBits('accepting', ...bits),
      timeline: 1,
      position: 1000n,
      systemIdentifier: CLUSTER,
      ...attributes,
    },
  };
}

export const primary = (number: number, change: Parameters<typeof facts>[2] = {}): InstanceFacts =>
  facts(number, ['primary'], change);
export const standby = (number: number, change: Parameters<typeof facts>[2] = {}): InstanceFacts =>
  facts(number, ['standby', 'readOnlyByRecovery'], change);
export const unheard = (number: number, health: HealthPhase = 'unseen'): InstanceFacts => ({
  number,
  health,
  dim: false,
  rttMs: undefined,
  attributes: undefined,
});

export const OPTIONS = { onConflict: 'newest', conflictMs: 3000 } as const;

function inWords(event: ClusterEvent): string {
  switch (event.type) {
    case 'conflictBegan':
      return `conflict ${event.number} (timeline ${event.timeline}) with ${event.rival} (${event.rivalTimeline}), offered ${event.winner}`;
    case 'conflictExpired':
      return `expired ${event.number} for ${event.winner}`;
    case 'conflictEnded':
      return `ended ${event.number}`;
    case 'foreign':
      return `foreign ${event.number}: ${event.systemIdentifier} is not ${event.reference}`;
    case 'primaryChanged':
      return `primary ${event.from} -> ${event.to}`;
  }
}

/** Draws picture after picture and keeps what is remembered between them. */
export class Gallery {
  memory: ClusterMemory = EMPTY_MEMORY;
  view: ClusterView = EMPTY_VIEW;
  options: Parameters<typeof drawView>[3];

  constructor(options: Parameters<typeof drawView>[3] = OPTIONS) {
    this.options = options;
  }

  /** The events of the new picture in few words. */
  draw(now: number, ...all: readonly InstanceFacts[]): readonly string[] {
    const drawn = drawView(this.memory, this.view, all, this.options, now);
    this.memory = drawn.memory;
    this.view = drawn.view;
    return drawn.events.map(inWords);
  }

  member(number: number): Member {
    const found = this.view.members.find((one) => one.number === number);
    if (found === undefined) throw new Error(`no member ${number}`);
    return found;
  }
}

/** The picture of these facts, drawn for the first time. */
export function viewOf(...all: readonly InstanceFacts[]): ClusterView {
  const gallery = new Gallery();
  gallery.draw(0, ...all);
  return gallery.view;
}
