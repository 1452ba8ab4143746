/**
 * The options of the client library: what pg takes, several hosts, target_session_attrs, and how to treat a
 * conmgr; from the constructor, a connection string, a service, or the environment, in this order as in libpq.
 */
import pg from 'pg';
import { parse as parseConnectionString } from 'pg-connection-string';
import type { HostEntry } from '../core/client/host-list.js';
import {
  type ListValue,
  matchHosts,
  OptionProblem,
  PLACEHOLDER_HOST,
  splitConnectionString,
} from '../core/client/host-list.js';
import { parseTarget, type TargetSessionAttrs } from '../core/cluster/target-session.js';
import { CLIENT_MESSAGES } from '../core/messages/client.js';
import { withOptionErrors } from './errors.js';
import { readService } from './service-file.js';
import { tlsFromLibpq } from './tls-options.js';

/** auto: ask every host what it is. require: only a conmgr will do. off: never ask. */
export type ConmgrMode = 'auto' | 'require' | 'off';
/** What happens to a session whose conmgr is gone for good. */
export type ConmgrLost = 'error' | 'keep';
/** libpq's words, and pgjdbc's for the same. */
export type TargetOption = TargetSessionAttrs | 'secondary' | 'preferSecondary';

/** The options that the client library adds to pg's, and those of which it takes lists. */
export interface CmOptions {
  /** Hosts to try in this order, conmgr and servers mixed: an array or a comma list. */
  host?: string | readonly string[] | undefined;
  /** One port for all hosts, or one for each. */
  port?: number | string | readonly (number | string)[] | undefined;
  /** Addresses to connect to instead of resolving the hosts, one for each. */
  hostaddr?: string | readonly string[] | undefined;
  target_session_attrs?: TargetOption | undefined;
  /** The same as target_session_attrs. */
  targetSessionAttrs?: TargetOption | undefined;
  /** Default 'auto'. */
  conmgr?: ConmgrMode | undefined;
  /** Default 'error'. */
  conmgrLost?: ConmgrLost | undefined;
  /** Whether a conmgr at another host is believed although it answers in plain text. Default false. */
  conmgrAllowRemote?: boolean | undefined;
  /** Name of a section of pg_service.conf. */
  service?: string | undefined;
}

/** Options of CmClient. */
export interface CmClientConfig extends Omit<pg.ClientConfig, 'host' | 'port'>, CmOptions {}
/** Options of CmPool. */
export interface CmPoolConfig extends Omit<pg.PoolConfig, 'host' | 'port'>, CmOptions {}

/** The options after everything has been put together. */
export interface ResolvedOptions {
  readonly hosts: readonly HostEntry[];
  readonly target: TargetSessionAttrs;
  readonly mode: ConmgrMode;
  readonly conmgrLost: ConmgrLost;
  readonly allowRemote: boolean;
  /** For the whole of connect(), 0 = no limit. */
  readonly timeoutMs: number;
  /** For pg's own constructor: one host, no connection string. */
  readonly pg: pg.ClientConfig;
}

type Environment = Readonly<Record<string, string | undefined>>;
type Values = Record<string, unknown>;

/** What pg itself takes from a connection string (lib/connection-parameters.js), and what this library adds. */
const CONNECTION_STRING_KEYS: readonly string[] = [
  'user',
  'password',
  'database',
  'ssl',
  'sslnegotiation',
  'options',
  'client_encoding',
  'replication',
  'application_name',
  'fallback_application_name',
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'query_timeout',
  'connectionTimeoutMillis',
  'connect_timeout',
  'hostaddr',
  'target_session_attrs',
  'targetSessionAttrs',
  'conmgr',
  'conmgrLost',
  'conmgrAllowRemote',
  'service',
];

/** libpq's names of what a service may hold, and pg's. */
const SERVICE_KEYS: Readonly<Record<string, string>> = {
  host: 'host',
  hostaddr: 'hostaddr',
  port: 'port',
  dbname: 'database',
  user: 'user',
  password: 'password',
  options: 'options',
  application_name: 'application_name',
  fallback_application_name: 'fallback_application_name',
  client_encoding: 'client_encoding',
  connect_timeout: 'connect_timeout',
  target_session_attrs: 'target_session_attrs',
  sslnegotiation: 'sslnegotiation',
};

/** Puts the options together. Throws CmError with SQLSTATE 22023 that names what is wrong. */
export function resolveOptions(
  config: string | CmClientConfig | CmPoolConfig | undefined,
  env: Environment = process.env,
): ResolvedOptions {
  return withOptionErrors(() => {
    const given = explicitValues(config);
    const service = given['service'] ?? env['PGSERVICE'];
    const values: Values = {
      ...(typeof service === 'string' && service !== '' ? serviceValues(service, env) : {}),
      ...given,
    };
    const hosts = matchHosts(
      (values['host'] ?? env['PGHOST'] ?? pg.defaults.host) as ListValue,
      (values['port'] ?? env['PGPORT'] ?? pg.defaults.port) as ListValue,
      (values['hostaddr'] ?? env['PGHOSTADDR']) as ListValue,
    );
    const timeoutMs = connectionTimeoutMs(values, env);
    return {
      hosts,
      target: targetOf(values, env),
      mode: choice(values, 'conmgr', ['auto', 'require', 'off']),
      conmgrLost: choice(values, 'conmgrLost', ['error', 'keep']),
      allowRemote: choice(values, 'conmgrAllowRemote', ['false', 'true']) === 'true',
      timeoutMs,
      pg: pgConfig(values, hosts, timeoutMs),
    };
  });
}

/** Constructor options and connection string; as with pg, what the string says stands above the options. */
function explicitValues(config: string | CmClientConfig | CmPoolConfig | undefined): Values {
  const options: Values = typeof config === 'string' ? { connectionString: config } : { ...config };
  // A pool hides the password from enumeration.
  if (typeof config === 'object' && config.password !== undefined) options['password'] = config.password;
  const { connectionString } = options;
  delete options['connectionString'];
  if (typeof connectionString !== 'string' || connectionString === '') return present(options);
  return { ...present(options), ...connectionStringValues(connectionString) };
}

function connectionStringValues(text: string): Values {
  const split = splitConnectionString(text);
  const parsed = parseConnectionString(split.single) as unknown as Values;
  const values: Values = {};
  for (const key of CONNECTION_STRING_KEYS) values[key] = parsed[key];
  const listed = split.hosts !== undefined && parsed['host'] === PLACEHOLDER_HOST;
  values['host'] = listed ? split.hosts : parsed['host'];
  values['port'] = parsed['port'] ?? '';
  if (values['port'] === '') values['port'] = split.ports;
  return present(values);
}

function serviceValues(service: string, env: Environment): Values {
  const found = readService(service, env);
  const values: Values = { ssl: tlsFromLibpq(found) };
  for (const [from, to] of Object.entries(SERVICE_KEYS)) values[to] = found.get(from);
  return present(values);
}

/** Without what is not set: undefined, null and '' all mean "look further down". */
function present(values: Values): Values {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== ''),
  );
}

function targetOf(values: Values, env: Environment): TargetSessionAttrs {
  const text = String(
    values['target_session_attrs'] ?? values['targetSessionAttrs'] ?? env['PGTARGETSESSIONATTRS'] ?? 'any',
  );
  const parsed = parseTarget(text === '' ? 'any' : text);
  if ('target' in parsed) return parsed.target;
  throw new OptionProblem(CLIENT_MESSAGES.badTarget, { value: text, why: parsed.refusal });
}

/** One of a few words; the first is the default. */
function choice<Word extends string>(values: Values, name: string, words: readonly [Word, ...Word[]]): Word {
  const text = String(values[name] ?? words[0]);
  const word = words.find((candidate) => candidate === text);
  if (word !== undefined) return word;
  throw new OptionProblem(CLIENT_MESSAGES.badChoice, { name, value: text, choices: words.join(', ') });
}

/** Node.js fires a longer timer at once (Node.js documentation, Timers). */
const LONGEST_TIMER_MS = 2_147_483_647;

function connectionTimeoutMs(values: Values, env: Environment): number {
  const own = Number(values['connectionTimeoutMillis'] ?? Number.NaN);
  if (Number.isFinite(own)) return Math.min(LONGEST_TIMER_MS, Math.max(0, own));
  const seconds = Number(values['connect_timeout'] ?? env['PGCONNECT_TIMEOUT'] ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(LONGEST_TIMER_MS, seconds * 1000) : 0;
}

const OWN_KEYS: readonly (keyof CmOptions)[] = [
  'host',
  'port',
  'hostaddr',
  'target_session_attrs',
  'targetSessionAttrs',
  'conmgr',
  'conmgrLost',
  'conmgrAllowRemote',
  'service',
];

function pgConfig(values: Values, hosts: readonly HostEntry[], timeoutMs: number): pg.ClientConfig {
  const rest: Values = { ...values };
  for (const key of [...OWN_KEYS, 'connect_timeout']) delete rest[key];
  const [first] = hosts;
  return {
    ...(rest as pg.ClientConfig),
    ...(first === undefined ? {} : { host: first.host, port: first.port }),
    connectionTimeoutMillis: timeoutMs,
  };
}
