import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type HelperRequest,
  MOST_DESTINATIONS,
  MOST_TARGETS,
  RequestAllowance,
  readHelperRequest,
  refusedOf,
} from '../../../../src/core/guard/request.js';
import { formatTarget } from '../../../../src/core/guard/target.js';
import {
  Permission,
  parseTargetList,
  renderTargetList,
  type TargetList,
} from '../../../../src/core/guard/target-list.js';

const list = (text: string): TargetList => {
  const parsed = parseTargetList(text);
  assert.ok('users' in parsed, JSON.stringify(parsed));
  return parsed;
};
const request = (fields: object): HelperRequest => {
  const read = readHelperRequest(JSON.stringify({ id: 1, ...fields }));
  assert.ok(read.request, read.problem);
  return read.request;
};
const problem = (fields: object): string => readHelperRequest(JSON.stringify({ id: 1, ...fields })).problem;

describe('a request to the helper', () => {
  it('is read with its number', () => {
    const read = readHelperRequest('{"id":7,"do":"kill","target":["192.0.2.1",5432],"spare":[40000]}');
    assert.equal(read.id, 7);
    assert.ok(read.request?.do === 'kill');
    assert.equal(formatTarget(read.request.target), '192.0.2.1:5432');
    assert.deepEqual([...read.request.spare], [40000]);
    assert.deepEqual(request({ do: 'clear' }), { do: 'clear' });
    assert.ok(request({ do: 'route', listener: 27547, targets: [] }).do === 'route');
  });

  it('is refused in words when a field is wrong', () => {
    assert.equal(problem({ do: 'reboot' }), 'unknown request');
    assert.equal(problem({ do: 'kill' }), 'a target is [address, port]');
    assert.equal(problem({ do: 'kill', target: ['db1', 5432] }), 'a target is [address, port]');
    assert.equal(problem({ do: 'kill', target: ['192.0.2.1', 5432, 1] }), 'a target is [address, port]');
    assert.equal(
      problem({ do: 'sweep', target: ['192.0.2.1', 5432], on: 'yes' }),
      'on must be true or false',
    );
    assert.equal(problem({ do: 'route', listener: 0, targets: [] }), 'a port is a number from 1 to 65535');
    const many = (count: number) => Array.from({ length: count }, () => ['192.0.2.1', 5432]);
    assert.match(problem({ do: 'count', targets: many(MOST_TARGETS + 1) }), /at most 64/);
    assert.match(problem({ do: 'route', listener: 1, targets: many(MOST_DESTINATIONS + 1) }), /at most 8/);
    assert.equal(readHelperRequest('{"id":1.5,"do":"clear"}').problem, 'id must be a whole number');
  });

  it('may be anything at all without harm', () => {
    const words = fc.constantFrom('probe', 'kill', 'sweep', 'count', 'ends', 'route', 'evict', 'clear');
    const fields = fc.record(
      {
        id: fc.jsonValue(),
        do: fc.oneof(words, fc.jsonValue()),
        target: fc.jsonValue(),
        targets: fc.jsonValue(),
        listener: fc.jsonValue(),
        on: fc.jsonValue(),
        spare: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fields.map((value) => JSON.stringify(value)),
        ),
        (line) => {
          const read = readHelperRequest(line);
          assert.equal(read.problem === '', read.request !== undefined);
        },
      ),
    );
  });
});

describe('the list of targets', () => {
  const text =
    '# mine\nuser conmgr\nuser 1000\n\ntarget 192.0.2.10 27500 # db1\ntarget 2001:db8::/64 5432\nlistener 27547\n';

  it('says who may ask for what', () => {
    const parsed = list(text);
    assert.deepEqual(parsed.users, ['conmgr', '1000']);
    assert.deepEqual(parsed.listeners, [27547]);
    assert.deepEqual(
      parsed.targets.map(({ range, port }) => [range.text, port]),
      [
        ['192.0.2.10/32', 27500],
        ['2001:db8::/64', 5432],
      ],
    );
    assert.deepEqual(list(renderTargetList(parsed)), parsed);
  });

  it('allows nothing when one line is wrong', () => {
    for (const line of [
      'user',
      'user a b',
      'user ../x',
      'target 192.0.2.10',
      'target db1 5432',
      'target 192.0.2.10/33 5432',
      'target 192.0.2.10 0',
      'target 192.0.2.10 65536',
      'target fe80::1%eth0 5432',
      'listener x',
      'Target 192.0.2.10 1',
      'allow everything',
    ]) {
      const parsed = parseTargetList(`user conmgr\n${line}\n`);
      assert.ok('problem' in parsed && parsed.line === 2, line);
    }
  });

  it('holds for the users it names, by name or number, for root, who writes it, and for nobody else', () => {
    const lists = [list(text)];
    const may = (user: string | undefined, uid: number) =>
      refusedOf(request({ do: 'kill', target: ['192.0.2.10', 27500] }), new Permission(lists, user, uid))
        .length === 0;
    assert.deepEqual(
      [may('conmgr', 999), may(undefined, 1000), may('alice', 1001), may('root', 1001), may('root', 0)],
      [true, true, false, false, true],
    );
    assert.equal(new Permission(lists, 'alice', 1001).any, false);
    const elsewhere = request({ do: 'kill', target: ['203.0.113.1', 22] });
    assert.deepEqual(refusedOf(elsewhere, new Permission(lists, 'root', 0)), ['203.0.113.1:22']);
    assert.equal(new Permission([], 'root', 0).any, false);
  });

  it('is asked for address and port together, v4-mapped or not', () => {
    const permission = new Permission([list(text)], 'conmgr', 999);
    const refused = (fields: object) => refusedOf(request(fields), permission);
    for (const kind of ['kill', 'sweep'] as const) {
      const about = (address: string, port: number) =>
        refused({ do: kind, on: true, target: [address, port] });
      assert.deepEqual(about('::ffff:192.0.2.10', 27500), []);
      assert.deepEqual(about('2001:db8::7', 5432), []);
      assert.deepEqual(about('192.0.2.10', 5432), ['192.0.2.10:5432']);
      assert.deepEqual(about('192.0.2.11', 27500), ['192.0.2.11:27500']);
      assert.deepEqual(about('2001:db8:0:1::7', 5432), ['[2001:db8:0:1::7]:5432']);
    }
    assert.deepEqual(
      refused({
        do: 'count',
        targets: [
          ['192.0.2.10', 27500],
          ['10.0.0.1', 1],
        ],
      }),
      ['10.0.0.1:1'],
    );
    assert.deepEqual(refused({ do: 'probe', targets: [['10.0.0.1', 1]], listeners: [27547, 22] }), [
      '10.0.0.1:1',
      'listener 22',
    ]);
    assert.deepEqual(refused({ do: 'clear' }), []);
  });

  it('ties listeners to the targets of the same file', () => {
    const lists = [
      list('user conmgr\ntarget 192.0.2.10 1\nlistener 27547'),
      list('user conmgr\ntarget 192.0.2.20 1\nlistener 27548'),
    ];
    const permission = new Permission(lists, 'conmgr', 999);
    const route = (listener: number, address: string) =>
      refusedOf(request({ do: 'route', listener, targets: [[address, 1]] }), permission);
    assert.deepEqual(route(27547, '192.0.2.10'), []);
    assert.deepEqual(route(27548, '192.0.2.20'), []);
    assert.deepEqual(route(27547, '192.0.2.20'), ['192.0.2.20:1']);
    assert.deepEqual(route(80, '192.0.2.10'), ['listener 80', '192.0.2.10:1']);
    assert.deepEqual(
      refusedOf(request({ do: 'evict', listener: 80, target: ['192.0.2.10', 1] }), permission).length,
      2,
    );
  });
});

describe('the allowance of a connection', () => {
  it('is 256 requests at once and 64 a second after that; the next has to wait', () => {
    const allowance = new RequestAllowance(1000);
    const taken = (now: number, tries: number) =>
      Array.from({ length: tries }, () => allowance.take(now)).filter((waitMs) => waitMs === 0).length;
    assert.equal(taken(1000, 300), 256);
    assert.equal(allowance.take(1000), 16);
    assert.equal(taken(1015, 10), 0);
    assert.equal(taken(1016, 10), 1);
    assert.equal(taken(100_000, 300), 256);
  });
});
