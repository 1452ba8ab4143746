/** What conmgr says, and does to sessions, when the picture of the set tells that something happened in it. */
import type { ClusterEvent } from '../cluster/view.js';
import { CONFLICT, type SessionDesk } from './desk.js';
import type { InstanceSet } from './instance-set.js';
import type { Outbox } from './outbox.js';

export function reportClusterEvent(
  event: ClusterEvent,
  set: InstanceSet,
  out: Outbox,
  desk: SessionDesk,
): void {
  const instance = 'number' in event ? set.get(event.number) : undefined;
  const params = instance === undefined ? {} : set.params(instance);
  switch (event.type) {
    case 'conflictBegan': {
      const rival = `${set.nameOf(event.rival)} on timeline ${event.rivalTimeline}`;
      const offered = event.winner === undefined ? 'none of them' : set.nameOf(event.winner);
      out.log('conflict', { ...params, timeline: event.timeline, rival, offered });
      break;
    }
    case 'conflictEnded':
      out.log('conflictEnded', params);
      break;
    case 'conflictExpired': {
      const decision =
        event.winner === undefined ? 'decided by an operator' : `${set.nameOf(event.winner)} is the primary`;
      const sessions = desk.drop(event.number, CONFLICT, decision);
      out.log('conflictExpired', { ...params, sessions, decision });
      break;
    }
    case 'foreign': {
      const { systemIdentifier, reference } = event;
      out.log('foreign', { ...params, systemIdentifier, reference });
      break;
    }
    case 'primaryChanged':
      // With the number, so that the log does not take a new primary for a repetition of the loss of the old one.
      out.log(event.to === undefined ? 'primaryGone' : 'primaryChanged', {
        instance: event.to,
        primary: set.nameOf(event.to),
        was: set.nameOf(event.from),
      });
      break;
  }
}
