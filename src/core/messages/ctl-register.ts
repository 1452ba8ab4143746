/**
 * Messages of cm_ctl about registering with systemd, about what a unit may open, and about logs (CM3100-CM3149).
 * Wording: PostgreSQL documentation, 57.3 Error Message Style Guide.
 */
import type { MessageSpec } from './message.js';

const FAILED = 1;
const USAGE = 2;
const CONFIGURATION = 78;

export const CTL_REGISTER_MESSAGES = {
  // What was asked for

  wrongInstanceName: {
    code: 'CM3100',
    level: 'ERROR',
    text: 'invalid instance name: "{name}"',
    hint: 'It has at most {limit} letters, digits, "_", "." and "-", and does not begin with "." or "-".',
    cause: 'The name becomes the name of a directory and a part of the name of a unit.',
    cure: 'Choose another name.',
    exit: USAGE,
  },
  registerWithNone: {
    code: 'CM3101',
    level: 'ERROR',
    text: 'an instance is registered with the service manager of the host or with that of a user',
    hint: 'Use --manager=system or --manager=user. Without systemd "cm_ctl start" runs conmgr as a process of its own.',
    cause: 'Where cm_ctl runs conmgr itself there is nothing to register with.',
    cure: 'Leave --manager out, or name one of the two.',
    exit: USAGE,
  },
  userNeeded: {
    code: 'CM3102',
    level: 'ERROR',
    text: 'directory "{directory}" does not exist, and no user was named that it is to belong to',
    hint: 'Use -U USER to make it, or -D DIRECTORY to register one that exists.',
    cause: 'A new directory belongs to the user that its conmgr runs as.',
    cure: 'Name the user, for example: cm_ctl register -N app1 -U alice.',
    exit: USAGE,
  },

  // The manager

  systemdAbsent: {
    code: 'CM3105',
    level: 'ERROR',
    text: 'this host does not run systemd',
    hint: '"cm_ctl start" runs conmgr as a process of its own.',
    cause: 'There is no directory /run/systemd/system, so the host was not booted with systemd.',
    cure: 'None; containers mostly have no service manager.',
    exit: FAILED,
  },
  registerNeedsRoot: {
    code: 'CM3106',
    level: 'ERROR',
    text: 'only root may {action} with the service manager of the host',
    hint: 'Use: {command}',
    cause: 'Units of the host are set up below /etc/systemd/system, where this user may not write.',
    cure: 'Run the command as root; with --manager=user it is your own service manager instead.',
    exit: FAILED,
  },
  managerSilent: {
    code: 'CM3107',
    level: 'ERROR',
    text: 'could not reach the service manager of the host',
    hint: 'Examine it with: systemctl status',
    cause: 'systemctl brought no answer: the manager is stuck, or the system bus is down.',
    cure: 'See what "systemctl status" says.',
    exit: FAILED,
  },
  userManagerSilent: {
    code: 'CM3108',
    level: 'ERROR',
    text: 'could not reach the service manager of user "{user}"',
    hint: 'It runs while the user is logged in, and always after: loginctl enable-linger {user}',
    cause:
      'The user is not logged in by way of pam_systemd(8), as after su(1), or the host has no such managers.',
    cure: 'Log in as this user, let the manager linger, or register with the service manager of the host as root.',
    exit: FAILED,
  },
  ownManagerSilent: {
    code: 'CM3103',
    level: 'ERROR',
    text: 'directory "{directory}" is registered with the service manager of user "{user}", which does not run',
    hint: 'It runs while the user is logged in, and always after: loginctl enable-linger {user}. "--manager none" does without.',
    cause:
      'The user is not logged in by way of pam_systemd(8), as after su(1). A process of its own would be in the way of the unit at the next login.',
    cure: 'Log in as this user, let the manager linger, or undo it: cm_ctl unregister.',
    exit: FAILED,
  },
  templateMissing: {
    code: 'CM3109',
    level: 'ERROR',
    text: 'the service manager has no unit "{template}"',
    hint: 'Check your installation; "systemctl daemon-reload" makes systemd look again.',
    cause:
      'The package installs the unit; conmgr installed in another place needs it below /etc/systemd/system.',
    cure: 'Install the package again.',
    exit: FAILED,
  },
  registerFailed: {
    code: 'CM3110',
    level: 'ERROR',
    text: 'systemctl {verb} failed',
    detail: '{lines}',
    cause: 'systemd refused. The detail shows what it said.',
    cure: 'Remove what the detail names, then repeat the command: what was done before stays.',
    exit: FAILED,
  },

  // The directory and its user

  directoryUnfit: {
    code: 'CM3111',
    level: 'ERROR',
    text: 'directory "{directory}" cannot be named by a unit: {reason}',
    hint: '{hint}',
    cause: 'A unit knows its directory by name, which systemd must be able to write down.',
    cure: 'Give it a name with -N, or move it.',
    exit: CONFIGURATION,
  },
  nameTaken: {
    code: 'CM3112',
    level: 'ERROR',
    text: 'instance name "{name}" is taken: "{place}" {what}',
    hint: 'Choose another name; "cm_ctl unregister -N {name}" frees one that is no longer needed.',
    cause: 'The name stands for a directory of this name, which is there and is not the one given.',
    cure: 'Use another name, or leave -D out to register what the name stands for.',
    exit: FAILED,
  },
  registeredElsewhere: {
    code: 'CM3113',
    level: 'ERROR',
    text: 'directory "{directory}" is registered as {unit} already',
    hint: 'Use first: {command}',
    cause: 'A directory serves one process, so a second unit for it could never start.',
    cure: 'Keep the unit that is there, or unregister it before.',
    exit: FAILED,
  },
  userUnknown: {
    code: 'CM3114',
    level: 'ERROR',
    text: 'user "{user}" does not exist',
    cause: 'Neither the user database nor a directory service of this host knows the name.',
    cure: 'Check the spelling of -U, or create the user.',
    exit: FAILED,
  },
  userIsRoot: {
    code: 'CM3115',
    level: 'ERROR',
    text: 'conmgr does not run as root',
    hint: 'Name an unprivileged user with -U; the package has made one, "conmgr".',
    cause: 'Whoever breaks into a process that talks to the network would own the host.',
    cure: 'Use another user.',
    exit: FAILED,
  },
  directoryOfRoot: {
    code: 'CM3116',
    level: 'ERROR',
    text: 'directory "{directory}" belongs to root, and conmgr does not run as root',
    hint: 'Give it to the user that conmgr is to run as: {command}',
    cause: 'An instance runs as the owner of its directory.',
    cure: 'Change the owner of the directory and of what is in it.',
    exit: FAILED,
  },
  directoryOfOther: {
    code: 'CM3117',
    level: 'ERROR',
    text: 'directory "{directory}" belongs to user {owner}, not to {user}',
    hint: '{hint}',
    cause: 'The program must own its directory, so it runs as the owner.',
    cure: 'Name the owner, or change the owner of the directory and of what is in it.',
    exit: FAILED,
  },
  otherUsersManager: {
    code: 'CM3118',
    level: 'ERROR',
    text: 'the service manager of user "{caller}" cannot run an instance as user "{user}"',
    hint: 'Use the service manager of the host: {command}',
    cause: 'What the manager of a user starts runs as this user.',
    cure: 'Register with the service manager of the host as root, or as the other user.',
    exit: FAILED,
  },

  // Files

  dropInForeign: {
    code: 'CM3120',
    level: 'ERROR',
    text: 'file "{file}" was not written by cm_ctl',
    hint: 'Rename it; a name like override.conf is heeded as well and stays untouched.',
    cause: 'cm_ctl changes and removes only files that begin with its own comment.',
    cure: 'Give the file another name that ends in ".conf".',
    exit: FAILED,
  },
  registerFileFailed: {
    code: 'CM3121',
    level: 'ERROR',
    text: 'could not {action} "{path}": {reason}',
    cause: 'The operating system refused.',
    cure: 'Remove what the reason names, then repeat the command.',
    exit: FAILED,
  },

  // What is remarked

  unitLimitLow: {
    code: 'CM3125',
    level: 'WARNING',
    text: 'limit of {limit} open files of {unit} is too low: at least {needed} are needed',
    detail: '{formula}.',
    hint: 'Use: {command}',
    cause: 'LimitNOFILE= of the unit does not allow as many descriptors as the configuration asks for.',
    cure: 'Let cm_ctl write a drop-in with the figure, or lower max_connections.',
  },
  unitLimitOverruled: {
    code: 'CM3126',
    level: 'WARNING',
    text: 'limit of open files of {unit} stays {limit}, although {needed} was written',
    detail: '{formula}.',
    hint: 'Another drop-in has the last word; "systemctl cat {unit}" shows them all.',
    cause: 'Drop-ins are read in the order of their names, and a later one sets LimitNOFILE= again.',
    cure: 'Change the figure in that file.',
  },
  helperListForeign: {
    code: 'CM3150',
    level: 'WARNING',
    text: 'list of conmgr-helper "{file}" was not written by cm_ctl, and stays as it is',
    hint: 'Add what is missing by hand, or move it away and register the instance again.',
    cause: 'There is a file of this name that does not begin with the line of cm_ctl.',
    cure: 'Do what the hint says.',
  },
  helperListIncomplete: {
    code: 'CM3151',
    level: 'WARNING',
    text: 'list of conmgr-helper has no address of one instance: {reason}',
    hint: 'Register the instance again when the name is known.',
    cause: 'The list allows addresses, and a name of conmgr.conf could not be resolved.',
    cure: 'Do what the hint says, or set backend_hostaddr in conmgr.conf.',
  },
  helperOff: {
    code: 'CM3152',
    level: 'NOTICE',
    text: 'conmgr.conf asks for {what}, and conmgr-helper does not run',
    hint: 'Switch it on: systemctl enable --now conmgr-helper',
    cause:
      'Connections are ended and redirected in the kernel by a service of its own, which is off until somebody wants it.',
    cure: 'Do what the hint says.',
  },
  lingerOff: {
    code: 'CM3127',
    level: 'NOTICE',
    text: 'services of user "{user}" run only while the user is logged in',
    hint: 'To start them with the host: loginctl enable-linger {user}',
    cause: 'The service manager of a user ends with the last session, unless it lingers.',
    cure: 'Use the command of the hint, or register with the service manager of the host as root.',
  },
  runsByItself: {
    code: 'CM3128',
    level: 'NOTICE',
    text: 'conmgr (PID {pid}) runs in directory "{directory}" as a process of its own',
    hint: 'To hand it to systemd: {command}',
    cause: 'It was started before the directory was registered; registering starts and stops nothing.',
    cure: 'Restart it at the next occasion.',
  },
  stillRunning: {
    code: 'CM3129',
    level: 'NOTICE',
    text: '{unit} is still running',
    hint: 'To stop it: {command}',
    cause: 'Unregistering changes what happens at the next start of the host and stops nothing.',
    cure: 'Stop it when it is no longer needed.',
  },
  dropInsKept: {
    code: 'CM3130',
    level: 'NOTICE',
    text: 'files in "{directory}" were not written by cm_ctl and stay',
    detail: '{lines}',
    cause: 'They hold settings of the administrator for this unit.',
    cure: 'Remove them if they are no longer needed.',
  },
  notRegistered: {
    code: 'CM3131',
    level: 'ERROR',
    text: '{what} is not registered',
    hint: '"cm_ctl list" shows what is.',
    cause: 'The unit is not enabled, and cm_ctl has written nothing for it.',
    cure: 'Check the spelling of -D or -N, and who it was registered by: root, or a user.',
    exit: FAILED,
  },

  // check

  unitLimitTooLow: {
    code: 'CM3135',
    level: 'ERROR',
    text: 'limit of {limit} open files of {unit} is too low: at least {needed} are needed',
    detail: '{formula}.',
    hint: 'Use: {command}',
    cause:
      'LimitNOFILE= of the unit does not allow as many descriptors as the configuration asks for, so conmgr would not start.',
    cure: 'Let cm_ctl write a drop-in with the figure, or lower max_connections.',
    exit: CONFIGURATION,
  },

  // logs

  wrongLines: {
    code: 'CM3140',
    level: 'ERROR',
    text: 'invalid value for option {option}: "{value}"',
    hint: 'It is a number of lines.',
    cause: 'The option takes a whole number.',
    cure: 'Correct the value.',
    exit: USAGE,
  },
  noLog: {
    code: 'CM3141',
    level: 'ERROR',
    text: 'conmgr has left no log in directory "{directory}"',
    hint: 'There is no file "{file}". See log_destination in conmgr.conf, and -l of "cm_ctl start".',
    cause: 'conmgr was never started here, or it writes to syslog, to the journal, or to the file of -l.',
    cure: 'Look where log_destination says.',
    exit: FAILED,
  },
  logUnreadable: {
    code: 'CM3142',
    level: 'ERROR',
    text: 'could not read log file "{file}": {reason}',
    cause: 'The file may be read by the user that runs conmgr and by root.',
    cure: 'Use that user.',
    exit: FAILED,
  },
  readerFailed: {
    code: 'CM3143',
    level: 'ERROR',
    text: 'could not run "{program}": {reason}',
    cause: 'The journal of a unit is read with journalctl(1), a log file with tail(1).',
    cure: 'Install what is missing; check PATH.',
    exit: FAILED,
  },
} as const satisfies Readonly<Record<string, MessageSpec>>;
