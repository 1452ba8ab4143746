import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { Adapter } from './harness/adapter.js';
import { chosenDrivers } from './harness/drivers.js';
import { Scene } from './harness/scene.js';
import { CONMGR_PORT, PORTS, WAYS } from './harness/ways.js';

/** What the first column of the first row is. */
const SUBJECTS: Readonly<Record<string, RegExp>> = {
  instances: /^0$/,
  applications: /^\d+$/,
  listeners: /^27546$/,
  config: /^\w+$/,
  version: /^conmgr \d/,
};

describe("conmgr's console", { concurrency: 2 }, () => {
  let scene: Scene;
  let application: pg.Client;
  before(async () => {
    scene = await Scene.start(WAYS[0]!);
    application = new pg.Client({ host: 'localhost', port: PORTS.primary, user: 'postgres' });
    await application.connect();
  });
  after(async () => {
    await application?.end();
    await scene?.end();
  });

  for (const driver of chosenDrivers().filter(({ without }) => without.console === undefined)) {
    it(`shows each of its tables to ${driver.title}, and changes nothing`, async () => {
      const adapter = await Adapter.start(driver, scene.within);
      try {
        const places = [{ host: 'localhost', port: CONMGR_PORT }];
        await adapter.connect(driver.connection({ places, user: 'nobody', database: 'conmgr', tls: 'off' }));
        for (const [subject, first] of Object.entries(SUBJECTS)) {
          assert.match((await adapter.does('query', `show ${subject}`)).split('|')[0] ?? '', first, subject);
        }
        const { error } = await adapter.fails('query', 'drop table instances');
        assert.match(error, /this is the console of conmgr and no database|only SHOW/);
      } finally {
        await adapter.end();
      }
    });
  }
});
