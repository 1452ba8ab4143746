/**
 * What is fuzzed: every reader of octets or text that come from elsewhere. A target takes any input and throws only when
 * the product has a defect: an exception that is not the reader's own word for bad input, or more kept than is allowed.
 */
import { Buffer } from 'node:buffer';
import { AnswerReader } from '../../src/core/client/answer.js';
import { parseConfig } from '../../src/core/config/parse.js';
import { resolveConmgrConfig } from '../../src/core/config/resolve.js';
import { resolveWatchdogConfig } from '../../src/core/config/resolve-watchdog.js';
import { readFrontendMessages } from '../../src/core/console/messages.js';
import { parseStatements } from '../../src/core/console/statement.js';
import { BackendKeyReader } from '../../src/core/gateway/backend-key.js';
import { readFirstAnswer } from '../../src/core/gateway/first-answer.js';
import { isForConsole, targetInOptions } from '../../src/core/gateway/startup-options.js';
import { decodeHandOver } from '../../src/core/handover/decode.js';
import { parsePostmasterOpts, parsePostmasterPid } from '../../src/core/instance/postmaster-files.js';
import { ASK_OPTION, parseAsk } from '../../src/core/protocol/ask.js';
import {
  decodeAttributes,
  decodeHeartbeat,
  encodeHeartbeat,
  type Frame,
  ProtocolViolation,
} from '../../src/core/protocol/codec.js';
import { readClientMessages } from '../../src/core/protocol/first-phase.js';
import { FrameReader } from '../../src/core/protocol/framer.js';
import { FRAME_LIMITS } from '../../src/core/protocol/messages.js';
import { decodeSessions } from '../../src/core/protocol/session-list.js';
import { MAX_STARTUP_BYTES, readFirstPacket } from '../../src/core/protocol/startup.js';

export interface Target {
  /** What a mutation may put in: words and numbers that mean something here. */
  readonly words: readonly (string | Buffer)[];
  /** Where the length of the first part stands, and how many octets before and of it do not count. */
  readonly length?: { readonly at: number; readonly extra: number };
  readonly run: (input: Buffer) => void;
}

function demand(condition: boolean, text: string): void {
  if (!condition) throw new Error(text);
}

/** Feeds it whole, or in pieces whose size the input itself decides. */
function pieces(input: Buffer): readonly Buffer[] {
  const size = (input[input.length - 1] ?? 0) % 17;
  if (size === 0) return [input];
  const cut: Buffer[] = [];
  for (let at = 0; at < input.length; at += size) cut.push(input.subarray(at, at + size));
  return cut;
}

/** Both ends of a heartbeat link read with these. */
function heartbeat(input: Buffer): void {
  const reader = new FrameReader();
  try {
    for (const piece of pieces(input)) {
      for (const frame of reader.push(piece)) {
        const message = decodeHeartbeat(frame);
        reader.setLimit(FRAME_LIMITS.max);
        if (message === undefined) continue;
        if (message.name === 'attr') decodeAttributes(message);
        if (message.name === 'sessions') decodeSessions(message);
        // What was understood can be said again, and is then understood as the same.
        const [again] = framesOf(encodeHeartbeat(message));
        demand(
          again !== undefined && decodeHeartbeat(again)?.name === message.name,
          'it reads otherwise when said again',
        );
      }
      demand(reader.held < 4 + FRAME_LIMITS.max, `${reader.held} octets are held`);
    }
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
  }
}

function framesOf(bytes: Buffer): readonly Frame[] {
  const reader = new FrameReader();
  reader.setLimit(FRAME_LIMITS.max);
  return [...reader.push(bytes)];
}

/** What conmgr reads of applications: the first packet, the ask in it, and what an aware driver says later. */
function application(input: Buffer): void {
  const packet = readFirstPacket(input);
  if (packet.kind === 'incomplete')
    demand(input.length < MAX_STARTUP_BYTES + 4, 'a whole packet is incomplete');
  if (packet.kind === 'startup') {
    parseAsk(packet.params.get(ASK_OPTION) ?? '');
    targetInOptions(packet.params.get('options') ?? '');
    isForConsole(packet.params);
    readClientMessages(packet.rest);
    const console = readFrontendMessages(packet.rest);
    for (const { type, body } of console?.messages ?? [])
      if (type === 'Q') parseStatements(body.toString('utf8'));
  }
  parseAsk(input.toString('latin1'));
  readClientMessages(input);
  parseStatements(input.toString('utf8'));
}

/** What the gateway and the client library read of servers. */
function server(input: Buffer): void {
  if (input.length > 0)
    for (const question of ['startup', 'encryption', 'tls'] as const) readFirstAnswer(question, input);
  const keys = new BackendKeyReader();
  for (const attach of [false, true]) {
    const reader = new AnswerReader({ attach });
    for (const piece of pieces(input)) if (reader.push(piece) !== undefined) break;
  }
  for (const piece of pieces(input)) if (!keys.done) keys.take(piece);
}

/** conmgr.conf, the lexer that it shares with postgresql.conf, and the files of a data directory. */
function configuration(input: Buffer): void {
  const text = input.toString('utf8');
  const { entries } = parseConfig(text);
  const { config, problems } = resolveConmgrConfig(text);
  demand(
    (config === undefined) === problems.length > 0,
    'a file with problems gives a configuration, or one without none',
  );
  resolveWatchdogConfig(new Map(entries.map(({ name, value }) => [name, value])));
  parsePostmasterPid(text);
  parsePostmasterOpts(text);
}

/** What a predecessor hands over. */
function handOver(input: Buffer): void {
  decodeHandOver(input);
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

export const TARGETS: Readonly<Record<string, Target>> = {
  heartbeat: {
    words: ['CMHB', u32(2), u32(512), u32(4096), u32(0xffff_ffff), Buffer.alloc(16), Buffer.from([0, 3])],
    length: { at: 0, extra: 4 },
    run: heartbeat,
  },
  application: {
    words: [
      'user\0',
      'database\0conmgr\0',
      `${ASK_OPTION}\0`,
      '1 target_session_attrs=',
      'prefer-standby',
      'prefer=2,0',
      'exclude=1',
      'attach=0',
      'ping=1',
      '!key=1',
      '%41',
      'options\0-c conmgr.target_session_attrs=standby\0',
      u32(196_608),
      u32(196_610),
      u32(80_877_102),
      u32(80_877_103),
      u32(80_877_104),
      'm',
      'X',
      'Q',
      'SHOW ',
      ';',
      "'",
    ],
    length: { at: 0, extra: 0 },
    run: application,
  },
  server: {
    words: [
      'v',
      'E',
      'R',
      'm',
      'K',
      'Z',
      'N',
      'S',
      'C57P03\0',
      'Mconmgr: \0',
      'SFATAL\0',
      `${ASK_OPTION}\0`,
      u32(8),
      u32(12),
    ],
    length: { at: 1, extra: 1 },
    run: server,
  },
  configuration: {
    words: [
      'backend_host0',
      'watchdog_port1',
      'heartbeat_interval',
      'heartbeat_timeout',
      'listener_port1',
      'listen_addresses',
      'log_destination',
      'port',
      'watchdog.port',
      "'",
      "''",
      "\\'",
      '\\n',
      '=',
      '#',
      '\n',
      ' ',
      ',',
      '1s',
      '250ms',
      '-1',
      '127.0.0.1',
      '::1',
      'on',
      'include',
      '1e400',
      '0x7fffffff',
      '\u{10ffff}',
      '\0',
    ],
    run: configuration,
  },
  'hand-over': {
    words: [
      'CMHANDOV',
      u32(1),
      '{',
      '}',
      '[',
      ']',
      '"instances":',
      '"sessions":',
      '"sockets":',
      'null',
      '1e9',
      '-1',
      '""',
      '[0,4]',
    ],
    length: { at: 12, extra: 16 },
    run: handOver,
  },
};
