/** The modes of cm_ctl: parser, --help and dispatch derive from this table. */
import type { OptionName } from '../core/ctl/options.js';
import type { Mode } from './call.js';
import { runCheck } from './check.js';
import { runInit } from './init.js';
import { runList } from './list.js';
import { runLogs } from './logs.js';
import { runRegister } from './register.js';
import { runReload } from './reload.js';
import { runResolve, runResolveConflict } from './resolve.js';
import { runRestart } from './restart.js';
import { runSecret } from './secret.js';
import { runStart } from './start.js';
import { runStatus } from './status.js';
import { runStop } from './stop.js';
import { runUnregister } from './unregister.js';
import { runWatchdogPause, runWatchdogResume, runWatchdogStatus, runWatchdogTerminate } from './watchdog.js';
import { runWatchdogCheck } from './watchdog-check.js';
import { runWatchdogRegister, runWatchdogUnregister } from './watchdog-register.js';

const BASIC: readonly OptionName[] = ['directory', 'silent'];
/** Which manager is meant. */
const MANAGED: readonly OptionName[] = [...BASIC, 'manager'];
const WAITING: readonly OptionName[] = [...MANAGED, 'timeout', 'wait', 'noWait'];
const STARTING: readonly OptionName[] = [...WAITING, 'complete', 'logFile'];

/** In the order of --help. */
export const MODES: readonly Mode[] = [
  {
    name: 'init',
    operands: [],
    options: BASIC,
    directoryFrom: 'CMDATA',
    doc: 'make a directory with a commented conmgr.conf',
    run: runInit,
  },
  {
    name: 'check',
    operands: [],
    options: MANAGED,
    directoryFrom: 'CMDATA',
    doc: 'check conmgr.conf, try every link once, start nothing',
    run: runCheck,
  },
  {
    name: 'start',
    operands: [],
    options: STARTING,
    directoryFrom: 'CMDATA',
    doc: "start; returns when the primary's link is up",
    run: runStart,
  },
  {
    name: 'stop',
    operands: [],
    options: [...WAITING, 'stopMode'],
    directoryFrom: 'CMDATA',
    doc: 'stop; returns when the process is gone',
    run: runStop,
  },
  {
    name: 'restart',
    operands: [],
    options: [...STARTING, 'stopMode'],
    directoryFrom: 'CMDATA',
    doc: 'stop and start; sessions of the client library go on',
    run: runRestart,
  },
  {
    name: 'reload',
    operands: [],
    options: [...MANAGED, 'forgetCluster'],
    directoryFrom: 'CMDATA',
    doc: 'make conmgr read conmgr.conf again',
    run: runReload,
  },
  {
    name: 'status',
    operands: [],
    options: [...MANAGED, 'show', 'json', 'watch'],
    directoryFrom: 'CMDATA',
    doc: 'show instances and applications',
    run: runStatus,
  },
  {
    name: 'list',
    operands: [],
    options: ['silent', 'json'],
    doc: 'show every conmgr of this host',
    run: runList,
  },
  {
    name: 'logs',
    operands: [],
    options: ['directory', 'manager', 'follow', 'lines'],
    directoryFrom: 'CMDATA',
    doc: 'show what conmgr has logged; -f goes on',
    run: runLogs,
  },
  {
    name: 'register',
    operands: [],
    options: [...MANAGED, 'name', 'user', 'writeLimits'],
    directoryFrom: 'CMDATA',
    nameInstead: true,
    doc: 'have systemd start it with the host; -N makes a new one',
    run: (call) => runRegister(call),
  },
  {
    name: 'unregister',
    operands: [],
    options: [...MANAGED, 'name'],
    directoryFrom: 'CMDATA',
    nameInstead: true,
    doc: 'undo that; what runs goes on',
    run: (call) => runUnregister(call),
  },
  {
    name: 'resolve',
    operands: ['TARGET'],
    options: [...BASIC, 'all', 'json'],
    directoryFrom: 'CMDATA',
    doc: 'show where an application is sent: primary, standby, ...',
    run: runResolve,
  },
  {
    name: 'resolve-conflict',
    operands: ['[N]'],
    options: BASIC,
    directoryFrom: 'CMDATA',
    doc: 'of two primaries, end the sessions of the older one',
    run: runResolveConflict,
  },
  {
    name: 'secret',
    operands: ['FILE'],
    options: ['silent'],
    doc: 'make a file with a new secret for the heartbeat links',
    run: runSecret,
  },
  {
    name: 'watchdog status',
    operands: [],
    options: [...BASIC, 'json'],
    directoryFrom: 'PGDATA',
    doc: 'show the instance, the linked conmgrs and the terminator',
    run: runWatchdogStatus,
  },
  {
    name: 'watchdog check',
    operands: [],
    options: BASIC,
    directoryFrom: 'PGDATA',
    doc: 'check the settings of the watchdog in postgresql.conf',
    run: runWatchdogCheck,
  },
  {
    name: 'watchdog register',
    operands: [],
    options: [...MANAGED, 'user'],
    directoryFrom: 'PGDATA',
    doc: 'have systemd start the watchdog with the host',
    run: (call) => runWatchdogRegister(call),
  },
  {
    name: 'watchdog unregister',
    operands: [],
    options: MANAGED,
    directoryFrom: 'PGDATA',
    doc: 'undo that; what runs goes on',
    run: (call) => runWatchdogUnregister(call),
  },
  {
    name: 'watchdog pause',
    operands: [],
    options: BASIC,
    directoryFrom: 'PGDATA',
    doc: 'end no session until resume',
    run: runWatchdogPause,
  },
  {
    name: 'watchdog resume',
    operands: [],
    options: BASIC,
    directoryFrom: 'PGDATA',
    doc: 'end sessions of lost hosts again',
    run: runWatchdogResume,
  },
  {
    name: 'watchdog terminate',
    operands: ['ADDRESS'],
    options: [...BASIC, 'dryRun', 'json'],
    directoryFrom: 'PGDATA',
    doc: 'end all SQL sessions of a client address',
    run: runWatchdogTerminate,
  },
];
