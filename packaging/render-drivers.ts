/**
 * Fills the tables of docs/drivers.md from the table of the drivers (test/drivers/harness/drivers.ts) and from what the tests with
 * them have recorded (test/drivers/observed.json).
 *
 *     node packaging/run-ts.mjs packaging/render-drivers.ts [--check]
 *
 * With --check nothing is written: the document that differs is named and the exit status is 1.
 */
import type { Connection, Place, Target } from '../test/drivers/harness/connection.js';
import { type Ability, DRIVERS, type Driver } from '../test/drivers/harness/drivers.js';
import { OBSERVED, type Observed, type Occasion, readObserved } from '../test/drivers/harness/observed.js';
import {
  CONMGR_PORT,
  type DirectServer,
  WAYS,
  type Way,
  type WayName,
} from '../test/drivers/harness/ways.js';
import { type Cells, renderDocuments, table } from './document-tables.js';

/** What stands in the connection strings of the document. */
const APPLICATION = { user: 'app', database: 'app' } as const;
const SERVERS: readonly DirectServer[] = [
  { host: 'db1.example.com', port: 5432, role: 'primary' },
  { host: 'db2.example.com', port: 5432, role: 'standby' },
];
const OWN_PORT: readonly Place[] = [{ host: 'localhost', port: CONMGR_PORT }];
const STANDBY = '-c conmgr.target_session_attrs=standby';
const TLS = { rootCertificate: '/etc/ssl/certs/db-ca.crt' } as const;

const observed = readObserved(OBSERVED);

function of({ name }: Driver): Observed {
  const found = observed[name];
  if (found === undefined) throw new Error(`nothing is recorded of ${name}: make test-drivers UPDATE=1`);
  return found;
}

/** Code that may hold anything, in one cell. */
function code(text: string): string {
  const lines = text.split('\n').map((line) => line.trim().replace(/\s+/g, ' '));
  return lines
    .filter((line) => line !== '')
    .map((line) => (line.includes('`') ? `\`\` ${line} \`\`` : `\`${line}\``))
    .join('<br>');
}

const WHICH: readonly WayName[] = WAYS.map(({ name }) => name);

/** What works with what: a way is one of a driver when the tests have seen it told of a loss by it. */
function support(): string {
  return table(
    ['driver', 'tested', 'aware', ...WHICH],
    DRIVERS.map((driver): Cells => {
      const { version, ways } = of(driver);
      const does = WHICH.map((way) => (ways[way]?.lost === undefined ? 'no' : 'yes'));
      return [driver.title, version, driver.aware ?? 'no', ...does];
    }),
  );
}

const way = (name: WayName): Way => WAYS.find((one) => one.name === name)!;

/** The connection strings of a driver: purpose and string. */
function strings(driver: Driver): readonly Cells[] {
  const string = (by: WayName, target: Target, more: Partial<Connection> = {}): string =>
    code(
      driver.shown(driver.connection({ ...way(by).route(driver, target, SERVERS), ...APPLICATION, ...more })),
    );
  const verified = (places: readonly Place[], told: Partial<Connection> = {}): string => {
    const tls = { ...TLS, channelBinding: driver.without['channel binding'] === undefined };
    return code(driver.shown(driver.connection({ places, ...told, ...APPLICATION, tls })));
  };
  const [{ port }] = way('gateway').route(driver, 'primary', SERVERS).places as [Place];
  const { places, target } = way('guard').route(driver, 'primary', SERVERS);
  return [
    ['gateway, redirect', 'the primary', string('gateway', 'primary')],
    ['', 'a standby', string('gateway', 'standby')],
    ['', 'the primary, verified', verified([{ host: 'db.example.com', hostaddr: '127.0.0.1', port }])],
    ['gateway', 'a standby, on `port`', string('gateway', 'standby', { places: OWN_PORT, options: STANDBY })],
    ['guard', 'the primary', string('guard', 'primary')],
    ['', 'a standby', string('guard', 'standby')],
    ['', 'the primary, verified', verified(places, target === undefined ? {} : { target })],
  ];
}

const OCCASIONS: Readonly<Record<Occasion, string>> = {
  lost: 'its server is lost, during a query',
  unavailable: 'no server fits, as it connects',
  'unavailable with TLS': 'the same with TLS required',
  cancelled: 'it cancels a query',
};

/** What a driver is told: ways with the same words share a row. */
function told(driver: Driver): readonly Cells[] {
  const { ways } = of(driver);
  return (Object.entries(OCCASIONS) as [Occasion, string][]).flatMap(([occasion, when]) => {
    const rows = new Map<string, { by: string[]; state: string; text: string }>();
    for (const name of WHICH) {
      const one = ways[name]?.[occasion];
      if (one === undefined) continue;
      const key = JSON.stringify(one);
      const row = rows.get(key) ?? {
        by: [],
        state: one.sqlstate === null ? 'none' : `\`${one.sqlstate}\``,
        text: code(one.text),
      };
      row.by.push(name);
      rows.set(key, row);
    }
    return [...rows.values()].map(({ by, state, text }, at) => [
      at === 0 ? when : '',
      by.join(', '),
      state,
      text,
    ]);
  });
}

/** What a driver cannot do, in the words of a document. */
const ABILITIES: Readonly<Record<Ability, string>> = {
  'copy-in': 'COPY to the server',
  'copy-out': 'COPY from the server',
  cancel: 'cancelling a query',
  'several hosts': 'several hosts',
  'several ports': 'several hosts with different ports',
  'lost hosts': 'going on to the next host when one is lost',
  'giving up': 'giving up when none of several hosts can be had',
  'prefer-standby': '`target_session_attrs=prefer-standby`',
  'channel binding': 'channel binding',
  console: "use of conmgr's console",
  hostaddr: 'a name to verify apart from the address',
};

function section(driver: Driver): string {
  const { title, without } = driver;
  const lacks = Object.entries(without).map(
    ([ability, why]) => `- Without ${ABILITIES[ability as Ability]}: ${why}.`,
  );
  return [
    `### ${title}`,
    table(['way', 'to', 'connection'], strings(driver)),
    table(['when', 'by', 'SQLSTATE or code', 'text'], told(driver)),
    ...(lacks.length === 0 ? [] : [lacks.join('\n')]),
  ].join('\n\n');
}

/** The connection strings for the console. */
function consoles(): string {
  const rows = DRIVERS.filter(({ without }) => without.console === undefined).map((driver): Cells => {
    const connection = { places: OWN_PORT, user: 'app', database: 'conmgr', tls: 'off' } as const;
    return [driver.title, code(driver.shown(driver.connection(connection)))];
  });
  return table(['driver', 'connection'], rows);
}

const TABLES = { support, drivers: () => DRIVERS.map(section).join('\n\n'), consoles };

renderDocuments(['docs/drivers.md'], TABLES, 'packaging/render-drivers.ts');
