import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CONMGR_MESSAGES } from '../../../../src/core/messages/conmgr.js';
import { conmgrPage } from '../../../../src/core/status/conmgr-page.js';
import { EventLog } from '../../../../src/core/status/event-log.js';
import { PAGE_SCRIPT, PAGE_STYLE } from '../../../../src/core/status/page-assets.js';
import { watchdogPage } from '../../../../src/core/status/watchdog-page.js';
import {
  applicationStatus,
  instanceStatus,
  NOW,
  statusOf,
  unreachedStatus,
} from '../../../support/status-report.js';
import { watchdogStatus } from '../../../support/watchdog-status.js';

const EVIL = `<script>alert("x")</script>' onload=x`;
const textOf = (page: string): string => page.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');

describe('the page of conmgr', () => {
  it('shows each instance with role, link and age of the last packet', () => {
    const text = textOf(conmgrPage(statusOf(), []));
    assert.match(text, /The primary is db1:5432/);
    assert.match(
      text,
      /link up last packet 0\.4 s ago round trip 0\.41 ms not protected 0: db1:5432 up primary/,
    );
    assert.match(text, /1: db2:5432 up standby .* lag 16 kB/);
  });

  it('says that there is no primary, and why a link is down', () => {
    const text = textOf(conmgrPage(statusOf({ primary: null, instances: [unreachedStatus()] }), []));
    assert.match(text, /There is no primary/);
    assert.match(text, /link waiting connection refused/);
  });

  it('names the trouble of an instance in its summary', () => {
    const text = textOf(
      conmgrPage(statusOf({ instances: [instanceStatus(), unreachedStatus({ number: 1 })] }), []),
    );
    assert.match(text, /The primary is db1:5432; trouble with 1 instance/);
  });

  it('lists 100 sessions and counts the others', () => {
    const applications = Array.from({ length: 250 }, (_, id) =>
      applicationStatus({ id, application: `app${id};` }),
    );
    const page = conmgrPage(statusOf({ applications }), []);
    assert.equal(page.match(/data-title="application"/g)?.length, 100);
    assert.match(page, /and 150 older ones/);
    assert.match(page, /app249;/);
    assert.doesNotMatch(page, /app149;/);
  });

  it('escapes whatever comes from outside', () => {
    const log = new EventLog([CONMGR_MESSAGES]);
    log.record(CONMGR_MESSAGES.cannotListen, { port: 1, reason: EVIL }, NOW);
    const report = statusOf({
      directory: EVIL,
      instances: [instanceStatus({ host: EVIL, reason: EVIL }), unreachedStatus({ link: { failure: EVIL } })],
      applications: [applicationStatus({ application: EVIL, program: EVIL, user: EVIL })],
      lastReload: { at: NOW, problems: [EVIL] },
    });
    const page = conmgrPage(report, log.recent(NOW));
    assert.equal(page.match(/<script/g)?.length, 1);
    assert.equal(page.match(/&lt;script&gt;/g)!.length > 6, true);
    assert.doesNotMatch(page, /' onload/);
  });
});

describe('the page of the watchdog', () => {
  it('shows the instance, the conmgr at the other end of each link, and what it may not end', () => {
    const text = textOf(watchdogPage(watchdogStatus(), []));
    assert.match(text, /The instance is up, primary/);
    assert.match(
      text,
      /link up last packet 0\.7 s ago round trip 0\.40 ms protected by a certificate app1:\/srv\/app address 192\.0\.2\.9/,
    );
    assert.match(text, /ended so far 5 sessions Not ended look sessions of other roles/);
  });

  it('says that the terminator is paused, that the port is closed, that the instance is down', () => {
    const { terminator, instance } = watchdogStatus();
    const summary = (changes: Parameters<typeof watchdogStatus>[1]) =>
      /class="summary \w+">([^<]*)/.exec(watchdogPage(watchdogStatus({}, changes), []))?.[1];
    assert.equal(
      summary({ terminator: { ...terminator, paused: true } }),
      'The instance is up, primary; the terminator is paused',
    );
    assert.equal(
      summary({ port: 0, closed: 'x' }),
      'The instance is up, primary; the heartbeat port is closed',
    );
    assert.equal(
      summary({ instance: { ...instance, state: 'down', role: 'unknown' } }),
      'The instance is down',
    );
  });

  it('escapes whatever a conmgr calls itself', () => {
    const page = watchdogPage(watchdogStatus({ label: EVIL, software: EVIL, spared: EVIL }), []);
    assert.equal(page.match(/<script/g)?.length, 1);
  });
});

it('the pages have no inline style or script and name nothing of elsewhere', () => {
  for (const page of [conmgrPage(statusOf(), []), watchdogPage(watchdogStatus(), [])]) {
    assert.doesNotMatch(page, / style=|<style| on\w+=|<script>/);
    for (const [, url = ''] of page.matchAll(/(?:href|src)="([^"]*)"/g)) assert.match(url, /^\/(?!\/)/);
  }
  assert.doesNotMatch(PAGE_STYLE + PAGE_SCRIPT, /url\(|@import|\/\//);
});
