/** What an administrator should know before the first disaster, not at it: rights of the role, limits of open files. */
import {
  heartbeatConnectionsAllowed,
  instanceDescriptors,
  statusDescriptors,
  statusTerm,
  watchdogDescriptors,
} from '../core/config/descriptors.js';
import type { Log, MessageParams, MessageSpec } from '../core/messages/message.js';
import { fill } from '../core/messages/message.js';
import { MessageError } from '../core/messages/message-error.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import { WATCHDOG_MESSAGES } from '../core/messages/watchdog.js';
import { RIGHTS_SQL, type Rights } from '../core/terminator/statements.js';
import { descriptorLimit } from '../io/limits.js';
import type { PgSession } from '../io/pg-session.js';
import { unitOfProcess } from '../io/systemd-job.js';

/** From this version on there are pg_use_reserved_connections and reserved_connections. */
const RESERVED_SINCE = 160_000;

interface Finding {
  readonly spec: MessageSpec;
  readonly params: MessageParams;
}

/** What is missing in the rights of the watchdog's role. Pure. */
export function findingsOf(rights: Rights, serverVersionNum: number): readonly Finding[] {
  const { role } = rights;
  const findings: Finding[] = [];
  const add = (spec: MessageSpec, params: MessageParams = {}): number =>
    findings.push({ spec, params: { role, ...params } });
  if (!rights.may_signal) add(WATCHDOG_MESSAGES.mayNotSignal);
  if (!rights.may_see) add(WATCHDOG_MESSAGES.mayNotSee);
  if (!rights.superuser) add(WATCHDOG_MESSAGES.notSuperuser);
  if (!rights.superuser && !rights.reserved) {
    const hint =
      serverVersionNum >= RESERVED_SINCE
        ? `GRANT pg_use_reserved_connections TO "${role}"; and set reserved_connections to 2 or more.`
        : 'Before PostgreSQL 16 only superusers have reserved connections.';
    add(WATCHDOG_MESSAGES.noReservedConnection, { hint });
  }
  if (rights.override) add(WATCHDOG_MESSAGES.readOnlyHidden);
  return findings;
}

/** Looks at the rights of the role of a connection; the same findings are said once. */
export class RightsCheck {
  readonly #log: Log;
  #said = '';
  #texts: readonly string[] = [];
  #rights: Rights | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** What was found, for status. */
  get texts(): readonly string[] {
    return this.#texts;
  }

  /** Those of the role that was looked at last. */
  get rights(): Rights | undefined {
    return this.#rights;
  }

  /** Rejects with SqlError or SqlUnreachable. */
  async look(session: PgSession, serverVersionNum: number): Promise<void> {
    const [rights] = await session.query<Rights>(RIGHTS_SQL);
    if (rights === undefined) return;
    this.#rights = rights;
    const findings = findingsOf(rights, serverVersionNum);
    this.#texts = findings.map(({ spec, params }) => fill(spec.text, params));
    const said = this.#texts.join('\n');
    if (said === this.#said) return;
    this.#said = said;
    for (const { spec, params } of findings) this.#log.write(spec, params);
  }
}

/** How many links the watchdog takes: as configured, or fewer where its own limit of open files is lower. */
export function linksAllowed(wanted: number, log: Log, statusPort = 0): number {
  const limit = knownLimit(log);
  const { figure } = watchdogDescriptors(wanted, statusPort);
  if (limit === undefined || limit >= figure) return wanted;
  const allowed = heartbeatConnectionsAllowed(limit, statusPort);
  log.write(PROCESS_MESSAGES.heartbeatLinksCapped, {
    limit,
    allowed,
    wanted,
    statusTerm: statusTerm(statusPort),
    needed: figure,
    unit: unitOfProcess('conmgr-watchdog@NAME.service'),
  });
  return allowed;
}

/** What the watchdog has open besides links and strangers: standard streams, event loop, SQL, sockets of its own. */
const OWN_DESCRIPTORS = 34;
/** Connections at a time that are no links, where the limit of open files leaves room for them … */
const MOST_STRANGERS = 32;
/** … and however little room it leaves, or no conmgr could ever connect. */
const LEAST_STRANGERS = 4;

/** How many connections that are no links the watchdog bears beside `links` and a status_port. */
export function strangersAllowed(links: number, log: Log, statusPort = 0): number {
  const limit = knownLimit(log) ?? Number.POSITIVE_INFINITY;
  const left = limit - OWN_DESCRIPTORS - statusDescriptors(statusPort) - links;
  return Math.min(MOST_STRANGERS, Math.max(LEAST_STRANGERS, left));
}

/** Compares the figure documented for an instance with a watchdog with the limit its postmaster runs with. */
export function checkPostmasterLimit(
  pid: number,
  maxFiles: number,
  heartbeatConnections: number,
  log: Log,
): void {
  const limit = knownLimit(log, pid);
  const { figure: needed } = instanceDescriptors(maxFiles, heartbeatConnections);
  if (limit === undefined || limit >= needed) return;
  log.write(PROCESS_MESSAGES.instanceDescriptorsTooFew, {
    limit,
    pid,
    needed,
    maxFiles,
    heartbeatConnections,
    unit: unitOfProcess('postgresql.service', `/proc/${pid}/cgroup`),
  });
}

function knownLimit(log: Log, pid?: number): number | undefined {
  try {
    return descriptorLimit(pid === undefined ? {} : { pid }).soft;
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    log.write(error.spec, error.params);
    return undefined;
  }
}
