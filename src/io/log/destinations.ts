/**
 * The log daemons as destinations: syslog at /dev/log and journald's native socket.
 */
import { constants } from 'node:os';
import type { LogConfig } from '../../core/config/types.js';
import { journalEntry } from '../../core/messages/journald-format.js';
import { kindOf, type MessageParams, type RenderedMessage } from '../../core/messages/message.js';
import { syslogDatagrams } from '../../core/messages/syslog-format.js';
import type { Clock } from '../../core/time.js';
import type { Native } from '../native.js';
import { DatagramSender } from '../unix-datagram.js';
import { DatagramSink } from './datagram-sink.js';
import { messageId } from './message-id.js';

/** Sockets of the log daemons (syslog(3); systemd documentation, "Native Journal Protocol"). */
export const SYSLOG_SOCKET = '/dev/log';
export const JOURNALD_SOCKET = '/run/systemd/journal/socket';

/** A message on its way to the destinations. */
export interface LogEntry {
  readonly message: RenderedMessage;
  readonly params: MessageParams;
  readonly wallMs: number;
  /** Already on stderr: it is not put there again when another destination fails. */
  onStderr: boolean;
}

/** One destination that is a daemon. */
export interface DaemonDestination {
  /** Takes an entry; false when it was only counted. */
  write(entry: LogEntry): boolean;
  /** The same, but the entry is out, or known not to be, when it returns. */
  writeNow(entry: LogEntry): boolean;
  flushSync(): void;
  close(): void;
}

/** What both kinds need. */
export interface DaemonOptions {
  readonly native: Native;
  readonly clock: Clock;
  readonly path: string;
  /** Asked for each message, so that a reload takes effect. */
  readonly config: () => LogConfig;
  /** The message that says that so many messages could not be written. */
  readonly droppedNotice: (count: number) => LogEntry;
  readonly lost: (reason: string, unsent: readonly LogEntry[]) => void;
}

function destination(
  options: DaemonOptions,
  encode: (entry: LogEntry) => readonly Buffer[],
  send: (sender: DatagramSender, datagram: Buffer) => number,
): DaemonDestination {
  const sender = new DatagramSender(options.native, options.path);
  const sink = new DatagramSink<LogEntry>({
    clock: options.clock,
    send: (datagram) => send(sender, datagram),
    droppedNotice: (count) => encode(options.droppedNotice(count)),
    lost: options.lost,
  });
  return {
    write: (entry) => sink.write(encode(entry), entry),
    writeNow: (entry) => sink.writeNow(encode(entry), entry),
    flushSync: () => void sink.flushSync(),
    close: () => {
      sink.close();
      sender.close();
    },
  };
}

/** Minutes east of UTC are what JavaScript calls minutes west, negated. */
function zoneOffsetMs(wallMs: number): number {
  return -new Date(wallMs).getTimezoneOffset() * 60_000;
}

/** syslog: RFC 3164 datagrams, one per line. Not through syslog(3), which waits for a daemon that does not read. */
export function syslogDestination(options: DaemonOptions): DaemonDestination {
  let sequence = 0;
  return destination(
    options,
    ({ message, wallMs }) => {
      const { syslogFacility, syslogIdent } = options.config();
      const origin = { facility: syslogFacility, ident: syslogIdent, pid: process.pid };
      sequence += 1;
      return syslogDatagrams(message, origin, wallMs, zoneOffsetMs(wallMs), sequence);
    },
    (sender, datagram) => sender.send(datagram),
  );
}

/** journald: one datagram per message; one that is too big goes as a memory file. */
export function journaldDestination(options: DaemonOptions): DaemonDestination {
  return destination(
    options,
    ({ message, params }) => [
      journalEntry(message, params, options.config().syslogIdent, messageId(kindOf(message))),
    ],
    (sender, datagram) => {
      const errno = sender.send(datagram);
      return errno === constants.errno.EMSGSIZE ? sender.sendAsMemoryFile(datagram) : errno;
    },
  );
}
