/** What a driver is to connect to, before it is written in the words of that driver. */

/** One host of a connection. */
export interface Place {
  /** The name; certificates are for it. */
  readonly host: string;
  /** Where the name leads if a driver can be told so apart from the name. */
  readonly hostaddr?: string;
  readonly port: number;
}

export interface Connection {
  /** Tried in their order by drivers that take several. */
  readonly places: readonly Place[];
  /** target_session_attrs, for drivers that look at the role themselves; undefined where conmgr does. */
  readonly target?: Target;
  readonly user: string;
  readonly password?: string;
  /** Encryption with verification of the name, none, or what the driver does unasked. */
  readonly tls?: Tls | 'off';
  /** Default `postgres`. */
  readonly database?: string;
  /** Further settings that the driver sends at the start, as `-c name=value`. */
  readonly options?: string;
}

export type Target = 'primary' | 'standby' | 'any' | 'prefer-standby';

/** Encryption with verification of the name, sslmode=verify-full. */
export interface Tls {
  /** File with the certificate of the authority. */
  readonly rootCertificate: string;
  readonly channelBinding: boolean;
}

const DATABASE = 'postgres';

function encryption({ tls }: Connection): Tls | undefined {
  return tls === 'off' ? undefined : tls;
}

function sslmode({ tls }: Connection): string | undefined {
  if (tls === 'off') return 'disable';
  return tls && 'verify-full';
}

/** `name=value` for libpq, in the order of its documentation. */
function libpqWords(connection: Connection): [name: string, value: string][] {
  const { places, target, user, password, options, database = DATABASE } = connection;
  const tls = encryption(connection);
  const list = (value: (place: Place) => string | number): string => places.map(value).join(',');
  const words: [string, string | undefined][] = [
    ['host', list(({ host }) => host)],
    [
      'hostaddr',
      places.every(({ hostaddr }) => hostaddr !== undefined)
        ? list(({ hostaddr }) => hostaddr ?? '')
        : undefined,
    ],
    ['port', list(({ port }) => port)],
    ['dbname', database],
    ['user', user],
    ['password', password],
    ['options', options],
    ['sslmode', sslmode(connection)],
    ['sslrootcert', tls?.rootCertificate],
    ['channel_binding', tls?.channelBinding ? 'require' : undefined],
    ['target_session_attrs', target],
  ];
  return words.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
}

/** For psql, pgbench and psycopg: `host=… port=… …`. */
export function libpqString(connection: Connection): string {
  return libpqWords(connection)
    .map(([name, value]) => `${name}=${/[\s']/.test(value) ? `'${value.replaceAll("'", "\\'")}'` : value}`)
    .join(' ');
}

/** For EXEC SQL CONNECT: hosts and one port for all of them, everything else behind the question mark. */
export function ecpgString(connection: Connection): string {
  const { places, database = DATABASE } = connection;
  const others = libpqWords(connection).filter(([name]) => !['host', 'port', 'dbname'].includes(name));
  const query = others.map(([name, value]) => `${name}=${value}`).join('&');
  const hosts = places.map(({ host }) => host).join(',');
  return `tcp:postgresql://${hosts}:${places[0]?.port}/${database}?${query}`;
}

/** For SQLDriverConnect: what psqlODBC has no keyword for goes to libpq in `pqopt`. */
export function odbcString(connection: Connection): string {
  const keywords = new Map([
    ['host', 'Servername'],
    ['port', 'Port'],
    ['dbname', 'Database'],
    ['user', 'Username'],
    ['password', 'Password'],
    ['sslmode', 'SSLmode'],
  ]);
  const words = libpqWords(connection);
  const own = words.flatMap(([name, value]) =>
    keywords.has(name) ? [`${keywords.get(name)}=${value}`] : [],
  );
  const rest = words.flatMap(([name, value]) =>
    keywords.has(name) ? [] : [`${name}=${value.includes(' ') ? `'${value}'` : value}`],
  );
  const pqopt = rest.length === 0 ? [] : [`pqopt={${rest.join(' ')}}`];
  return ['Driver={PostgreSQL Unicode}', ...own, ...pqopt].join(';');
}

/** pgjdbc's words for target_session_attrs. */
export const TARGET_SERVER_TYPES: Readonly<Record<Target, string>> = {
  primary: 'primary',
  standby: 'secondary',
  any: 'any',
  'prefer-standby': 'preferSecondary',
};

export function jdbcUrl(connection: Connection): string {
  const { places, target, user, password, options, database = DATABASE } = connection;
  const tls = encryption(connection);
  const words: [string, string | undefined][] = [
    ['user', user],
    ['password', password],
    ['options', options],
    ['sslmode', sslmode(connection)],
    ['sslrootcert', tls?.rootCertificate],
    ['targetServerType', target && TARGET_SERVER_TYPES[target]],
  ];
  const query = words.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value).replaceAll('%2F', '/')}`],
  );
  const hosts = places.map(({ host, port }) => `${host}:${port}`).join(',');
  return `jdbc:postgresql://${hosts}/${database}?${query.join('&')}`;
}

/** For pgx: as libpq's, with names that the resolver knows. */
export function pgxString(connection: Connection): string {
  const tls = encryption(connection);
  return libpqString({
    ...connection,
    places: connection.places.map(({ host, port }) => ({ host, port })),
    ...(tls === undefined ? {} : { tls: { ...tls, channelBinding: false } }),
  });
}

/**
 * For `new pg.Client(…)`, as JSON; in place of `ca` stands the file to read. The name in the certificate can be told
 * apart from the address when that is no name.
 */
export function nodePgOptions(connection: Connection): string {
  const [place] = connection.places;
  const { user, password, options, database = DATABASE } = connection;
  const tls = encryption(connection);
  return JSON.stringify({
    host: place?.hostaddr ?? place?.host,
    port: place?.port,
    database,
    user,
    password,
    options,
    ...(tls && { ssl: encryptedBy(tls, place), enableChannelBinding: tls.channelBinding }),
  });
}

/** For `postgres(…)`, as JSON; likewise. */
export function postgresJsOptions(connection: Connection): string {
  const { places, target, user, password, options, database = DATABASE } = connection;
  const tls = encryption(connection);
  const one = <T>(values: readonly T[]): T | readonly T[] => (values.length === 1 ? values[0]! : values);
  return JSON.stringify({
    host: one(places.map(({ host, hostaddr }) => hostaddr ?? host)),
    port: one(places.map(({ port }) => port)),
    database,
    username: user,
    password,
    target_session_attrs: target === 'any' ? undefined : target,
    connection: options && { options },
    ssl: tls && encryptedBy(tls, places[0]),
    // It asks a database for its types first, which the console does not have.
    fetch_types: database === 'conmgr' ? false : undefined,
  });
}

function encryptedBy({ rootCertificate }: Tls, place: Place | undefined): object {
  return { ca: rootCertificate, ...(place?.hostaddr === undefined ? {} : { servername: place.host }) };
}
