import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { parseTargetList } from '../../../src/core/guard/target-list.js';
import { runRegister } from '../../../src/ctl/register.js';
import { runUnregister } from '../../../src/ctl/unregister.js';
import { ACCOUNT, Host } from './registry-scene.js';

const USER = ACCOUNT?.name ?? userInfo().username;
const SERVERS = `backend_host0 = 192.0.2.10
backend_port0 = 5432
backend_host1 = localhost
backend_port1 = 5433
backend_host2 = db2
backend_hostaddr2 = 2001:db8::1
backend_port2 = 5434
`;
const LISTENERS =
  'listener_port0 = 27547\nlistener_mode0 = redirect\nlistener_port1 = 27548\nlistener_mode1 = gateway\n';

const register = (host: Host, ...words: string[]) => host.run(['register', ...words], runRegister);
const unregister = (host: Host, ...words: string[]) => host.run(['unregister', ...words], runUnregister);
const listOf = (host: Host, name = 'app1'): string => join(host.places.lists ?? '', `${name}.conf`);

describe('the list of conmgr-helper that cm_ctl register writes', () => {
  it('has the user, the addresses of all servers, names resolved, and the listeners that may be redirected', async () => {
    const host = new Host();
    const directory = host.directory('app1', `${SERVERS}${LISTENERS}guard = on\n`);
    const { status, stdout, stderr } = await register(host, '-N', 'app1', '-D', directory);
    assert.equal(status, 0);
    const file = listOf(host);
    assert.match(stdout, new RegExp(`\\n {4}wrote ${file}\\n`));
    const list = parseTargetList(readFileSync(file, 'utf8'));
    assert.ok('users' in list);
    const targets = list.targets.map(({ range, port }) =>
      `${range.text} ${port}`.replace(/\/(32|128) /, ' '),
    );
    assert.deepEqual([list.users, list.listeners], [[USER], [27547]]);
    assert.ok(targets.includes('192.0.2.10 5432') && targets.includes('2001:db8::1 5434'), String(targets));
    assert.ok(
      targets.some((one) => /^(127\.0\.0\.1|::1) 5433$/.test(one)),
      String(targets),
    );
    assert.match(
      stderr,
      /asks for guard = on and listener_mode0 = redirect, and conmgr-helper does not run\nHINT: +Switch it on: systemctl enable --now conmgr-helper/,
    );
  });

  it('can be read by all and written by its owner alone, whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      const host = new Host();
      await register(host, '-N', 'app1', '-D', host.directory('app1', `${SERVERS}guard = on\n`));
      const modes = [listOf(host), dirname(listOf(host)), dirname(dirname(listOf(host)))].map((path) =>
        (statSync(path).mode & 0o777).toString(8),
      );
      assert.deepEqual(modes, ['644', '755', '755']);
    } finally {
      process.umask(before);
    }
  });

  it('follows conmgr.conf, and the helper is told', async () => {
    const host = new Host();
    const directory = host.directory('app1', `${SERVERS}guard = on\n`);
    await register(host, '-N', 'app1', '-D', directory);
    host.calls();
    host.set('running-conmgr-helper.service');
    writeFileSync(join(directory, 'conmgr.conf'), `${SERVERS}${LISTENERS}`);
    const { stdout, stderr } = await register(host, '-N', 'app1');
    assert.match(stdout, /wrote .*app1\.conf/);
    assert.doesNotMatch(stderr, /conmgr-helper/);
    assert.match(readFileSync(listOf(host), 'utf8'), /\nlistener 27547\n$/);
    assert.deepEqual(host.calls(), ['reload conmgr-helper.service']);
    assert.doesNotMatch((await register(host, '-N', 'app1')).stdout, /wrote/);
  });

  it('is not there where conmgr.conf wants nothing of the kernel, and goes when it no longer does', async () => {
    const host = new Host();
    const directory = host.directory('app1', SERVERS);
    await register(host, '-N', 'app1', '-D', directory);
    assert.ok(!existsSync(listOf(host)));
    writeFileSync(join(directory, 'conmgr.conf'), `${SERVERS}guard = on\n`);
    await register(host, '-N', 'app1');
    assert.ok(existsSync(listOf(host)));
    writeFileSync(join(directory, 'conmgr.conf'), SERVERS);
    assert.match((await register(host, '-N', 'app1')).stdout, /removed .*app1\.conf/);
    assert.ok(!existsSync(listOf(host)));
  });

  it('leaves out a name that is not known, and says so', async () => {
    const host = new Host();
    const text = 'backend_host0 = nowhere.invalid\nbackend_host1 = 192.0.2.1\nguard = on\n';
    const { status, stderr } = await register(host, '-N', 'app1', '-D', host.directory('app1', text));
    assert.equal(status, 0);
    assert.match(
      stderr,
      /warning: list of conmgr-helper has no address of one instance: could not resolve host name "nowhere\.invalid"/,
    );
    assert.match(readFileSync(listOf(host), 'utf8'), /\ntarget 192\.0\.2\.1 27500\n$/);
  });

  it("is not written over somebody else's, nor is that removed", async () => {
    const host = new Host();
    mkdirSync(dirname(listOf(host)), { recursive: true });
    writeFileSync(listOf(host), 'user app\n');
    const directory = host.directory('app1', `${SERVERS}guard = on\n`);
    const { status, stderr } = await register(host, '-N', 'app1', '-D', directory);
    assert.equal(status, 0);
    assert.match(stderr, /app1\.conf" was not written by cm_ctl, and stays as it is/);
    await unregister(host, '-N', 'app1');
    assert.equal(readFileSync(listOf(host), 'utf8'), 'user app\n');
  });

  it('is removed by unregister', async () => {
    const host = new Host();
    await register(host, '-N', 'app1', '-D', host.directory('app1', `${SERVERS}guard = on\n`));
    const { stdout } = await unregister(host, '-N', 'app1');
    assert.match(stdout, /removed .*app1\.conf/);
    assert.ok(!existsSync(listOf(host)));
  });
});
