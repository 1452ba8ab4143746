import assert from 'node:assert/strict';
import { chmodSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { startCommand } from '../support/running.js';
import { callHelper } from './caller.js';
import { setUpNetwork, socketPath, startHelper, targetLists } from './place.js';

/** What a user gets for one line at a socket; `within` stands before the program. */
async function sayAs(
  uid: number,
  path: string,
  line: string,
  within: readonly string[] = [],
): Promise<string> {
  const program = `const s = require('node:net').connect(process.argv[1]); s.end(process.argv[2] + '\\n');
    s.on('data', (d) => process.stdout.write(d)); s.on('error', (e) => process.stdout.write(e.code));`;
  const { stdout } = await startCommand('setpriv', [
    ...['--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--inh-caps', '-all', '--'],
    ...[...within, process.execPath, '-e', program, path, line],
  ]).done;
  return stdout;
}

describe('conmgr-helper', () => {
  before(() => setUpNetwork());

  it('says what is missing, with the cure, and ends with 78 when it can do nothing', async () => {
    const { code, stderr } = await startHelper(['--socket', socketPath(), '--pins', '/nowhere'], '').done;
    assert.equal(code, 78);
    assert.match(
      stderr,
      /WARNING: {2}sockets cannot be ended: could not end a socket: operation not permitted/,
    );
    assert.match(stderr, /HINT: {2}The helper needs CAP_NET_ADMIN: start it by conmgr-helper\.service/);
    assert.match(stderr, /connections cannot be redirected: .*no such file/);
    assert.match(stderr, /HINT: {2}Start the unit that loads the programs: systemctl start conmgr-redirect/);
    assert.match(stderr, /FATAL: {2}neither guard nor redirect is possible/);
  });

  it('does not take the capability over another user namespace for one over this network', async () => {
    // The capability of another user namespace does not reach the network of this one.
    const { code, stderr } = await startCommand('unshare', [
      ...['--user', '--map-root-user', '--', process.execPath],
      ...[join(process.cwd(), 'dist/bin/conmgr-helper.js'), '--socket', socketPath(), '--pins', '/nowhere'],
    ]).done;
    assert.equal(code, 78);
    assert.match(stderr, /sockets cannot be ended: could not end a socket: operation not permitted/);
  });

  it('is closed to users outside of its group, and to those that no list names', async () => {
    const path = socketPath();
    const helper = startHelper(['--socket', path, '--targets', targetLists('user 0\ntarget 127.0.0.1 9\n')]);
    (await callHelper(path)).close();
    assert.equal((statSync(path).mode & 0o777).toString(8), '660');
    assert.equal(await sayAs(1234, path, '{"id":1,"do":"clear"}'), 'EACCES');
    // Whoever gets past the mode is still not in a list.
    chmodSync(path, 0o666);
    assert.match(
      await sayAs(1234, path, '{"id":1,"do":"clear"}'),
      /"ok":false,"error":"no list in .* names user 1234"/,
    );
    helper.kill();
    const { stderr } = await helper.done;
    assert.match(stderr, /WARNING: {2}refused connection of user 1234 \(PID \d+\)/);
  });

  it('knows a user by the number that the host has for it, whoever it is in a namespace of its own', async () => {
    const path = socketPath();
    const helper = startHelper(['--socket', path, '--targets', targetLists('user 0\nuser 4321\n')]);
    (await callHelper(path)).close();
    chmodSync(path, 0o666);
    const asRoot = ['unshare', '--user', '--map-root-user', '--net', '--'];
    assert.match(await sayAs(1234, path, '{"id":1,"do":"clear"}', asRoot), /"no list in .* names user 1234"/);
    assert.equal(await sayAs(4321, path, '{"id":1,"do":"clear"}', asRoot), '{"id":1,"ok":true}\n');
    helper.kill();
    await helper.done;
  });

  it('does nothing for addresses outside of the list, and for lists that others can write', async () => {
    const path = socketPath();
    const targets = targetLists('user 0\ntarget 127.0.0.1 9\n');
    const helper = startHelper(['--socket', path, '--targets', targets]);
    const caller = await callHelper(path);
    const kill = await caller.ask({ do: 'kill', target: ['127.0.0.2', 9] });
    assert.deepEqual(kill, { ok: false, error: 'not allowed: 127.0.0.2:9' });
    chmodSync(join(targets, 'test.conf'), 0o666);
    const next = await callHelper(path);
    assert.match(String((await next.ask({ do: 'clear' }))['error']), /no list in/);
    helper.kill();
    const { stderr } = await helper.done;
    assert.match(stderr, /list of targets ".*test\.conf" allows nothing: can be written by others/);
    caller.close();
  });

  it('takes its socket over from a helper that was killed', async () => {
    const path = socketPath();
    const args = ['--socket', path, '--targets', targetLists('user 0\n')];
    const first = startHelper(args);
    (await callHelper(path)).close();
    first.kill('SIGKILL');
    await first.done;
    const second = startHelper(args);
    await second.waitForLine(/starting conmgr-helper/);
    const caller = await callHelper(path);
    assert.deepEqual(await caller.ask({ do: 'clear' }), { ok: true });
    caller.close();
    second.kill();
    assert.equal((await second.exit).code, 0);
  });

  it('ends at SIGTERM with a caller that never says anything', async () => {
    const path = socketPath();
    const helper = startHelper(['--socket', path, '--targets', targetLists('user 0\n')]);
    (await callHelper(path)).close();
    const idle = connect(path);
    idle.on('error', () => {});
    helper.kill();
    assert.equal((await helper.exit).code, 0);
    idle.destroy();
  });
});
