import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { InstanceStatus, StatusReport } from '../../../../src/core/control/protocol.js';
import {
  describeInstances,
  isReached,
  renderStatus,
  type StatusLayout,
  selectStatus,
} from '../../../../src/core/ctl/status-view.js';
import { textWidth } from '../../../../src/core/ctl/text-width.js';
import {
  applicationStatus,
  instanceStatus,
  NOW,
  standbyStatus,
  statusOf,
  unreachedStatus,
} from '../../../support/status-report.js';

const PAGE: StatusLayout = { width: 80, colour: false, show: 'all', zone: () => 0, unit: undefined };
const view = (report: StatusReport, layout: Partial<StatusLayout> = {}): string =>
  renderStatus(report, { ...PAGE, ...layout }).join('\n');
const instances = (...list: InstanceStatus[]): string[] =>
  renderStatus(statusOf({ instances: list }), { ...PAGE, show: 'instance' });

describe('cm_ctl status', () => {
  it('shows process, instances and applications on one page of 80 columns', () => {
    const report = statusOf({
      applications: [
        applicationStatus(),
        applicationStatus({
          pid: null,
          program: null,
          user: 'bob',
          target: 'prefer-standby',
          instance: null,
        }),
      ],
    });
    assert.equal(
      view(report),
      `\
Directory:    /srv/app1
Process:      PID 1234, running for 3 d, conmgr 1.2.3
Port:         27546 on 127.0.0.1, ::1
Primary:      instance 0 (db1:5432)
Heartbeat:    every 10 s, time-out 20 s
Protection:   none
Applications: 2
Descriptors:  23 of 1024 open

#  host  port  state  role       lag  link  packet      rtt  changed
0  db1   5432  up     primary      -  up     0.4 s  0.41 ms  09:29:00
1  db2   5432  up     standby  16 kB  up     0.4 s  0.41 ms  09:29:00

 pid  program  user   target          instance  mode   since
4711  node     alice  primary                0  aware  08:30:00
   -  -        bob    prefer-standby         -  aware  08:30:00`,
    );
  });

  it('shows what a failed reload complained about', () => {
    const problems = ['conmgr.conf:3: wrong', 'conmgr.conf:7: worse'];
    const text = view(statusOf({ lastReload: { at: NOW - 1000, problems } }));
    assert.match(
      text,
      /^Reload: {7}failed at 09:29:59, the earlier configuration is in use\n {14}conmgr.conf:3: wrong\n {14}conmgr.conf:7: worse$/m,
    );
  });

  it('shows when the configuration was last loaded', () => {
    const text = view(statusOf({ lastReload: { at: NOW - 1000, problems: [] } }));
    assert.match(text, /^Reload: {7}09:29:59$/m);
  });

  it('shows the limit of applications where there is one', () => {
    assert.match(view(statusOf({ maxConnections: 50 })), /^Applications: 0 of 50$/m);
  });

  it('says that there is no primary', () => {
    assert.match(view(statusOf({ primary: null })), /^Primary: {6}none$/m);
  });

  it('says that conmgr is stopping', () => {
    assert.match(view(statusOf({ state: 'stopping' })), /PID 1234, stopping after 3 d/);
  });

  const REMARKS: readonly (readonly [string, InstanceStatus, RegExp])[] = [
    ['a conflict', instanceStatus({ conflict: true }), /conflict: another primary is newer/],
    ['another cluster', instanceStatus({ foreign: true }), /belongs to another cluster/],
    ['stale attributes', instanceStatus({ stale: true }), /not monitored, shown as last known/],
    ['a lost instance', instanceStatus({ stale: true, health: 'lost' }), /lost, shown as last known/],
    ['a full instance', instanceStatus({ full: true }), /all connections taken/],
    [
      'an instance that takes no connections',
      instanceStatus({ accepting: false }),
      /takes no new connections/,
    ],
    ['a read-only primary', instanceStatus({ readOnly: true }), /read-only/],
    [
      'why it is down',
      instanceStatus({ state: 'down', reason: 'postmaster is gone' }),
      /^ {4}postmaster is gone$|postmaster is gone/,
    ],
    ['why there is no link', unreachedStatus(), /connection refused/],
  ];
  for (const [what, instance, pattern] of REMARKS) {
    it(`remarks ${what}`, () => assert.match(instances(instance).join('\n'), pattern));
  }

  it('remarks nothing on healthy instances', () => {
    assert.equal(instances(instanceStatus(), standbyStatus()).length, 3);
  });

  it('says a reason once when link and instance have the same', () => {
    const text = instances(unreachedStatus({ reason: 'connection refused' })).join('\n');
    assert.equal(text.match(/connection refused/g)?.length, 1);
  });

  it('shows an unknown lag of a standby as ?', () => {
    assert.match(instances(standbyStatus({ lagBytes: null }))[1] ?? '', / standby +\? /);
  });

  it('does not flicker between attempts of a link that does not come up', () => {
    const at = (phase: InstanceStatus['link']['phase']) => instances(unreachedStatus({ link: { phase } }));
    assert.deepEqual(at('resolving'), at('waiting'));
    assert.deepEqual(at('greeting'), at('waiting'));
  });

  it('stays within 80 columns with long names and reasons', () => {
    const reason = 'could not resolve host name "database-1.europe-north.example.com": name not known';
    const long = unreachedStatus({
      number: 100,
      host: 'database-1.europe-north.example.com',
      port: 65_535,
      reason,
    });
    const application = applicationStatus({
      application: 'a'.repeat(60),
      program: 'p'.repeat(15),
      user: 'u'.repeat(32),
    });
    const report = statusOf({ instances: [instanceStatus(), long], applications: [application] });
    for (const line of view(report).split('\n')) assert.ok(textWidth(line) <= 80, line);
  });

  it('cuts nothing where output is no terminal', () => {
    const host = `${'a'.repeat(60)}.example.com`;
    const report = statusOf({ instances: [instanceStatus({ host })] });
    assert.ok(view(report, { width: Number.POSITIVE_INFINITY }).includes(`0  ${host}  5432`));
  });

  it('makes a silent link stand out before it is lost', () => {
    const coloured = (lastPacketAgeMs: number) =>
      renderStatus(statusOf({ instances: [instanceStatus({ link: { lastPacketAgeMs } })] }), {
        ...PAGE,
        show: 'instance',
        colour: true,
      }).join('\n');
    assert.doesNotMatch(coloured(10_500), /\x1b\[33m/);
    assert.match(coloured(15_500), /\x1b\[33m *16 s\x1b\[0m/);
  });

  it('shows only applications with -i application, and says when there are none', () => {
    assert.equal(view(statusOf(), { show: 'application' }), 'No application is attached.');
    const report = statusOf({ applications: [applicationStatus({ application: 'shop' })] });
    assert.equal(
      view(report, { show: 'application' }),
      ' pid  program  user   application  target   instance  mode   since\n4711  node     alice  shop         primary         0  aware  08:30:00',
    );
  });

  it('shows the port of forwarded ones, and what was forwarded, where there are any', () => {
    const forwarded = applicationStatus({
      program: 'psql',
      mode: 'gateway',
      listener: 27547,
      bytesFromApplication: 900,
      bytesFromServer: 3_500_000,
    });
    assert.deepEqual(
      view(statusOf({ applications: [applicationStatus(), forwarded] }), {
        show: 'application',
        width: 120,
      }).split('\n'),
      [
        ' pid  program  user   target   instance  mode     since      port   sent  received',
        '4711  node     alice  primary         0  aware    08:30:00      -      -         -',
        '4711  psql     alice  primary         0  gateway  08:30:00  27547  900 B    3.3 MB',
      ],
    );
  });
});

describe('the unit in the head of the view', () => {
  const unit = (kind: 'system' | 'user'): StatusLayout['unit'] => ({ name: 'conmgr@app1.service', kind });

  it('is named when there is one', () => {
    assert.match(view(statusOf(), { unit: unit('system') }), /^Unit: {9}conmgr@app1\.service\nProcess: /m);
    assert.doesNotMatch(view(statusOf()), /^Unit:/m);
  });

  it("is said to be the user's own when it is", () => {
    assert.match(
      view(statusOf(), { unit: unit('user') }),
      /^Unit: {9}conmgr@app1\.service of the user's service manager$/m,
    );
  });
});

describe('cm_ctl status --json', () => {
  it('leaves out what was not asked for', () => {
    const report = statusOf({ applications: [applicationStatus()] });
    const own = { unit: null, manager: 'none' };
    assert.deepEqual(selectStatus(report, 'all', undefined), { ...report, ...own });
    const { applications, ...withoutApplications } = report;
    assert.equal(applications.length, 1);
    assert.deepEqual(selectStatus(report, 'instance', undefined), { ...withoutApplications, ...own });
    assert.equal('instances' in selectStatus(report, 'application', undefined), false);
  });

  it('names the service and whose manager runs it', () => {
    const { unit, manager } = selectStatus(statusOf(), 'all', { name: 'conmgr@app1.service', kind: 'user' });
    assert.deepEqual({ unit, manager }, { unit: 'conmgr@app1.service', manager: 'user' });
  });
});

describe('what start waits for', () => {
  const down = unreachedStatus({ number: 1 });

  it("is the primary's link, whatever the others do", () => {
    assert.equal(isReached(statusOf({ instances: [instanceStatus(), down] }), false), true);
    assert.equal(isReached(statusOf({ instances: [standbyStatus(), down] }), false), false);
  });

  it('is not a primary that is still starting', () => {
    assert.equal(isReached(statusOf({ instances: [instanceStatus({ state: 'starting' })] }), false), false);
  });

  it('is not a primary that is only remembered', () => {
    const remembered = instanceStatus({ stale: true, link: { phase: 'waiting' } });
    assert.equal(isReached(statusOf({ instances: [remembered] }), false), false);
  });

  it('is all links with --complete, whatever their instances are', () => {
    const standbys = [standbyStatus({ number: 0 }), standbyStatus({ state: 'down' })];
    assert.equal(isReached(statusOf({ instances: standbys }), true), true);
    assert.equal(isReached(statusOf({ instances: [instanceStatus(), down] }), true), false);
  });

  it('is told of each instance when it was waited for in vain', () => {
    const text = describeInstances(statusOf({ instances: [standbyStatus(), down] }));
    assert.equal(
      text,
      'instance 1 (db2:5432): link up, up, standby\ninstance 1 (db1:5432): no link (connection refused)',
    );
  });

  it('shows under guard how many connections each instance has, and which way each listener goes and why', () => {
    const kernel: StatusReport['kernel'] = {
      helper: '',
      guard: { wanted: true, problem: '' },
      connections: [
        { instance: 0, count: 12 },
        { instance: 1, count: 1 },
      ],
      listeners: [
        { port: 27547, target: 'primary', via: 'redirect', reason: '', instances: [0], connections: 5 },
        { port: 27548, target: 'standby', via: 'redirect', reason: '', instances: [], connections: null },
        { port: 27549, target: 'any', via: 'gateway', reason: 'no helper', instances: [], connections: null },
      ],
    };
    const lines = [
      'Guard:        on, 12 connections to instance 0, 1 connection to instance 1',
      'Listeners:    27547 (primary): redirect to instance 0, 5 connections',
      '              27548 (standby): redirect to no instance',
      '              27549 (any): gateway, no helper',
    ].join('\n');
    assert.ok(view(statusOf({ kernel })).includes(`Applications: 0\n${lines}\nDescriptors:`));
    assert.equal(
      view(statusOf({ kernel }), { show: 'application' }),
      `No application is attached.\n\n${lines}`,
    );
    const broken = { ...kernel, guard: { wanted: true, problem: 'gone' } };
    assert.ok(view(statusOf({ kernel: broken })).includes('\nGuard:        not possible: gone\n'));
    const off = { ...kernel, guard: { wanted: false, problem: '' }, listeners: [] };
    assert.ok(!/Guard|Listeners/.test(view(statusOf({ kernel: off }))));
    assert.equal(selectStatus(statusOf({ kernel }), 'application', undefined).kernel, kernel);
    assert.equal(selectStatus(statusOf({ kernel }), 'instance', undefined).kernel, undefined);
  });
});
