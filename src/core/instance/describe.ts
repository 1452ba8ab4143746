/** An instance in words, for log lines and systemctl status. */
import { hasAttribute, type InstanceAttributes } from '../protocol/attributes.js';

/** `primary, timeline 3, accepting connections`. */
export function describeInstance({ bits, timeline, text }: InstanceAttributes): string {
  const words = [
    hasAttribute(bits, 'primary') ? 'primary' : hasAttribute(bits, 'standby') ? 'standby' : 'role unknown',
    ...(timeline === 0 ? [] : [`timeline ${timeline}`]),
    hasAttribute(bits, 'accepting') ? 'accepting connections' : 'not accepting connections',
    ...(hasAttribute(bits, 'readOnlyByDefault') ? ['read-only by default'] : []),
    ...(text === '' ? [] : [text]),
  ];
  return words.join(', ');
}

/** `up`; a server that is up and closed to newcomers, one that is shutting down for example, is not simply up. */
export function describeState({ state, bits }: InstanceAttributes): string {
  return state === 'up' && !hasAttribute(bits, 'accepting') ? 'up, but takes no new connections' : state;
}
