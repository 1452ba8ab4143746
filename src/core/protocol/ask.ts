/**
 * The question of the first phase: the value of the start-up option `_pq_.conmgr`.
 *
 *     VERSION *( SP ["!"] KEY "=" VALUE )
 *
 * at most 1024 octets of printable ASCII; VALUE is percent-encoded where it has other characters.
 * An unknown key is ignored, an unknown key behind "!" is refused with 0A000.
 */
import { Buffer } from 'node:buffer';
import { parseTarget, type TargetSessionAttrs } from '../cluster/target-session.js';

/** Name of the start-up option; a PostgreSQL server answers it with NegotiateProtocolVersion. */
export const ASK_OPTION = '_pq_.conmgr';
export const ASK_VERSION = 1;
export const MAX_ASK_BYTES = 1024;
const MAX_INSTANCE = 65_535;
const MAX_LIST = 64;

/** What an aware driver asks for. */
export interface Ask {
  readonly target: TargetSessionAttrs;
  /** Instances to put first among those that fit. */
  readonly prefer: readonly number[];
  /** Instances that just refused or failed; offered last. */
  readonly exclude: readonly number[];
  /** Instance of a session that lives on while its conmgr was restarted: no candidates wanted. */
  readonly attach: number | undefined;
  /** Whether conmgr is to send PING now and then. */
  readonly ping: boolean;
  /** application_name for the status view; '' = not told. */
  readonly app: string;
}

/** An ask of somebody who takes any server. */
export const NO_WISHES: Ask = {
  target: 'any',
  prefer: [],
  exclude: [],
  attach: undefined,
  ping: false,
  app: '',
};

/** Why an ask is refused, ready for an ErrorResponse. */
export interface AskRefusal {
  readonly sqlState: '0A000' | '22023' | '08P01';
  readonly message: string;
  readonly detail: string;
}

type Fields = { -readonly [Key in keyof Ask]: Ask[Key] };
type Reader = (fields: Fields, value: string) => string | undefined;

function numbers(value: string): readonly number[] | undefined {
  const words = value === '' ? [] : value.split(',');
  if (words.length > MAX_LIST) return undefined;
  const list = words.map((word) => (/^\d{1,5}$/.test(word) ? Number(word) : -1));
  return list.every((n) => n >= 0 && n <= MAX_INSTANCE) ? list : undefined;
}

/** The keys of version 1. A reader returns a sentence when the value is wrong. */
const KEYS: Readonly<Record<string, Reader>> = {
  target_session_attrs: (fields, value) => {
    const parsed = parseTarget(value);
    if ('refusal' in parsed) return parsed.refusal;
    fields.target = parsed.target;
    return undefined;
  },
  prefer: (fields, value) => {
    const list = numbers(value);
    if (list === undefined) return 'It must be a comma-separated list of instance numbers.';
    fields.prefer = list;
    return undefined;
  },
  exclude: (fields, value) => {
    const list = numbers(value);
    if (list === undefined) return 'It must be a comma-separated list of instance numbers.';
    fields.exclude = list;
    return undefined;
  },
  attach: (fields, value) => {
    const list = numbers(value);
    if (list?.length !== 1) return 'It must be one instance number.';
    fields.attach = list[0];
    return undefined;
  },
  ping: (fields, value) => {
    if (value !== '0' && value !== '1') return 'It must be 0 or 1.';
    fields.ping = value === '1';
    return undefined;
  },
  app: (fields, value) => {
    fields.app = value.slice(0, 63);
    return undefined;
  },
};

/** Reads the option's value. `target_session_attrs` left out means any. */
export function parseAsk(text: string): { readonly ask: Ask } | { readonly refusal: AskRefusal } {
  const refuse = (sqlState: AskRefusal['sqlState'], message: string, detail: string) => ({
    refusal: { sqlState, message: `conmgr: ${message}`, detail },
  });
  if (Buffer.byteLength(text) > MAX_ASK_BYTES) {
    return refuse(
      '08P01',
      'question is too long',
      `The option ${ASK_OPTION} may have ${MAX_ASK_BYTES} bytes.`,
    );
  }
  const [version = '', ...words] = text.split(' ');
  if (!/^\d{1,4}$/.test(version) || Number(version) < 1) {
    return refuse('08P01', `malformed option ${ASK_OPTION}`, 'It must begin with a version number.');
  }
  const fields: Fields = { ...NO_WISHES };
  for (const word of words) {
    const match = /^(!?)([a-z_]{1,40})=([\x21-\x7e]*)$/.exec(word);
    const value = match === null ? undefined : decode(match[3] ?? '');
    if (match === null || value === undefined) {
      return refuse(
        '08P01',
        `malformed option ${ASK_OPTION}`,
        'It must be a list of key=value separated by single blanks.',
      );
    }
    const [, must, key = ''] = match;
    const read = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
    if (read === undefined) {
      if (must === '!')
        return refuse(
          '0A000',
          `required key "${key}" is not known to this version`,
          'Upgrade conmgr, or ask without it.',
        );
      continue;
    }
    const problem = read(fields, value);
    if (problem !== undefined) return refuse('22023', `invalid value for ${key}: "${value}"`, problem);
  }
  return { ask: fields };
}

function decode(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}

/** The option's value for an ask. */
export function encodeAsk(ask: Ask): string {
  const words = [String(ASK_VERSION), `target_session_attrs=${ask.target}`];
  if (ask.prefer.length > 0) words.push(`prefer=${ask.prefer.join(',')}`);
  if (ask.exclude.length > 0) words.push(`exclude=${ask.exclude.join(',')}`);
  if (ask.attach !== undefined) words.push(`attach=${ask.attach}`);
  if (ask.ping) words.push('ping=1');
  // Half a surrogate pair has no UTF-8 form.
  const app = [...ask.app]
    .slice(0, 20)
    .join('')
    .replace(/\p{Surrogate}/gu, '\ufffd');
  if (app !== '') words.push(`app=${encodeURIComponent(app)}`);
  return words.join(' ');
}
