/**
 * Fills the tables of docs/protocol.md, docs/state-machines.md and docs/status-port.md from the tables of the code.
 *
 *     node packaging/run-ts.mjs packaging/render-protocol.ts [--check]
 *
 * With --check nothing is written: the documents that differ are named and the exit status is 1.
 */
import { ALWAYS, type Machine, type MachineEvent } from '../src/core/fsm.js';
import { HEALTH_MACHINE } from '../src/core/link/health.js';
import { HEALTH_MEANING } from '../src/core/link/health-meaning.js';
import { LINK_MACHINE } from '../src/core/link/link-table.js';
import { ATTRIBUTE_BITS, INSTANCE_STATES } from '../src/core/protocol/attributes.js';
import { BYE_KINDS, DOWN_REASONS, FIRST_PHASE_KINDS } from '../src/core/protocol/first-phase.js';
import {
  FIELD_SIZES,
  GOODBYE_REASONS,
  HEARTBEAT_MESSAGES,
  type HeartbeatMessageName,
  type MessageRow,
  REJECT_CODES,
  SESSION_PARTS,
} from '../src/core/protocol/messages.js';
import { SESSION_MACHINE } from '../src/core/session/session-table.js';
import { CONMGR_METRICS } from '../src/core/status/conmgr-metrics.js';
import type { MetricTable } from '../src/core/status/exposition.js';
import { WATCHDOG_METRICS } from '../src/core/status/watchdog-metrics.js';
import { LOSS_MACHINE } from '../src/core/terminator/loss-table.js';
import { type Cells, renderDocuments, table } from './document-tables.js';

/** HELLO, GOODBYE_ACK: as the text of the document writes the names. */
function upperCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function heartbeatMessage(name: HeartbeatMessageName): string {
  const row: MessageRow = HEARTBEAT_MESSAGES[name];
  let offset = 0;
  const fields = row.body.map(([field, type, doc]): Cells => {
    const at = offset;
    offset += FIELD_SIZES[type];
    return [at, FIELD_SIZES[type], field, type, doc];
  });
  const texts = row.texts.map(([field, tag, doc]): Cells => [`TLV ${tag}`, '', field, 'text', doc]);
  const lists = (row.octets ?? []).map(
    ([field, tag, doc]): Cells => [`TLV ${tag}`, '', field, 'octets', doc],
  );
  const from = row.from === 'both' ? 'either end' : row.from;
  const flags = row.mustUnderstand ? 'flags 1' : 'flags 0';
  const head = `#### ${row.id} ${upperCase(name)}\n\nFrom ${from}, ${flags}. ${row.doc}`;
  if (fields.length + texts.length + lists.length === 0) return `${head} No body.`;
  return `${head}\n\n${table(['octet', 'octets', 'field', 'type', 'meaning'], [...fields, ...texts, ...lists])}`;
}

const numbered = (head: string, words: readonly string[]): string =>
  table(
    ['number', head],
    words.map((word, number) => [number, `\`${word}\``]),
  );

function machine<Phase extends string, Data, Event extends MachineEvent, Effect>({
  phases,
  rows,
}: Machine<Phase, Data, Event, Effect>): string {
  return table(
    ['in', 'on', 'next', 'because'],
    rows.map(({ from, on, to, why }) => [
      from.length === phases.length ? 'any' : from.join(', '),
      on,
      to === 'same' ? '(stays)' : to,
      why,
    ]),
  );
}

/** The changes of phase as a picture; what changes nothing is left out. `first`: the phase of a new machine. */
function diagram<Phase extends string, Data, Event extends MachineEvent, Effect>(
  { phases, rows }: Machine<Phase, Data, Event, Effect>,
  first: Phase,
): string {
  const events = new Map<string, Set<string>>();
  for (const phase of phases) {
    const settled = new Set<string>();
    for (const { from, on, to, when } of rows) {
      if (!from.includes(phase) || settled.has(on)) continue;
      if (when === ALWAYS) settled.add(on);
      if (to === 'same' || to === phase) continue;
      const arrow = `${phase} --> ${to}`;
      events.set(arrow, (events.get(arrow) ?? new Set()).add(on === 'woke' ? 'time is up' : on));
    }
  }
  const arrows = [...events].map(([arrow, names]) => `  ${arrow}: ${[...names].join(', ')}`);
  return ['```mermaid', 'stateDiagram-v2', `  [*] --> ${first}`, ...arrows, '```'].join('\n');
}

function metrics<Source>(rows: MetricTable<Source>): string {
  return table(
    ['metric', 'type', 'labels', 'meaning'],
    rows.map(({ name, type, labels, help }) => [`\`${name}\``, type, labels.join(', '), help]),
  );
}

const yes = (value: boolean): string => (value ? 'yes' : 'no');

const TABLES: Readonly<Record<string, () => string>> = {
  'heartbeat messages': () =>
    (Object.keys(HEARTBEAT_MESSAGES) as HeartbeatMessageName[]).map(heartbeatMessage).join('\n\n'),
  'reject codes': () => numbered('code', REJECT_CODES),
  'goodbye reasons': () => numbered('reason', GOODBYE_REASONS),
  'session parts': () => numbered('part', SESSION_PARTS),
  'instance states': () => numbered('state', INSTANCE_STATES),
  'attribute bits': () =>
    table(
      ['bit', 'name'],
      Object.entries(ATTRIBUTE_BITS).map(([name, bit]) => [
        `0x${bit.toString(16).padStart(4, '0')}`,
        `\`${name}\``,
      ]),
    ),
  'first phase kinds': () =>
    table(
      ['octet', 'kind', 'from'],
      Object.entries(FIRST_PHASE_KINDS).map(([name, octet]) => [
        `0x${octet.toString(16).padStart(2, '0')}`,
        upperCase(name),
        octet > 0x80 ? 'client' : 'conmgr',
      ]),
    ),
  'down reasons': () => numbered('reason', DOWN_REASONS),
  'bye kinds': () => numbered('kind', BYE_KINDS),
  'link diagram': () => diagram(LINK_MACHINE, 'stopped'),
  'link machine': () => machine(LINK_MACHINE),
  'health diagram': () => diagram(HEALTH_MACHINE, 'unseen'),
  'health machine': () => machine(HEALTH_MACHINE),
  'health meaning': () =>
    table(
      ['phase', 'shown as', 'link is up', 'attributes are stale', 'offered'],
      Object.entries(HEALTH_MEANING).map(([phase, { shown, linked, stale, offered }]) => [
        phase,
        shown,
        yes(linked),
        yes(stale),
        yes(offered),
      ]),
    ),
  'session diagram': () => diagram(SESSION_MACHINE, 'greeting'),
  'session machine': () => machine(SESSION_MACHINE),
  'loss diagram': () => diagram(LOSS_MACHINE, 'waiting'),
  'loss machine': () => machine(LOSS_MACHINE),
  'conmgr metrics': () => metrics(CONMGR_METRICS),
  'watchdog metrics': () => metrics(WATCHDOG_METRICS),
};

renderDocuments(
  ['docs/protocol.md', 'docs/state-machines.md', 'docs/status-port.md'],
  TABLES,
  'packaging/render-protocol.ts',
);
