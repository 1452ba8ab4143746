/** The stock drivers that are tested: a new one is a row here and a program in ../programs. */
import {
  type Connection,
  ecpgString,
  jdbcUrl,
  libpqString,
  nodePgOptions,
  odbcString,
  pgxString,
  postgresJsOptions,
} from './connection.js';

export interface Driver {
  /** Unique; also in names of tables. */
  readonly name: string;
  /** How people call it. */
  readonly title: string;
  /** Packages of Debian that bring it, and what builds its program. */
  readonly packages: readonly string[];
  /** What makes the program: commands in the directory of the programs; $OUT is where the result goes. */
  readonly build?: readonly string[];
  /** The program; $OUT as above, $NODE the Node.js of the run. */
  readonly command: readonly string[];
  /** The connection in the words of the driver. */
  readonly connection: (connection: Connection) => string;
  /** The connection string as it stands in a program. */
  readonly shown: (string: string) => string;
  /** How an application with this driver is aware of conmgr: what of our client library it uses. */
  readonly aware?: string;
  /** What it cannot do, with the reason. */
  readonly without: Readonly<Partial<Record<Ability, string>>>;
}

/** What not every driver can do. */
export type Ability =
  | 'copy-in'
  | 'copy-out'
  | 'cancel'
  /** Several hosts in one connection string, with a choice by their role. */
  | 'several hosts'
  /** The same with a port for each. */
  | 'several ports'
  /** To go on to the next one of several hosts when one is lost. */
  | 'lost hosts'
  /** To end its attempts when none of several hosts can be had. */
  | 'giving up'
  /** To tell target_session_attrs=prefer-standby from any. */
  | 'prefer-standby'
  /** SCRAM-SHA-256-PLUS. */
  | 'channel binding'
  /** conmgr's console. */
  | 'console'
  /** A name to verify apart from the address to connect to. */
  | 'hostaddr';

const PYTHON = '/usr/bin/python3';
const JDBC = '/usr/share/java/postgresql.jar';
const PSQL = ['postgresql-client'];
/** generators.py: PQconnectPoll is called before the socket can be written to, so libpq takes it for connected. */
const EARLY_POLL: Driver['without'] = {
  'lost hosts': 'its version 3.1.7 gives up at the first host that does not answer',
};
const same = (string: string): string => string;

/** JSON of options as JavaScript; a certificate is read from its file. */
function literal(json: string): string {
  return json
    .replace(/"ca":"([^"]*)"/, '"ca":readFileSync("$1")')
    .replace(/"(\w+)":/g, '$1: ')
    .replace(/,(?=[\w"])/g, ', ')
    .replaceAll('"', "'")
    .replace(/\{(?=\w)/g, '{ ')
    .replace(/(?<=[^{])\}/g, ' }');
}

export const DRIVERS: readonly Driver[] = [
  {
    name: 'psql',
    title: 'psql',
    packages: PSQL,
    command: ['$NODE', 'psql-adapter.mjs'],
    connection: libpqString,
    shown: (string) => `psql "${string}"`,
    without: {},
  },
  {
    name: 'pgbench',
    title: 'pgbench',
    packages: ['postgresql-contrib'],
    command: ['$NODE', 'pgbench-adapter.mjs'],
    connection: libpqString,
    shown: (string) => `pgbench "${string}"`,
    without: {
      'copy-out': 'it has no COPY to the client',
      cancel: 'it cancels nothing',
      console: 'it shows no rows',
    },
  },
  {
    name: 'psycopg2',
    title: 'psycopg 2',
    packages: ['python3-psycopg2'],
    command: [PYTHON, 'psycopg2-adapter.py'],
    connection: libpqString,
    shown: (string) => `psycopg2.connect("${string}")`,
    without: {},
  },
  {
    name: 'psycopg3',
    title: 'psycopg 3',
    packages: ['python3-psycopg'],
    command: [PYTHON, 'psycopg3-adapter.py'],
    connection: libpqString,
    shown: (string) => `psycopg.connect("${string}")`,
    without: EARLY_POLL,
  },
  {
    name: 'psycopg3_async',
    title: 'psycopg 3, asyncio',
    packages: ['python3-psycopg'],
    command: [PYTHON, 'psycopg3-async-adapter.py'],
    connection: libpqString,
    shown: (string) => `await psycopg.AsyncConnection.connect("${string}")`,
    without: EARLY_POLL,
  },
  {
    name: 'psycopg_pool',
    title: 'psycopg 3, pool',
    packages: ['python3-psycopg', 'python3-psycopg-pool'],
    command: [PYTHON, 'psycopg-pool-adapter.py'],
    connection: libpqString,
    shown: (string) => `psycopg_pool.ConnectionPool("${string}")`,
    without: EARLY_POLL,
  },
  {
    name: 'psqlodbc',
    title: 'psqlODBC',
    packages: ['odbc-postgresql', 'python3-pyodbc'],
    command: [PYTHON, 'psqlodbc-adapter.py'],
    connection: odbcString,
    shown: same,
    without: {
      'copy-in': 'ODBC has no COPY',
      'copy-out': 'ODBC has no COPY',
      'several ports': 'its keyword Port holds 9 characters',
      console: 'it asks a database for its types first',
    },
  },
  {
    name: 'ecpg',
    title: 'ECPG',
    packages: ['libecpg-dev', 'libpq-dev', 'gcc', 'libc6-dev'],
    build: [
      'ecpg -o "$OUT/ecpg-adapter.c" ecpg-adapter.pgc',
      'gcc -O1 -Wall -Werror -I"$(pg_config --includedir)" "$OUT/ecpg-adapter.c" -o "$OUT/ecpg-adapter" -lecpg -lpq -lpthread',
    ],
    command: ['$OUT/ecpg-adapter'],
    connection: ecpgString,
    shown: (string) => `EXEC SQL CONNECT TO "${string}"`,
    without: {
      'several ports': 'a list of hosts shares one port',
      console: 'a row needs a variable for each of its columns',
    },
  },
  {
    name: 'pgjdbc',
    title: 'pgjdbc',
    packages: ['libpostgresql-jdbc-java', 'default-jdk-headless'],
    build: [`javac -cp ${JDBC} -d "$OUT" PgjdbcAdapter.java`],
    // One start of many: the compiler that makes a long run fast makes a short one slow.
    command: ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', `${JDBC}:$OUT`, 'PgjdbcAdapter'],
    connection: jdbcUrl,
    shown: same,
    without: {
      'channel binding': 'only since 42.7.5',
      hostaddr: 'the URL has one word for both',
    },
  },
  {
    name: 'node_pg',
    title: 'node-postgres',
    packages: [],
    command: ['$NODE', 'node-pg-adapter.mjs'],
    connection: nodePgOptions,
    shown: (string) => `new pg.Client(${literal(string)})`,
    aware: '`CmClient`, `CmPool`',
    without: {
      'several hosts': 'it takes one',
    },
  },
  {
    name: 'postgres_js',
    title: 'postgres.js',
    packages: [],
    command: ['$NODE', 'postgres-js-adapter.mjs'],
    connection: postgresJsOptions,
    shown: (string) => `postgres(${literal(string)})`,
    aware: '`cmSocket()` for its option `socket`',
    without: {
      'giving up': 'given several hosts it tries for ever',
      'channel binding': 'it has none',
    },
  },
  {
    name: 'pgx',
    title: 'pgx, in a static binary (Go)',
    packages: ['golang-go', 'golang-github-jackc-pgx-v4-dev'],
    build: [
      'version=$(dpkg-query --show golang-github-jackc-pgx-v4-dev | sed "s/.*\\t//; s/-.*//")',
      'export GO111MODULE=off GOPATH=/usr/share/gocode CGO_ENABLED=0 GOFLAGS=',
      'go build -trimpath -ldflags "-X main.version=$version" -o "$OUT/pgx-adapter" pgx-adapter.go',
    ],
    command: ['$OUT/pgx-adapter'],
    connection: pgxString,
    shown: (string) => `pgx.Connect(ctx, "${string}")`,
    without: {
      'prefer-standby': 'its version 4 takes it for any',
      'channel binding': 'it has none',
      hostaddr: 'it has one word for both',
    },
  },
];

/** Those that the tests run: all, or those that DRIVER names. */
export function chosenDrivers(): readonly Driver[] {
  const names = (process.env['DRIVER'] ?? '').split(/[\s,]+/).filter((word) => word !== '');
  const unknown = names.filter((name) => !DRIVERS.some((one) => one.name === name));
  if (unknown.length > 0) {
    throw new Error(`DRIVER=${unknown.join(',')}: there are ${DRIVERS.map(({ name }) => name).join(', ')}`);
  }
  return DRIVERS.filter(({ name }) => names.length === 0 || names.includes(name));
}
