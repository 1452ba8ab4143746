/**
 * Messages about the process itself and its surroundings: CM1100 to CM1199.
 */
import type { MessageSpec } from './message.js';

export const PROCESS_MESSAGES = {
  /** Stands for messages kept back by the rate limit; written at the level of those it stands for. */
  repeated: {
    code: 'CM1100',
    level: 'LOG',
    text: 'repeated {count}x in {seconds} s: {text}',
    cause:
      'The same message about the same peer came more often than its limit allows. The first was written at once; this line counts those that followed and shows the last.',
    cure: 'See the message that is repeated.',
    everyMs: 0,
  },
  runAsRoot: {
    code: 'CM1101',
    level: 'FATAL',
    text: '"root" execution of {program} is not permitted',
    hint: 'Start it as an unprivileged user: systemctl start {unit}, or sudo -u USER {program}. User= of a unit names that user.',
    cause:
      'The program was started by the superuser of the operating system. It needs none of its rights, and an error in it must not have them.',
    cure: 'Start it through its systemd unit, which names the user, or as the user who owns the directory.',
    exit: 77,
  },
  directoryInUse: {
    code: 'CM1102',
    level: 'FATAL',
    text: 'directory "{directory}" is in use by another process (PID {pid})',
    hint: 'Is it running already? Ask with: cm_ctl status -D {directory}',
    cause:
      'The lock on conmgr.pid in the directory is held by a living process. A directory serves one process; the file of a crashed one never blocks.',
    cure: 'Stop the other process, or give this one a directory of its own.',
    exit: 1,
  },
  directoryNotUsable: {
    code: 'CM1103',
    level: 'FATAL',
    text: 'could not open lock file "{file}": {reason}',
    hint: 'The directory must exist and be readable, writable and searchable by user ID {uid}; the file must not be a symbolic link.',
    cause: 'The lock file could not be opened or made with the rights of this user.',
    cure: 'Create the directory with cm_ctl init, or mend its owner and mode.',
    exit: 77,
  },
  lockFileNotWritten: {
    code: 'CM1104',
    level: 'FATAL',
    text: 'could not write lock file "{file}": {reason}',
    cause: 'The operating system refused to lock or write the lock file: a full disk, say.',
    cure: 'Remove what the reason names and start again.',
    exit: 1,
  },
  noLockCall: {
    code: 'CM1105',
    level: 'FATAL',
    text: 'could not lock directory "{directory}": neither koffi.node nor the program "flock" is available',
    hint: 'Install the package again, or install util-linux.',
    cause:
      'Node.js itself cannot lock a file. The lock is taken by koffi.node, which is part of the package, or else by flock(1) of util-linux; both are missing.',
    cure: 'Install the package again so that koffi.node is in place, or install util-linux.',
    exit: 78,
  },
  nativeMissing: {
    code: 'CM1106',
    level: 'LOG',
    text: 'native calls are not available: messages go to stderr only',
    detail: '{reason}.',
    hint: 'Readiness is reported by the program systemd-notify, which needs NotifyAccess=all in the unit.',
    cause:
      'koffi.node, which is part of the package, could not be loaded. Without it there is no syslog, no journald and no direct message to systemd.',
    cure: 'Install the package for the architecture of this machine. If it has to stay so, set NotifyAccess=all in a drop-in of the unit.',
    everyMs: 0,
  },
  descriptorsTooFew: {
    code: 'CM1107',
    level: 'FATAL',
    text: 'limit of {limit} open files is too low: at least {needed} are needed',
    detail: '9 + 2 x {instances} instances + max_connections of {maxConnections}{statusTerm} = {needed}.',
    hint: 'Raise it with: cm_ctl register --write-limits -D {directory}; or systemctl edit {unit}, lines "[Service]" and "LimitNOFILE={needed}"; without systemd: ulimit -n {needed}.',
    cause:
      'Every instance and every application connection takes descriptors; RLIMIT_NOFILE of the process does not allow as many as the configuration asks for.',
    cure: 'Raise LimitNOFILE= in a drop-in of the unit, or lower max_connections.',
    exit: 78,
  },
  descriptorsAllow: {
    code: 'CM1108',
    level: 'LOG',
    text: 'limit of {limit} open files allows about {connections} application connections, or {forwarded} that conmgr forwards',
    cause:
      'With max_connections = 0, or with connections that conmgr forwards (two descriptors each), no exact figure can be computed.',
    cure: 'None, unless more are expected: then raise LimitNOFILE= in a drop-in of the unit.',
  },
  heartbeatLinksCapped: {
    code: 'CM1109',
    level: 'WARNING',
    text: 'limit of {limit} open files allows {allowed} heartbeat connections instead of {wanted}',
    detail: 'The watchdog needs 50 descriptors and one for each heartbeat connection{statusTerm}.',
    hint: 'Raise it with: systemctl edit {unit}, lines "[Service]" and "LimitNOFILE={needed}".',
    cause:
      'watchdog.max_heartbeat_connections is higher than what RLIMIT_NOFILE of the watchdog allows. It runs on with the lower number.',
    cure: 'Raise LimitNOFILE= in a drop-in of the unit, or lower watchdog.max_heartbeat_connections.',
  },
  instanceDescriptorsTooFew: {
    code: 'CM1110',
    level: 'WARNING',
    text: 'limit of {limit} open files of the PostgreSQL instance (PID {pid}) is lower than {needed}',
    detail:
      'max_files_per_process of {maxFiles} + 2 x watchdog.max_heartbeat_connections of {heartbeatConnections} = {needed}.',
    hint: 'Set watchdog.max_heartbeat_connections to the number of application hosts; or raise the limit with: systemctl edit {unit}, lines "[Service]" and "LimitNOFILE={needed}", from the next start of PostgreSQL on.',
    cause:
      'The figure documented for an instance with a watchdog is higher than the limit its postmaster runs with. Debian starts PostgreSQL with 1024, and without watchdog.max_heartbeat_connections as many links as max_connections are reckoned with.',
    cure: 'Set watchdog.max_heartbeat_connections to the number of application hosts and reload the watchdog; or raise LimitNOFILE= of the unit that starts PostgreSQL and restart it at the next occasion.',
    // It comes once for each start of the instance.
    everyMs: 0,
  },
  limitUnknown: {
    code: 'CM1111',
    level: 'WARNING',
    text: 'could not determine the limit of open files: {reason}',
    cause: 'The limits of a process are read from /proc, which is missing or hidden here.',
    cure: 'Mount /proc for the service, or make sure by other means that LimitNOFILE= is high enough.',
  },
  destinationLost: {
    code: 'CM1112',
    event: 'log_destination_lost',
    level: 'LOG',
    text: 'could not write to {destination}: {reason}',
    detail: 'Messages for it are counted and dropped until it is back.',
    cause:
      'The socket of the log daemon is missing, or it did not read for a second. Logging never waits, so messages are counted and dropped; an attempt is made every 10 s.',
    cure: 'Start the log daemon, or take the destination out of log_destination.',
    everyMs: 0,
  },
  messagesDropped: {
    code: 'CM1113',
    event: 'log_messages_dropped',
    level: 'LOG',
    text: 'number of messages that could not be written to {destination}: {count}',
    cause:
      'The reader of this destination was gone or did not keep up. Logging never waits, so messages were counted and dropped; this line is the first after it.',
    cure: 'Look at the other log destinations for what is missing here.',
    everyMs: 0,
  },
  machineIdMissing: {
    code: 'CM1114',
    level: 'LOG',
    text: 'could not use "{machineIdFile}": {reason}',
    detail: 'The identity of this conmgr is kept in "{file}" instead.',
    hint: 'Run systemd-machine-id-setup. A copy of the directory on another machine must not contain this file.',
    cause:
      'The identity towards the watchdogs is derived from the machine ID, which is missing or not yet set, as in some containers. A random one was made and is kept in the directory.',
    cure: 'Run systemd-machine-id-setup, or keep the file with the directory and copy it nowhere else.',
  },
  identityNotKept: {
    code: 'CM1115',
    level: 'FATAL',
    text: 'could not keep the identity in "{file}": {reason}',
    detail: 'A file is needed because "{machineIdFile}" could not be used: {problem}.',
    hint: 'Run systemd-machine-id-setup, or make the directory writable and the file readable; a damaged file may be removed.',
    cause:
      'The machine ID, from which the identity towards the watchdogs is derived, is missing or not yet set, and the file that takes its place can be neither read nor made.',
    cure: 'Run systemd-machine-id-setup, or mend what the reason names. When the file is removed a new identity is made.',
    exit: 78,
  },
  unitMeaningless: {
    code: 'CM1116',
    level: 'FATAL',
    text: 'no directory belongs to instance name "{unit}"',
    hint: 'The name of the unit for a directory is told by: systemd-escape --path DIRECTORY',
    cause:
      'The instance name of the unit (between "@" and ".service") is neither a plain name nor an escaped path as systemd-escape(1) makes it.',
    cure: 'Start the unit with the name that systemd-escape --path prints for the directory.',
    exit: 78,
  },
  directoryHidden: {
    code: 'CM1117',
    level: 'FATAL',
    text: 'directory "{directory}" cannot be used by a systemd unit',
    detail: 'The unit has a /tmp and a /var/tmp of its own (PrivateTmp=).',
    hint: 'Move the directory to another place, /var/lib for instance, or run the program without systemd.',
    cause: 'What lies below /tmp or /var/tmp is hidden from the unit, and other users can write there.',
    cure: 'Move the directory out of /tmp and /var/tmp and start the unit that is named after its new place.',
    exit: 78,
  },
  descriptorsBelowLeast: {
    code: 'CM1118',
    level: 'FATAL',
    text: 'limit of {limit} open files is too low: at least {least} are needed',
    detail: 'The program itself takes up to {least}, before any connection.',
    hint: 'Raise it with: systemctl edit {unit}, lines "[Service]" and "LimitNOFILE=20000"; without systemd: ulimit -n 20000.',
    cause: 'RLIMIT_NOFILE of the process does not even allow what the program has open by itself.',
    cure: 'Raise LimitNOFILE= in a drop-in of the unit, or take the line out: the units have 20000.',
    exit: 78,
  },
  statusListening: {
    code: 'CM1119',
    level: 'LOG',
    text: 'serving status on http://localhost:{port}/',
    cause: 'status_port is set: metrics, status and a page for people can be had there, from this host.',
    cure: 'None.',
    everyMs: 0,
  },
  statusUnavailable: {
    code: 'CM1120',
    level: 'WARNING',
    text: 'could not listen on status port {port}: {reason}',
    detail: 'Everything else goes on without it.',
    hint: 'Another process may use the port: "ss -ltnp sport = :{port}" shows which.',
    cause: 'The port of status_port is taken on a loopback address, or there is no loopback address.',
    cure: 'Free the port or configure another one, then restart at the next occasion.',
    everyMs: 0,
  },
  certificateExpires: {
    code: 'CM1121',
    level: 'WARNING',
    text: 'certificate of {name} expires in {days} days, on {date}',
    detail: 'It stands in {path}.',
    hint: 'Put a new one there and reload: links that are up stay, new ones use it.',
    cause:
      'Fewer than 30 days of its time are left, or less than a third of it. From that day on no heartbeat link comes up with it.',
    cure: 'Order a new certificate in time.',
    everyMs: 0,
  },
  certificateExpired: {
    code: 'CM1122',
    level: 'WARNING',
    text: 'certificate of {name} has expired on {date}, {days} days ago',
    detail: 'It stands in {path}. No heartbeat link comes up with it; those that are up stay.',
    hint: 'Put a new one there and reload.',
    cause: 'The time of the certificate, or of one between it and its authority, is over.',
    cure: 'Order a new certificate.',
    everyMs: 0,
  },
  certificateNotYetValid: {
    code: 'CM1123',
    level: 'WARNING',
    text: 'certificate of {name} is valid only from {date} on',
    detail: 'It stands in {path}. No heartbeat link comes up with it before.',
    cause: 'The certificate was made for later, or the clock of this host is wrong.',
    cure: 'Look at the clock, or use the certificate that is valid now.',
    everyMs: 0,
  },
} as const satisfies Readonly<Record<string, MessageSpec>>;
