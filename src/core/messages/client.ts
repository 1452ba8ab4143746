/**
 * Messages of the client library: the texts of the errors an application sees.
 *
 * CM4000-CM4019 come from opening a session, CM4020-CM4029 from losing it, CM4030-CM4059 from options.
 * They reach the application as the `message` and `cmCode` of an error and are never logged by the library.
 */
import type { MessageSpec } from './message.js';

const rows = {
  noSession: {
    code: 'CM4000',
    level: 'ERROR',
    text: 'could not open a session with target_session_attrs "{target}": {attempts}',
    cause: 'Every host of the list, and every instance that a conmgr offered, was tried without success.',
    cure: 'The errors of the attempts are in the property "errors"; mend the one that should have worked.',
  },
  notConmgr: {
    code: 'CM4001',
    level: 'ERROR',
    text: 'no conmgr answers at {host}:{port}, but a server or a pooler',
    hint: 'Give the port of a conmgr, or leave out the option conmgr: "require".',
    cause: 'The option conmgr is "require", and the host is a database server or a pooler.',
    cure: 'Give the port of a conmgr, or leave out the option.',
  },
  remoteConmgr: {
    code: 'CM4002',
    level: 'ERROR',
    text: 'the conmgr at {host}:{port} was not believed, because {address} is not an address of this host',
    hint: 'Connect to the conmgr of this host, or set conmgrAllowRemote to true where the network is trusted.',
    cause: 'A conmgr answers in plain text; on the way from another host its answer could be forged.',
    cure: 'Connect to the conmgr of the same host, or set conmgrAllowRemote where the network is trusted.',
  },
  violation: {
    code: 'CM4003',
    level: 'ERROR',
    text: 'the peer at {host}:{port} does not speak the protocol: {why}',
    cause: 'Something that is neither a conmgr nor PostgreSQL listens there.',
    cure: 'Correct the host and the port.',
  },
  closed: {
    code: 'CM4004',
    level: 'ERROR',
    text: 'the peer at {host}:{port} closed the connection without an answer',
    cause: 'The conmgr or the server stopped while it was asked.',
    cure: 'Connect again.',
  },
  roleMismatch: {
    code: 'CM4005',
    level: 'ERROR',
    text: 'the server at {host}:{port} is {role}, which is not "{target}"',
    cause: 'The role of the server was checked after the connection was made, as libpq does.',
    cure: 'None, if a switchover is under way; otherwise correct the hosts or target_session_attrs.',
  },
  roleUnknown: {
    code: 'CM4006',
    level: 'ERROR',
    text: 'the server at {host}:{port} does not tell its role',
    cause: 'A server before version 14 or a pooler was asked with a query and gave no usable answer.',
    cure: 'Connect to PostgreSQL itself, or use target_session_attrs "any".',
  },
  noCandidate: {
    code: 'CM4007',
    level: 'ERROR',
    text: 'the conmgr at {host}:{port} offers no instance that was not tried',
    cause: 'All instances that fit target_session_attrs failed one after the other.',
    cure: 'The errors of the attempts say why.',
  },
  timeout: {
    code: 'CM4008',
    level: 'ERROR',
    text: 'timeout expired while connecting to {host}:{port}',
    cause: 'The peer did not answer in its share of connectionTimeoutMillis.',
    cure: 'Mend the network or the peer, or raise connectionTimeoutMillis.',
  },
  ended: {
    code: 'CM4009',
    level: 'ERROR',
    text: 'the client was closed while it was connecting',
    cause: 'The application called end() before connect() was done.',
    cure: 'None.',
  },
  unreachable: {
    code: 'CM4010',
    level: 'ERROR',
    text: 'could not connect to {host}:{port}: {why}',
    cause: 'The operating system could not make the connection.',
    cure: 'Start what should listen there, or correct the host and the port.',
  },
  lost: {
    code: 'CM4020',
    event: 'session_lost',
    level: 'ERROR',
    text: 'connection to instance {instance} at {host}:{port} lost: {reason}',
    cause: 'conmgr told that the instance is not to be used any more and why.',
    cure: 'Connect again; conmgr names an instance that fits.',
  },
  conmgrLost: {
    code: 'CM4021',
    event: 'conmgr_lost',
    level: 'ERROR',
    text: 'connection to conmgr lost; the session at instance {instance}, {host}:{port}, ends because nothing watches it',
    hint: 'With conmgrLost: "keep" such a session is kept.',
    cause: 'conmgr ended without handing its sessions over, and was not back within its restart_grace.',
    cure: 'Start conmgr; its log says why it ended.',
  },
  badTarget: {
    code: 'CM4030',
    level: 'ERROR',
    text: 'invalid value for target_session_attrs: "{value}"',
    detail: '{why}',
    cause: 'The option, the connection string, the service or PGTARGETSESSIONATTRS has another word.',
    cure: 'Write one of the values.',
  },
  badChoice: {
    code: 'CM4031',
    level: 'ERROR',
    text: 'invalid value for {name}: "{value}"',
    detail: 'Known values are {choices}.',
    cause: 'The option takes one of a few words.',
    cure: 'Write one of them.',
  },
  badPort: {
    code: 'CM4032',
    level: 'ERROR',
    text: 'invalid port number: "{value}"',
    cause: 'A port is a whole number between 1 and 65535.',
    cure: 'Correct the port.',
  },
  portCount: {
    code: 'CM4033',
    level: 'ERROR',
    text: 'could not match {ports} port numbers to {hosts} hosts',
    cause: 'There must be one port for all hosts or one for each.',
    cure: 'Complete the list.',
  },
  hostaddrCount: {
    code: 'CM4034',
    level: 'ERROR',
    text: 'could not match {hosts} host names to {hostaddrs} hostaddr values',
    cause: 'There must be one address for each host.',
    cure: 'Complete the list; an element may be empty.',
  },
  badConnectionString: {
    code: 'CM4035',
    level: 'ERROR',
    text: 'invalid connection string: {why}',
    cause: 'The part between "//" and the next "/" must be a list of hosts with optional ports.',
    cure: 'Correct the connection string.',
  },
  serviceFileMissing: {
    code: 'CM4036',
    level: 'ERROR',
    text: 'service file "{file}" could not be read: {why}',
    cause: 'PGSERVICEFILE names a file that cannot be read.',
    cure: 'Correct the name or the permissions.',
  },
  serviceMissing: {
    code: 'CM4037',
    level: 'ERROR',
    text: 'definition of service "{service}" not found',
    detail: 'Looked into {files}.',
    cause: 'No service file has a section of this name.',
    cure: 'Add the section to ~/.pg_service.conf or correct the name.',
  },
  serviceSyntax: {
    code: 'CM4038',
    level: 'ERROR',
    text: 'syntax error in service file "{file}", line {line}',
    cause: 'A line that is not a comment must be [service] or name=value.',
    cure: 'Correct the line.',
  },
  noRootCertificate: {
    code: 'CM4040',
    level: 'ERROR',
    text: 'sslmode "verify-ca" needs sslrootcert',
    cause: 'Any public certificate authority would do otherwise, and the name of the server is not checked.',
    cure: 'Name the file of the certificate authority, or use verify-full.',
  },
  notPostgresJs: {
    code: 'CM4041',
    level: 'ERROR',
    text: 'cmSocket() must be given to postgres.js as its option "socket"',
    cause: 'The function that cmSocket() returns was called by something else.',
    cure: 'Write postgres({ socket: cmSocket({ … }) }).',
  },
  nativeClient: {
    code: 'CM4039',
    level: 'ERROR',
    text: 'the client library needs the JavaScript client of pg, not the native one',
    hint: 'Unset NODE_PG_FORCE_NATIVE.',
    cause: 'libpq makes the connections of the native client, so there is no place for the first phase.',
    cure: 'Unset NODE_PG_FORCE_NATIVE.',
  },
} as const satisfies Readonly<Record<string, MessageSpec>>;

/** Errors of the client library by name. */
export const CLIENT_MESSAGES: Readonly<Record<keyof typeof rows, MessageSpec>> = rows;
export type ClientMessageName = keyof typeof rows;
