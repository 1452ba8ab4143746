/** The whole product on one page: what every release of Node.js that conmgr supports has to pass. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from '../support/free-ports.js';
import { type Pair, startPair } from '../support/postgres.js';
import { built, type ProgramName, runProgram, startProgram } from '../support/programs.js';
import { type Running, startCommand } from '../support/running.js';
import { inTree, temporaryDirectory } from '../support/tree.js';

const PROGRAMS: readonly ProgramName[] = ['conmgr', 'conmgr-watchdog', 'cm_ctl', 'conmgr-helper'];

describe('the built programs', () => {
  const { version } = JSON.parse(readFileSync(inTree('package.json'), 'utf8')) as { version: string };

  for (const name of PROGRAMS) {
    it(`${name} starts as a command and tells its name and version`, async () => {
      const { code, stdout } = await startCommand(built(`bin/${name}`), ['--version']).done;
      assert.deepEqual({ code, stdout }, { code: 0, stdout: `${name} ${version}\n` });
    });

    it(`${name} explains itself on standard output`, async () => {
      const { code, stdout, stderr } = await runProgram(name, ['--help']);
      assert.equal(code, 0);
      assert.match(stdout, /^Usage:/m);
      assert.equal(stderr, '');
    });
  }

  it('load the native part that lies beside them', async () => {
    const text = `process.stdout.write(typeof require(${JSON.stringify(built('bin/koffi.node'))}).load)`;
    assert.equal((await startCommand(process.execPath, ['-e', text]).done).stdout, 'function');
  });
});

describe('a failover', () => {
  let pair: Pair;
  let conmgr: Running;
  let port: number;
  let directory: string;
  const programs: Running[] = [];

  before(async () => {
    const ports = [await freePort(), await freePort()] as const;
    pair = await startPair({ listen: ['127.0.0.1', '127.0.0.2'] });
    const servers = [pair.primary, pair.standby];
    port = await freePort();
    const lines = [`port = ${port}`, 'heartbeat_interval = 1', 'heartbeat_timeout = 3'];
    for (const [n, server] of servers.entries()) {
      await server.configure({ 'watchdog.port': String(ports[n]) });
      programs.push(startProgram('conmgr-watchdog', ['-D', server.dataDir], { env: { PGUSER: 'postgres' } }));
      lines.push(
        `backend_host${n} = ${server.host}`,
        `backend_port${n} = ${server.port}`,
        `watchdog_port${n} = ${ports[n]}`,
      );
    }
    directory = join(temporaryDirectory(), 'conmgr');
    await mkdir(directory, { mode: 0o700 });
    await writeFile(join(directory, 'conmgr.conf'), `${lines.join('\n')}\n`);
    conmgr = startProgram('conmgr', ['-D', directory]);
    programs.push(conmgr);
  });
  after(async () => {
    await Promise.all(programs.map((program) => program.stop('SIGKILL')));
    await pair.end();
  });

  it('is followed by an application that stays connected to conmgr', async () => {
    await conmgr.waitForLine(/primary is now instance 0/);
    const application = startCommand(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { CmClient } from 'conmgr/client';
         for (;;) {
           const client = new CmClient({ host: 'localhost', port: ${port}, user: 'postgres', database: 'postgres',
             target_session_attrs: 'primary' });
           const lost = new Promise((resolve) => client.on('error', resolve));
           try {
             await client.connect();
             const { rows } = await client.query("select current_setting('cluster_name') as name");
             console.log('at ' + rows[0].name);
           } catch (error) {
             await client.end().catch(() => {});
             await new Promise((resolve) => setTimeout(resolve, 20));
             continue;
           }
           console.log('lost with ' + (await lost).code);
         }`,
      ],
      { cwd: inTree('.') },
    );
    programs.push(application);
    await application.waitForLine(/^at primary$/);
    await pair.primary.stop('immediate');
    await application.waitForLine(/^lost with (08006|57P0\d)$/);
    await pair.standby.promote();
    await application.waitForLine(/^at standby$/);
    await conmgr.waitForLine(/primary is now instance 1/);
  });

  it('is what cm_ctl tells of afterwards', async () => {
    const { code, stdout, stderr } = await runProgram('cm_ctl', ['status', '-D', directory, '--json']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /"primary": ?1/);
  });

  it('ends with every program stopping at once and in order when asked', async () => {
    for (const program of programs.slice(0, 3)) {
      const { code, signal } = await program.stop('SIGTERM');
      assert.deepEqual({ code, signal }, { code: 0, signal: null }, program.stderr);
    }
  });
});
