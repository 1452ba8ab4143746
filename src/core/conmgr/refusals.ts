/**
 * What conmgr answers when it cannot send an application anywhere.
 *
 * Always SQLSTATE 57P03: the only one at which libpq 15-18 goes on to the next host of a list.
 */
import type { TargetSessionAttrs } from '../cluster/target-session.js';
import { TARGET_OPTION } from '../gateway/startup-options.js';
import type { ErrorFields } from '../protocol/startup.js';

/** SQLSTATE cannot_connect_now. */
export const CANNOT_CONNECT_NOW = '57P03';

function refusal(message: string, detail: string | undefined, hint: string): ErrorFields {
  return { severity: 'FATAL', sqlState: CANNOT_CONNECT_NOW, message: `conmgr: ${message}`, detail, hint };
}

/** No instance fits. `known`: a sentence for every instance; `failed`: one for each that was tried in vain. */
export function refusalForTarget(target: TargetSessionAttrs, known: string, failed = ''): ErrorFields {
  return refusal(
    `no instance is available for target_session_attrs=${target}`,
    failed === '' ? known : `${known} ${failed}`,
    'See "cm_ctl status". Try again, or set resolve_wait in conmgr.conf to let requests wait for an instance.',
  );
}

/** The console shows who is on this host, so it is for this host. */
export function refusalForConsole(): ErrorFields {
  return {
    severity: 'FATAL',
    sqlState: '28000',
    message: 'conmgr: the console is open to this host only',
    hint: 'Connect from the host of conmgr itself, to localhost.',
  };
}

/** max_connections is reached. */
export function refusalForLimit(limit: number): ErrorFields {
  return refusal(
    'sorry, too many application connections already',
    `max_connections of conmgr is ${limit}.`,
    'Raise max_connections in conmgr.conf and reload, or use fewer connections.',
  );
}

/** No descriptor is left for this one client. */
export function refusalForDescriptors(limit: number): ErrorFields {
  return refusal(
    'out of file descriptors for application connections',
    `The process may open ${limit} files.`,
    'Raise LimitNOFILE= of the service, or set max_connections in conmgr.conf.',
  );
}

/** conmgr is going away. */
export function refusalForStop(): ErrorFields {
  return refusal('conmgr is shutting down', undefined, 'Try again, or use the next host of the list.');
}

/** A start-up option asks for a target that there is not. `known`: a sentence. */
export function refusalForWord(word: string, known: string): ErrorFields {
  return {
    severity: 'FATAL',
    sqlState: '22023',
    message: `conmgr: invalid value for parameter "${TARGET_OPTION}": "${word}"`,
    detail: known,
  };
}

/** A driver without the first phase connected to the port, and gateway is off. */
export function refusalForStockDriver(): ErrorFields {
  return refusal(
    'this port serves drivers that know conmgr',
    'The connection did not carry the option _pq_.conmgr, and conmgr.conf has gateway = off.',
    'Use the client library conmgr/client or a port with a listener, or connect to the server directly.',
  );
}
