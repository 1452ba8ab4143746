/**
 * One client of the console: its messages in, the answers out. Simple and extended query protocol as drivers use them
 * (PostgreSQL documentation, 53.2). Read-only, without access to anything but what SHOW shows.
 */
import { Buffer } from 'node:buffer';
import { type ErrorFields, encodeErrorResponse } from '../protocol/startup.js';
import {
  encodeCommandComplete,
  encodeDataRow,
  encodeParameterStatus,
  encodeReadyForQuery,
  encodeRowDescription,
  type FrontendMessage,
  PLAIN,
  readFrontendMessages,
  readTexts,
  type TransactionStatus,
} from './messages.js';
import { parseStatements, type Statement, type Subject } from './statement.js';

/** What a statement returns. */
export interface ConsoleTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Where the console has its facts from. */
export interface ConsoleSource {
  readonly software: string;
  show(subject: Subject): Promise<ConsoleTable>;
  columns(subject: Subject): readonly string[];
}

/** A portal: rows that have been fetched already, and the first that has not been sent. */
interface Portal {
  readonly statement: Statement;
  table: ConsoleTable | undefined;
  next: number;
}

/** Named statements and portals of one client at the most. */
const MOST_NAMES = 1000;

/**
 * The least version that current drivers take for one of a supported server, so that psql does not warn of a server
 * newer than itself.
 */
const SERVER_VERSION = '13.0';

export class ConsoleSession {
  readonly #source: ConsoleSource;
  #held: Buffer = Buffer.alloc(0);
  #out: Buffer[] = [];
  #status: TransactionStatus = 'I';
  /** After an error everything up to Sync is skipped. */
  #skipping = false;
  readonly #statements = new Map<string, Statement>();
  readonly #portals = new Map<string, Portal>();
  /** The client has said goodbye, or broken the protocol. */
  isOver = false;

  constructor(source: ConsoleSource) {
    this.#source = source;
  }

  /** What is said when the start-up packet has been read. */
  greet(params: ReadonlyMap<string, string>): Buffer {
    const statuses = {
      server_version: `${SERVER_VERSION} (${this.#source.software})`,
      server_encoding: 'UTF8',
      client_encoding: 'UTF8',
      application_name: params.get('application_name') ?? '',
      DateStyle: 'ISO, MDY',
      IntervalStyle: 'postgres',
      TimeZone: 'UTC',
      integer_datetimes: 'on',
      standard_conforming_strings: 'on',
      is_superuser: 'off',
      session_authorization: params.get('user') ?? '',
    };
    return Buffer.concat([
      PLAIN.authenticationOk,
      ...Object.entries(statuses).map(([name, value]) => encodeParameterStatus(name, value)),
      encodeReadyForQuery('I'),
    ]);
  }

  /** Takes what has come; resolves with what is to be sent. Not to be called again before it has resolved. */
  async take(chunk: Buffer): Promise<Buffer> {
    const read = readFrontendMessages(Buffer.concat([this.#held, chunk]));
    if (read === undefined) {
      this.#error({ severity: 'FATAL', sqlState: '08P01', message: 'invalid message length' });
      this.isOver = true;
    } else {
      this.#held = read.rest;
      for (const message of read.messages) {
        if (this.isOver) break;
        await this.#message(message);
      }
    }
    const out = Buffer.concat(this.#out);
    this.#out = [];
    return out;
  }

  async #message({ type, body }: FrontendMessage): Promise<void> {
    if (type === 'X') this.isOver = true;
    else if (type === 'S') {
      this.#skipping = false;
      // A portal lives as long as its transaction.
      if (this.#status === 'I') this.#portals.clear();
      this.#ready();
    } else if (type === 'Q') await this.#query(readTexts(body, 1)[0] ?? '');
    else if (this.#skipping || 'Hdcf'.includes(type)) return;
    else if (type === 'P') this.#parse(body);
    else if (type === 'B') this.#bind(body);
    else if (type === 'D') this.#describe(body);
    else if (type === 'E') await this.#execute(body);
    else if (type === 'C') this.#close(body);
    else {
      const message =
        type === 'F' ? 'the console has no functions' : `invalid frontend message type ${type.charCodeAt(0)}`;
      this.#fail({ severity: 'ERROR', sqlState: type === 'F' ? '0A000' : '08P01', message });
    }
  }

  // Simple queries

  async #query(sql: string): Promise<void> {
    this.#skipping = false;
    for (const statement of parseStatements(sql)) {
      if (!(await this.#run(statement))) break;
    }
    this.#skipping = false;
    this.#ready();
  }

  /** False after an error. */
  async #run(statement: Statement): Promise<boolean> {
    const columns = this.#columnsOf(statement);
    if (columns !== undefined && this.#status !== 'E') this.#send(encodeRowDescription(columns));
    return this.#complete(statement, await this.#tableOf(statement));
  }

  // Extended queries

  #parse(body: Buffer): void {
    const [name = '', sql = ''] = readTexts(body, 2);
    const [statement, ...others] = parseStatements(sql);
    if (statement === undefined || others.length > 0) {
      this.#fail({
        severity: 'ERROR',
        sqlState: '42601',
        message: 'cannot insert multiple commands into a prepared statement',
      });
    } else if (statement.kind === 'unknown') this.#unknown(statement.text);
    else if (this.#statements.size >= MOST_NAMES && !this.#statements.has(name)) this.#tooMany();
    else {
      this.#statements.set(name, statement);
      this.#send(PLAIN.parseComplete);
    }
  }

  #bind(body: Buffer): void {
    const [portal = '', name = ''] = readTexts(body, 2);
    const statement = this.#statements.get(name);
    if (statement === undefined) this.#missing('prepared statement', name, '26000');
    else if (this.#portals.size >= MOST_NAMES && !this.#portals.has(portal)) this.#tooMany();
    else {
      this.#portals.set(portal, { statement, table: undefined, next: 0 });
      this.#send(PLAIN.bindComplete);
    }
  }

  #describe(body: Buffer): void {
    const name = readTexts(body.subarray(1), 1)[0] ?? '';
    const ofStatement = body[0] === 0x53;
    const statement = ofStatement ? this.#statements.get(name) : this.#portals.get(name)?.statement;
    if (statement === undefined) {
      if (ofStatement) this.#missing('prepared statement', name, '26000');
      else this.#missing('portal', name, '34000');
      return;
    }
    if (ofStatement) this.#send(PLAIN.noParameters);
    const columns = this.#columnsOf(statement);
    this.#send(columns === undefined ? PLAIN.noData : encodeRowDescription(columns));
  }

  async #execute(body: Buffer): Promise<void> {
    const name = readTexts(body, 1)[0] ?? '';
    const portal = this.#portals.get(name);
    if (portal === undefined) {
      this.#missing('portal', name, '34000');
      return;
    }
    const at = Buffer.byteLength(name) + 1;
    const limit = body.length >= at + 4 ? body.readInt32BE(at) : 0;
    portal.table ??= await this.#tableOf(portal.statement);
    const { table } = portal;
    if (limit > 0 && table !== undefined && this.#status !== 'E' && table.rows.length - portal.next > limit) {
      for (const row of table.rows.slice(portal.next, portal.next + limit)) this.#send(encodeDataRow(row));
      portal.next += limit;
      this.#send(PLAIN.portalSuspended);
    } else this.#complete(portal.statement, table, portal.next);
  }

  #close(body: Buffer): void {
    const name = readTexts(body.subarray(1), 1)[0] ?? '';
    if (body[0] === 0x53) this.#statements.delete(name);
    else this.#portals.delete(name);
    this.#send(PLAIN.closeComplete);
  }

  // Statements

  #columnsOf(statement: Statement): readonly string[] | undefined {
    if (statement.kind === 'constant') return [statement.column];
    return statement.kind === 'show' ? this.#source.columns(statement.subject) : undefined;
  }

  async #tableOf(statement: Statement): Promise<ConsoleTable | undefined> {
    if (statement.kind === 'constant') return { columns: [statement.column], rows: [[statement.value]] };
    return statement.kind === 'show' ? this.#source.show(statement.subject) : undefined;
  }

  /** Sends the rows from `first` on and what ends them; false after an error. */
  #complete(statement: Statement, table: ConsoleTable | undefined, first = 0): boolean {
    if (statement.kind === 'unknown') return this.#unknown(statement.text);
    const ends = statement.kind === 'commit' || statement.kind === 'rollback' || statement.kind === 'empty';
    if (this.#status === 'E' && !ends) {
      const message = 'current transaction is aborted, commands ignored until end of transaction block';
      return this.#fail({ severity: 'ERROR', sqlState: '25P02', message });
    }
    for (const row of table?.rows.slice(first) ?? []) this.#send(encodeDataRow(row));
    this.#send(statement.kind === 'empty' ? PLAIN.emptyQuery : encodeCommandComplete(this.#tag(statement)));
    return true;
  }

  /** The command tag; moves the transaction. */
  #tag(statement: Exclude<Statement, { kind: 'unknown' | 'empty' }>): string {
    const failed = this.#status === 'E';
    switch (statement.kind) {
      case 'begin':
        this.#status = 'T';
        return 'BEGIN';
      case 'commit':
        this.#status = 'I';
        return failed ? 'ROLLBACK' : 'COMMIT';
      case 'rollback':
        this.#status = 'I';
        return 'ROLLBACK';
      case 'show':
        return 'SHOW';
      case 'constant':
      case 'ignored':
        return statement.tag;
    }
  }

  // Answers

  #unknown(statement: string): false {
    return this.#fail({
      severity: 'ERROR',
      sqlState: '0A000',
      message: `this is the console of conmgr and no database: ${statement}`,
      hint: 'SHOW HELP lists what it understands.',
    });
  }

  #missing(what: string, name: string, sqlState: string): void {
    this.#fail({ severity: 'ERROR', sqlState, message: `${what} "${name}" does not exist` });
  }

  #tooMany(): void {
    const message = `more than ${MOST_NAMES} prepared statements or portals`;
    this.#fail({ severity: 'ERROR', sqlState: '53400', message });
  }

  #fail(error: ErrorFields): false {
    this.#error(error);
    this.#skipping = true;
    if (this.#status === 'T') this.#status = 'E';
    return false;
  }

  #error(error: ErrorFields): void {
    this.#send(encodeErrorResponse(error));
  }

  #ready(): void {
    this.#send(encodeReadyForQuery(this.#status));
  }

  #send(bytes: Buffer): void {
    this.#out.push(bytes);
  }
}
