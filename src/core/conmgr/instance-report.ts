/** What the log says of an instance's link and health. */
import type { HealthEffect } from '../link/health.js';
import type { LinkEffect } from '../link/link.js';
import type { MessageParams } from '../messages/message.js';
import type { Outbox } from './outbox.js';

/** `params`: those of every message about the instance; `takeDropped`: sessions that were told of the loss just before. */
export function reportHealth(
  effect: Exclude<HealthEffect, { do: 'probe' | 'dropSessions' }>,
  params: MessageParams,
  out: Outbox,
  takeDropped: () => number,
): void {
  switch (effect.do) {
    case 'reportLost': {
      const { reason, text } = effect;
      out.log('instanceLost', { ...params, reason, text, sessions: takeDropped() });
      break;
    }
    case 'reportDown':
      out.log('instanceDown', { ...params, text: effect.text, sessions: takeDropped() });
      break;
    case 'reportBack':
      out.log('instanceBack', params);
      break;
    case 'reportUnmonitored':
      out.log('instanceUnmonitored', { ...params, text: effect.text });
      break;
    case 'reportGrace':
      out.log('watchdogRestarting', { ...params, graceMs: effect.graceMs });
      break;
    case 'reportLeaving':
      out.log('hostLeaving', params);
      break;
  }
}

/** `isExpected`: its watchdog has announced a restart, so that a failure is no cause for alarm; the end of the grace is. */
export function reportLink(
  effect: Extract<LinkEffect, { do: 'reportRejected' | 'reportFailure' | 'reportRecovered' | 'reportDoubt' }>,
  params: MessageParams,
  out: Outbox,
  isExpected: boolean,
): void {
  switch (effect.do) {
    case 'reportRejected':
      out.log('linkRefused', { ...params, reason: effect.text === '' ? effect.code : effect.text });
      break;
    case 'reportFailure': {
      if (isExpected) break;
      const { text: reason, attempts } = effect;
      out.log(effect.first ? 'linkFailed' : 'linkStillFailing', { ...params, reason, attempts });
      break;
    }
    case 'reportRecovered': {
      const { attempts, afterMs } = effect;
      if (attempts > 0)
        out.log('linkRecovered', { ...params, attempts, seconds: (afterMs / 1000).toFixed(1) });
      break;
    }
    case 'reportDoubt':
      out.log('doubt', { ...params, lateMs: effect.lateMs });
      break;
  }
}
