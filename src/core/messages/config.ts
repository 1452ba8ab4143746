/**
 * Messages about configuration: what can be wrong in conmgr.conf or in the watchdog's parameters.
 *
 * CM1000-CM1019 come from the syntax, CM1020-CM1029 from names, CM1030-CM1049 from single values,
 * CM1050-CM1069 from rules between values, CM1090-CM1099 from loading and reloading as a whole. Wording
 * follows PostgreSQL's own guc.c and guc-file.l where they have a message for the same mistake.
 */

import type { MessageSpec } from './message.js';

const RUNNING_STAYS = 'Mend the line; until then a running process keeps its configuration.';
const VALUE_CURE =
  'Write a value that the parameter takes; cm_ctl check shows all errors without starting anything.';

/** A file's errors are reported all at once, so no row here has a rate limit. */
const rows = {
  fileTooLarge: {
    code: 'CM1000',
    level: 'ERROR',
    text: 'file is larger than {limit} bytes',
    cause: 'A configuration file is a few kilobytes; something else stands in its place.',
    cure: 'Put the right file there.',
  },
  lineTooLong: {
    code: 'CM1001',
    level: 'ERROR',
    text: 'line is longer than {limit} characters',
    cause: 'No setting needs such a line; the file is damaged or not a configuration file.',
    cure: 'Shorten or remove the line.',
  },
  nulByte: {
    code: 'CM1002',
    level: 'ERROR',
    text: 'line contains a NUL byte',
    cause: 'The file was damaged, for example by a power failure while it was written, or is in UTF-16.',
    cure: 'Write the line again with a text editor, in UTF-8.',
  },
  notUtf8: {
    code: 'CM1003',
    level: 'ERROR',
    text: 'line contains bytes that are not valid UTF-8',
    cause: 'The file was written in another encoding, or an octal escape does not form a character.',
    cure: 'Save the file in UTF-8.',
  },
  syntax: {
    code: 'CM1004',
    level: 'ERROR',
    text: 'syntax error near "{near}": expected name = value',
    cause: 'A line that is not a comment has to be one setting.',
    cure: RUNNING_STAYS,
  },
  missingValue: {
    code: 'CM1005',
    level: 'ERROR',
    text: 'parameter "{name}" has no value',
    cause: 'Nothing, or only a comment, follows the name.',
    cure: 'Write a value, or put # before the line to use the default.',
  },
  unterminatedQuote: {
    code: 'CM1006',
    level: 'ERROR',
    text: 'the quoted value of parameter "{name}" has no closing quote; a quote inside is written as \'\'',
    cause: 'A value in single quotes has to end on the same line.',
    cure: RUNNING_STAYS,
  },
  textAfterValue: {
    code: 'CM1007',
    level: 'ERROR',
    text: 'unexpected text "{rest}" after the value of parameter "{name}"; write one setting a line, and a value with blanks in single quotes',
    cause: 'Only a comment may follow a value.',
    cure: RUNNING_STAYS,
  },
  doubleQuote: {
    code: 'CM1008',
    level: 'ERROR',
    text: 'the value of parameter "{name}" contains a double quote; use single quotes',
    cause: 'Values are quoted with single quotes, as in postgresql.conf.',
    cure: RUNNING_STAYS,
  },
  unquotedComma: {
    code: 'CM1009',
    level: 'ERROR',
    text: 'the value of parameter "{name}" contains a comma; write it in single quotes: \'{value}\'',
    cause: 'A list stands in one pair of single quotes, as in postgresql.conf.',
    cure: RUNNING_STAYS,
  },
  controlCharacter: {
    code: 'CM1010',
    level: 'ERROR',
    text: 'the value of parameter "{name}" contains a control character',
    cause: 'Values are one line of visible text; the file may have been damaged.',
    cure: 'Write the line again.',
  },
  includeDirective: {
    code: 'CM1011',
    level: 'ERROR',
    text: '"{name}" is not supported: conmgr.conf is one file',
    cause: 'Unlike postgresql.conf, conmgr.conf cannot include other files.',
    cure: 'Move the settings into conmgr.conf.',
  },
  tooManyErrors: {
    code: 'CM1012',
    level: 'ERROR',
    text: 'too many errors; the rest of the file is not reported',
    cause: 'The file is most likely not a configuration file.',
    cure: 'Put the right file there, or mend the errors reported so far.',
  },

  unknownParameter: {
    code: 'CM1020',
    level: 'ERROR',
    text: 'unrecognized configuration parameter "{name}"',
    cause: 'No parameter has this name.',
    cure: 'Look the name up in conmgr.conf(5).',
  },
  misspeltParameter: {
    code: 'CM1021',
    level: 'ERROR',
    text: 'unrecognized configuration parameter "{name}"; did you mean "{nearest}"?',
    cause: 'No parameter has this name, but one is spelt nearly so.',
    cure: 'Correct the name.',
  },
  missingNumber: {
    code: 'CM1022',
    level: 'ERROR',
    text: 'parameter "{name}" needs a number at its end, such as "{name}0"',
    cause: 'A parameter of one instance or listener ends in its number.',
    cure: 'Append the number, counted from 0.',
  },
  leadingZeros: {
    code: 'CM1023',
    level: 'ERROR',
    text: 'the number of parameter "{name}" must have no leading zeros; write "{better}"',
    cause: 'backend_host1 and backend_host01 would name the same instance.',
    cure: 'Remove the zeros.',
  },
  numberTooLarge: {
    code: 'CM1024',
    level: 'ERROR',
    text: 'the number of parameter "{name}" is larger than {max}',
    cause: 'Instances are counted from 0; gaps are allowed, but not without bound.',
    cure: 'Use a smaller number.',
  },
  notAvailable: {
    code: 'CM1025',
    level: 'ERROR',
    text: 'parameter "{name}" is not available in this version',
    cause: 'The parameter is reserved for a function that this version does not have.',
    cure: 'Remove the line, or set the parameter to its default.',
  },
  watchdogParameter: {
    code: 'CM1026',
    level: 'ERROR',
    text: 'parameter "{name}" belongs into the postgresql.conf of the instance',
    cause: "The watchdog's parameters stand with those of its instance, on the server.",
    cure: 'Move the line there.',
  },
  ignoredParameter: {
    code: 'CM1027',
    level: 'NOTICE',
    text: 'parameter "{name}" has a meaning on Windows only and is ignored',
    cause: 'The file was written for a product that also runs on Windows.',
    cure: 'None.',
  },
  repeatedParameter: {
    code: 'CM1028',
    level: 'NOTICE',
    text: 'parameter "{name}" is set again in line {winner}, which wins',
    cause: 'Of several settings of one parameter the last counts.',
    cure: 'Remove the others.',
  },

  notInteger: {
    code: 'CM1030',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": "{value}" is not a whole number in decimal digits',
    cause: 'The parameter is an integer.',
    cure: VALUE_CURE,
  },
  outOfRange: {
    code: 'CM1031',
    level: 'ERROR',
    text: '{value} is outside the valid range for parameter "{name}" ({min} .. {max})',
    cause: 'The number is too small or too large.',
    cure: VALUE_CURE,
  },
  notTime: {
    code: 'CM1032',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": "{value}" is not a whole number of {unit}, nor a number with one of the units ms, s, min, h, d',
    cause: 'The parameter is a time. Units are case-sensitive.',
    cure: VALUE_CURE,
  },
  notBytes: {
    code: 'CM1033',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": "{value}" is not a whole number of bytes, nor a number with one of the units B, kB, MB, GB, TB',
    cause: 'The parameter is an amount of data. Units are case-sensitive.',
    cure: VALUE_CURE,
  },
  notInEnum: {
    code: 'CM1034',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": "{value}"; available values: {available}',
    cause: 'The parameter takes one of a list of words.',
    cure: VALUE_CURE,
  },
  refusedValue: {
    code: 'CM1035',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": {why}; available values: {available}',
    cause: 'The word is known from other programs or systems but cannot be used here.',
    cure: VALUE_CURE,
  },
  valueNotAvailable: {
    code: 'CM1036',
    level: 'ERROR',
    text: 'value "{value}" of parameter "{name}" is not available in this version',
    cause: 'The value is reserved for a function that this version does not have.',
    cure: 'Use another value.',
  },
  emptyValue: {
    code: 'CM1037',
    level: 'ERROR',
    text: 'parameter "{name}" must not be empty',
    cause: 'Two quotes with nothing between them are no value for this parameter.',
    cure: 'Write a value, or put # before the line to use the default.',
  },
  emptyItem: {
    code: 'CM1038',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": "{value}" has an empty place in its list',
    cause: 'A comma has nothing before or after it.',
    cure: VALUE_CURE,
  },
  notHost: {
    code: 'CM1039',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": "{value}" is not a host name or IP address{why}',
    cause: 'The parameter names one host.',
    cure: VALUE_CURE,
  },
  notAddress: {
    code: 'CM1040',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": "{value}" is not an IP address',
    cause: 'The parameter takes an IPv4 or IPv6 address only, because it is used without name resolution.',
    cure: 'Write the address, or use backend_host for a name.',
  },
  notCidr: {
    code: 'CM1041',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": "{value}" is not a range of IP addresses such as 192.0.2.0/24',
    cause: 'The parameter is a list of addresses and ranges in CIDR notation.',
    cure: VALUE_CURE,
  },
  unprintableValue: {
    code: 'CM1042',
    level: 'ERROR',
    text: 'invalid value for parameter "{name}": "{value}" contains a control character',
    cause: 'The value is used in log lines or as a file name and has to be visible text.',
    cure: VALUE_CURE,
  },
  valueTooLong: {
    code: 'CM1043',
    level: 'ERROR',
    text: 'the value of parameter "{name}" is longer than {max} characters',
    cause: 'The value would be cut off where it is used.',
    cure: 'Use a shorter value.',
  },

  noInstance: {
    code: 'CM1050',
    level: 'ERROR',
    text: 'at least one instance must be configured: set backend_host0 or backend_hostaddr0',
    cause: 'Without an instance there is nothing to watch.',
    cure: 'Name the host of each PostgreSQL server of the replicated set.',
  },
  instanceWithoutHost: {
    code: 'CM1051',
    level: 'ERROR',
    text: 'instance {number} has "{name}" but neither "backend_host{number}" nor "backend_hostaddr{number}"',
    cause: 'Every number that occurs is an instance, and an instance needs a host.',
    cure: 'Set its host, or remove all lines with that number.',
  },
  sameInstance: {
    code: 'CM1052',
    level: 'ERROR',
    text: 'instances {first} and {second} have the same address and port ({host}, port {port})',
    cause: 'The same server is configured twice.',
    cure: 'Remove one of them, or correct its host or port.',
  },
  timeoutNotAboveInterval: {
    code: 'CM1053',
    level: 'WARNING',
    text: 'heartbeat_timeout ({timeout}) is not greater than heartbeat_interval ({interval}): every link will be considered down again and again',
    cause:
      'A packet is sent once per heartbeat_interval, so with such values the next one cannot arrive in time.',
    cure: 'Set heartbeat_timeout to at least twice heartbeat_interval.',
  },
  sameWatchdog: {
    code: 'CM1054',
    level: 'WARNING',
    text: 'instances {first} and {second} have the same address and watchdog_port ({host}, port {port})',
    cause: 'A watchdog serves one instance; one of the two would be shown with the state of the other.',
    cure: 'Give each instance its own watchdog.port in postgresql.conf, and the same number here.',
  },
  watchdogOnBackendPort: {
    code: 'CM1055',
    level: 'WARNING',
    text: 'instance {number} has the same port {port} for its postmaster and its watchdog',
    cause: 'Two programs cannot listen on one port of one address.',
    cure: 'Correct backend_port or watchdog_port.',
  },
  samePort: {
    code: 'CM1056',
    level: 'ERROR',
    text: 'parameters "{first}" and "{second}" are both {port}',
    cause: 'One process cannot listen twice on one port.',
    cure: 'Change one of them.',
  },
  probeTimeoutNotAboveInterval: {
    code: 'CM1057',
    level: 'WARNING',
    text: 'watchdog.probe_timeout ({timeout}) is not greater than watchdog.probe_interval ({interval}): a healthy instance will be taken for one that does not answer',
    cause: 'The instance is probed once per watchdog.probe_interval, so its last answer may be that old.',
    cure: 'Set watchdog.probe_timeout to at least twice watchdog.probe_interval.',
  },
  listenerWithoutPort: {
    code: 'CM1058',
    level: 'ERROR',
    text: 'listener {number} has "{name}" but not "listener_port{number}"',
    cause: 'Every number that occurs is a listener, and a listener needs a port.',
    cure: 'Set its port, or remove all lines with that number.',
  },
  twoProtections: {
    code: 'CM1059',
    level: 'ERROR',
    text: 'parameters "{first}" and "{second}" exclude each other',
    cause:
      'A heartbeat link is protected by a secret or by certificates; with both set, neither end could say which.',
    cure: 'Keep one of them, on both ends the same.',
  },
  sslFileMissing: {
    code: 'CM1060',
    level: 'ERROR',
    text: 'heartbeat_sslmode "{mode}" needs {name}',
    cause:
      'A watchdog gives a link only to a conmgr that shows a certificate, and its own can be verified only with the one of its authority.',
    cure: 'Name the file.',
  },
  sslFileUnused: {
    code: 'CM1061',
    level: 'WARNING',
    text: 'parameter "{name}" has no effect: heartbeat_sslmode is "disable", and the links are not protected by certificates',
    cause: 'Files of certificates are named, and nothing says that they are to be used.',
    cure: 'Set heartbeat_sslmode, best to verify-full, or remove the line.',
  },
  sslVerifiesNothing: {
    code: 'CM1062',
    level: 'WARNING',
    text: 'heartbeat_sslmode "require" without heartbeat_sslrootcert verifies no watchdog: somebody between the hosts could pose as one',
    cause: 'As with libpq, "require" alone encrypts, and takes whatever certificate is shown.',
    cure: 'Set heartbeat_sslrootcert, and heartbeat_sslmode to verify-full.',
  },

  fileHasErrors: {
    code: 'CM1090',
    level: 'FATAL',
    text: 'configuration file "{path}" contains errors',
    hint: 'Mend the lines named above. "cm_ctl check" shows all errors again and starts nothing.',
    cause: 'The errors stand in the lines before this one. Nothing was started or changed.',
    cure: 'Mend them; cm_ctl check shows them again.',
    exit: 78,
  },
  linkFileUnusable: {
    code: 'CM1095',
    level: 'FATAL',
    text: 'parameter "{name}": {reason}',
    cause:
      'The links are to be protected, and a file with the secret, the key or a certificate is missing, open to others, or holds nothing good. Without it no link would come up, and one without protection is not made in its place.',
    cure: 'Do what the message says. Nothing of a secret or a key itself is ever written to a log.',
    exit: 78,
  },
  reloadRejected: {
    code: 'CM1091',
    level: 'ERROR',
    text: 'configuration file "{path}" contains errors; the running configuration stays',
    hint: 'Mend the lines named above before the next restart, which would fail, and reload again.',
    cause: 'A reload takes all of the file or nothing.',
    cure: 'Mend the errors and reload again.',
  },
  restartNeeded: {
    code: 'CM1092',
    level: 'LOG',
    text: 'parameter "{name}" cannot be changed without restarting conmgr',
    cause: 'The file was reloaded and holds a new value for a parameter that is read at start only.',
    cure: 'Restart conmgr: that ends no session.',
  },
  parameterChanged: {
    code: 'CM1093',
    level: 'LOG',
    text: 'parameter "{name}" changed to "{value}"',
    cause: 'The configuration was reloaded.',
    cure: 'None.',
  },
  watchdogRestartNeeded: {
    code: 'CM1094',
    level: 'LOG',
    text: 'parameter "{name}" cannot be changed without restarting the watchdog',
    cause: 'The configuration was reloaded and holds a new value for a parameter that is read at start only.',
    cure: 'Restart the watchdog; no SQL session is ended by that.',
  },
} as const satisfies Record<string, MessageSpec>;

/** Name of a row of CONFIG_MESSAGES. */
export type ConfigMessageName = keyof typeof rows;

/** All messages about configuration. */
export const CONFIG_MESSAGES: Readonly<Record<ConfigMessageName, MessageSpec>> = Object.fromEntries(
  Object.entries(rows).map(([name, row]): [string, MessageSpec] => [name, { ...row, everyMs: 0 }]),
) as Record<ConfigMessageName, MessageSpec>;

/** What follows from a wrong watchdog parameter; the server side goes on, but never towards less safety. */
export const WATCHDOG_CONSEQUENCES = {
  default: 'The default ({default}) is used.',
  closed: 'The heartbeat port stays closed until this is mended.',
  'log-only': 'Until this is mended sessions of lost clients are only logged, not ended.',
} as const;
