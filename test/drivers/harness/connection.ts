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
  readonly tls?: Tls;
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

/** `name=value` for libpq, in the order of its documentation. */
function libpqWords(connection: Connection): [name: string, value: string][] {
  const { places, target, user, password, tls, options } = connection;
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
    ['dbname', DATABASE],
    ['user', user],
    ['password', password],
    ['options', options],
    ['sslmode', tls && 'verify-full'],
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
  const { places } = connection;
  const others = libpqWords(connection).filter(([name]) => !['host', 'port', 'dbname'].includes(name));
  const query = others.map(([name, value]) => `${name}=${value}`).join('&');
  const hosts = places.map(({ host }) => host).join(',');
  return `tcp:postgresql://${hosts}:${places[0]?.port}/${DATABASE}?${query}`;
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
  const { places, target, user, password, tls, options } = connection;
  const words: [string, string | undefined][] = [
    ['user', user],
    ['password', password],
    ['options', options],
    ['sslmode', tls && 'verify-full'],
    ['sslrootcert', tls?.rootCertificate],
    ['targetServerType', target && TARGET_SERVER_TYPES[target]],
  ];
  const query = words.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value).replaceAll('%2F', '/')}`],
  );
  const hosts = places.map(({ host, port }) => `${host}:${port}`).join(',');
  return `jdbc:postgresql://${hosts}/${DATABASE}?${query.join('&')}`;
}

/** For pgx: as libpq's URI, with names that the resolver knows. */
export function pgxString(connection: Connection): string {
  const { places, tls, ...rest } = connection;
  const named = places.map(({ host, port }) => ({ host, port }));
  const plain = tls === undefined ? { sslmode: 'disable' } : {};
  const words = libpqWords({
    ...rest,
    places: named,
    ...(tls === undefined ? {} : { tls: { ...tls, channelBinding: false } }),
  });
  return [...words, ...Object.entries(plain)]
    .map(([name, value]) => `${name}=${value.includes(' ') ? `'${value}'` : value}`)
    .join(' ');
}

/** For `new pg.Client(…)`, as JSON; `sslrootcert` becomes what is read from the file. */
export function nodePgOptions(connection: Connection): string {
  const [place] = connection.places;
  const { user, password, tls, options } = connection;
  return JSON.stringify({
    host: place?.host,
    port: place?.port,
    database: DATABASE,
    user,
    ...(password === undefined ? {} : { password }),
    ...(options === undefined ? {} : { options }),
    ...(tls === undefined
      ? {}
      : { ssl: { ca: tls.rootCertificate }, enableChannelBinding: tls.channelBinding }),
  });
}

/** For `postgres(…)`, as JSON. */
export function postgresJsOptions(connection: Connection): string {
  const { places, target, user, password, tls, options } = connection;
  const hosts = places.map(({ host }) => host);
  const ports = places.map(({ port }) => port);
  return JSON.stringify({
    host: hosts.length === 1 ? hosts[0] : hosts,
    port: ports.length === 1 ? ports[0] : ports,
    database: DATABASE,
    username: user,
    ...(password === undefined ? {} : { password }),
    ...(target === undefined || target === 'any' ? {} : { target_session_attrs: target }),
    ...(options === undefined ? {} : { connection: { options } }),
    ...(tls === undefined ? {} : { ssl: { ca: tls.rootCertificate } }),
  });
}
