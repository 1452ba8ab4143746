/** The types of the log parameters, which conmgr and the watchdog have in common. */

import { LEVELS } from '../messages/message.js';
import type { LogDestination, SyslogFacility } from './types.js';
import type { ValueType } from './value-type.js';
import { listOf, oneOf, text } from './word-types.js';

/** Longest program name handed to syslog. */
const LONGEST_IDENT = 255;

export const logDestinations: ValueType<readonly LogDestination[]> = listOf(
  oneOf(['stderr', 'syslog', 'journald'], {
    refused: { eventlog: '"eventlog" exists on Windows only' },
  }),
);

export const syslogFacility: ValueType<SyslogFacility> = oneOf([
  'LOCAL0',
  'LOCAL1',
  'LOCAL2',
  'LOCAL3',
  'LOCAL4',
  'LOCAL5',
  'LOCAL6',
  'LOCAL7',
]);

export const syslogIdent = text(LONGEST_IDENT);

export const logLevel = oneOf(LEVELS);
