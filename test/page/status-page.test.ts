import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CONMGR_MESSAGES } from '../../src/core/messages/conmgr.js';
import { EventLog } from '../../src/core/status/event-log.js';
import { watchdogPage } from '../../src/core/status/watchdog-page.js';
import { systemClock } from '../../src/io/clock.js';
import { StatusServer } from '../../src/io/status-server.js';
import { ConmgrProcess } from '../support/conmgr-process.js';
import { freePort } from '../support/free-ports.js';
import { ScriptedWatchdog, STANDBY } from '../support/scripted-watchdog.js';
import { NOW } from '../support/status-report.js';
import { watchdogStatus } from '../support/watchdog-status.js';
import { Browser, type View } from './harness/browser.js';
import { TOO_FAINT } from './harness/contrast.js';

const VIEWS: readonly (View & { readonly name: string })[] = (['light', 'dark'] as const).flatMap(
  (scheme) => [
    { name: `${scheme}-phone`, scheme, width: 390, height: 844 },
    { name: `${scheme}-desk`, scheme, width: 1200, height: 900 },
  ],
);

let browser: Browser;
const ends: (() => unknown)[] = [];
before(async () => {
  browser = await Browser.start();
  ends.push(() => browser.close());
});
after(async () => {
  for (const end of ends.reverse()) await end();
});

interface Scene {
  readonly conmgr: ConmgrProcess;
  readonly primary: ScriptedWatchdog;
  readonly url: string;
}

/** A conmgr with a primary, a standby, a server that nobody can reach, and sessions. */
async function scene(): Promise<Scene> {
  const [primary, standby, port, nowhere] = await Promise.all([
    ScriptedWatchdog.start(),
    ScriptedWatchdog.start({ attributes: STANDBY }),
    freePort(),
    freePort(),
  ]);
  const places = [primary.port, standby.port, nowhere].map((one) => ({
    backendPort: one,
    watchdogPort: one,
  }));
  const conmgr = await ConmgrProcess.start({ instances: places, settings: { status_port: port } });
  ends.push(
    () => primary.stop(),
    () => standby.stop(),
    () => conmgr.stop('SIGQUIT'),
  );
  await conmgr.until('two links are up', ({ instances }) =>
    instances.slice(0, 2).every(({ link, state }) => link.phase === 'up' && state === 'up'),
  );
  await conmgr.bound({ app: 'orders', target: 'primary' });
  await conmgr.bound({
    app: 'a-report-with-a-rather-long-name-that-has-no-blank-to-break-it-at',
    target: 'standby',
  });
  return { conmgr, primary, url: `http://localhost:${port}/` };
}

/** The page of a watchdog, its texts as long as they come. */
async function watchdogScene(): Promise<string> {
  const port = await freePort();
  const log = new EventLog([CONMGR_MESSAGES]);
  log.record(
    CONMGR_MESSAGES.instanceLost,
    {
      ...{ instance: 0, host: 'db1', port: 5432, sessions: 12 },
      ...{ reason: 'heartbeat timeout', text: 'no packet for 20 s' },
    },
    NOW - 5000,
  );
  const loss = {
    ...{ address: '2001:db8::1234:5678:9abc:def0', conmgrId: 'bb', departure: 'closed', phase: 'grace' },
    ...{ text: 'connection reset by peer', lostAt: NOW - 2000, dueInMs: 8000, ended: 3, waiting: 1 },
  };
  const status = watchdogStatus({ label: `app1.example.com:/srv/${'long'.repeat(20)}` }, { losses: [loss] });
  const server = await StatusServer.open({
    port,
    clock: systemClock,
    take: async () => ({
      metrics: () => '',
      status: () => '',
      page: () => watchdogPage(status, log.recent(NOW)),
    }),
  });
  assert.ok(server instanceof StatusServer);
  ends.push(() => server.close());
  return `http://localhost:${port}/`;
}

/** That a page fits its window, can be read, complains of nothing and asks nobody else. */
async function assertSound(
  url: string,
  view: View,
  name: string,
  ...shown: readonly RegExp[]
): Promise<void> {
  const page = await browser.open(url, view);
  const text = await page.text();
  for (const pattern of shown) assert.match(text, pattern);
  const width = await page.evaluate<number>('document.documentElement.scrollWidth');
  assert.ok(width <= view.width, `it is ${width} px wide and scrolls sideways`);
  assert.deepEqual(await page.evaluate(TOO_FAINT), []);
  const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
  const light = Number(/\d+/.exec(ground)?.[0]) > 127;
  assert.equal(light, view.scheme === 'light');
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(
    page.requests.filter((one) => !one.startsWith(url)),
    [],
  );
  await page.picture(name);
}

describe('the page of conmgr in a browser', () => {
  let set: Scene;
  before(async () => {
    set = await scene();
  });

  for (const view of VIEWS) {
    it(`fits and can be read: ${view.name}`, () =>
      assertSound(
        set.url,
        view,
        `conmgr-${view.name}`,
        /The primary is 127\.0\.0\.1:\d+; trouble with 1 instance/,
        /link up last packet \d\.\d s ago/,
        /connection refused/,
        /orders/,
        /could not set up link to instance 2/,
      ));
  }

  it('follows what happens, by itself, and says when nobody answers any more', async () => {
    const page = await browser.open(set.url, VIEWS[0]!);
    assert.match(await page.text(), /The primary is/);
    await set.primary.stop();
    await page.shows(/There is no primary/);
    assert.deepEqual(page.complaints, []);
    await set.conmgr.stop('SIGQUIT');
    await page.shows(/No answer: the picture above is an old one/);
    await page.picture('conmgr-unanswered');
    assert.deepEqual(
      page.requests.filter((one) => !one.startsWith(set.url)),
      [],
    );
  });
});

describe('the page of the watchdog in a browser', () => {
  let url: string;
  before(async () => {
    url = await watchdogScene();
  });

  for (const view of VIEWS) {
    it(`fits and can be read: ${view.name}`, () =>
      assertSound(
        url,
        view,
        `watchdog-${view.name}`,
        /The instance is up, primary/,
        /last packet 0\.7 s ago/,
        /Lost client hosts/,
        /connection reset by peer/,
      ));
  }
});

it('the policy of the pages keeps a script from elsewhere from running', async () => {
  const page = await browser.open(await watchdogScene(), VIEWS[0]!);
  const ran = await page.evaluate<string>(`new Promise((done) => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective }) => done(violatedDirective));
    const script = document.createElement('script');
    script.textContent = 'document.title = "ran"';
    document.body.append(script);
  })`);
  assert.match(ran, /^script-src/);
  assert.notEqual(await page.evaluate('document.title'), 'ran');
});
