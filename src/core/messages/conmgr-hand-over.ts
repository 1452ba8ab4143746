/** What conmgr says of a restart by which its successor takes everything over (CM1260-CM1269). */
import type { MessageSpec } from './message.js';

export const HAND_OVER_MESSAGES = {
  handedOver: {
    code: 'CM1260',
    event: 'handed_over',
    level: 'LOG',
    text: 'handed over {taken} application connections to the next process',
    cause: 'conmgr restarts, and its successor has taken over its sockets: applications do not notice.',
    cure: 'None.',
    everyMs: 0,
  },
  handedOverNotAll: {
    code: 'CM1261',
    level: 'WARNING',
    text: '{count} application connections could not be handed over',
    detail: 'Aware drivers attach again by themselves, forwarded connections end.',
    cause:
      'Of a connection that is just ending, that uses the console, or of which too much waits to be sent, nothing is handed over; nor is anything for which the limit of open files leaves no room.',
    cure: 'None for a few. If there are many, raise the limit of open files.',
    everyMs: 0,
  },
  handOverFailed: {
    code: 'CM1262',
    event: 'hand_over_failed',
    level: 'WARNING',
    text: 'could not hand over to the next process, going on: {reason}',
    cause:
      'A successor asked for the sockets of this process, but did not take them: it was ended, or did not answer.',
    cure: 'See what the successor said, then restart again.',
    everyMs: 0,
  },
  tookOver: {
    code: 'CM1263',
    event: 'took_over',
    level: 'LOG',
    text: 'took over {sessions} sessions and {connections} other connections from {software}',
    cause: 'conmgr was restarted and goes on where its predecessor has stopped.',
    cure: 'None.',
    everyMs: 0,
  },
  handOverDamaged: {
    code: 'CM1264',
    event: 'hand_over_failed',
    level: 'ERROR',
    text: 'could not take over the sessions of the predecessor: {reason}',
    detail: 'Their connections are reset; listening sockets are kept.',
    cause: 'What the process before this one has handed over is incomplete or not meant for this conmgr.',
    cure: 'None: applications connect again. If it comes again, report it.',
    everyMs: 0,
  },
  handOverRejected: {
    code: 'CM1265',
    level: 'WARNING',
    text: '{count} records of the predecessor were not taken over',
    detail: '{lines}',
    cause:
      'The process before this one has described sessions in a way that this version does not understand.',
    cure: 'None: their applications connect again.',
    everyMs: 0,
  },
  handOverUnusable: {
    code: 'CM1266',
    event: 'hand_over_failed',
    level: 'FATAL',
    text: 'could not take over from the conmgr that runs: {reason}',
    detail: 'The running conmgr goes on.',
    hint: '"cm_ctl restart -m fast" restarts it without keeping sessions.',
    cause:
      'What the running conmgr wanted to hand over cannot be used: this process may have fewer open files, or something has damaged it. Or it does not hand over at this moment: it is starting up, waits in a smart stop for its sessions, is being taken over by another process, or does not answer.',
    cure: 'Wait until the running conmgr is up and answers "cm_ctl status", then restart again. Raise the limit of open files to that of the running conmgr.',
    exit: 1,
    everyMs: 0,
  },
  handOverRefused: {
    code: 'CM1267',
    level: 'LOG',
    text: 'the running conmgr does not hand over its sessions: {reason}',
    detail:
      'It restarts as older versions do: aware drivers attach again by themselves, forwarded connections end.',
    cause:
      'The conmgr that runs is of another version that hands over otherwise, or one of the two cannot load koffi.node.',
    cure: 'None after an upgrade from an older version.',
    everyMs: 0,
  },
  predecessorStays: {
    code: 'CM1268',
    level: 'FATAL',
    text: 'the conmgr that runs in directory "{directory}" goes on',
    detail: 'It had begun to hand over, but did not end.',
    cause:
      'The host is so busy that the running conmgr did not learn in time that its sockets had been taken.',
    cure: 'Restart again.',
    exit: 1,
    everyMs: 0,
  },
  restartWithoutHandOver: {
    code: 'CM1269',
    level: 'WARNING',
    text: 'restarting without handing over sessions: {reason}',
    detail: 'Aware drivers attach again by themselves, forwarded connections end.',
    cause:
      'The next process could not start, because conmgr.conf has errors, LimitNOFILE= of the unit is too low for it, or guard = on is not possible; or the service manager keeps too few descriptors for the unit (FileDescriptorStoreMax=); or koffi.node could not be loaded.',
    cure: 'Correct conmgr.conf or the unit before the next restart: "cm_ctl check" tells what is wrong. Otherwise see "systemctl show -p FileDescriptorStoreMax" of the unit: it must be greater than the number of ports times addresses that conmgr listens on.',
    everyMs: 0,
  },
} as const satisfies Readonly<Record<string, MessageSpec>>;
