import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sampleConfig } from '../../../src/core/config/render.js';
import { runRegister } from '../../../src/ctl/register.js';
import { runUnregister } from '../../../src/ctl/unregister.js';
import { ACCOUNT, Host } from './registry-scene.js';

const USER = ACCOUNT?.name ?? userInfo().username;
const UID = ACCOUNT?.uid ?? userInfo().uid;

const register = (host: Host, ...words: string[]) => host.run(['register', ...words], runRegister);
const unregister = (host: Host, ...words: string[]) => host.run(['unregister', ...words], runUnregister);

describe('cm_ctl register', () => {
  it('makes a directory of the user for a new name, and enables its unit with the target', async () => {
    const host = new Host();
    const { status, stdout, stderr } = await register(host, '-N', 'my-app', '-U', USER);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    const unit = 'conmgr@my\\x2dapp.service';
    const directory = join(host.places.named, 'my-app');
    assert.match(stdout, new RegExp(`Now name the servers in\\n {4}${directory}/conmgr\\.conf\\n`));
    assert.deepEqual(host.calls(), ['daemon-reload', `enable conmgr.target ${unit}`]);
    const facts = statSync(directory);
    assert.deepEqual({ uid: facts.uid, mode: facts.mode & 0o777 }, { uid: UID, mode: 0o700 });
    assert.equal(statSync(join(directory, 'conmgr.conf')).uid, UID);
    assert.equal(readFileSync(join(directory, 'conmgr.conf'), 'utf8'), sampleConfig());
    assert.match(host.dropIn(unit, '50-cm_ctl.conf') ?? '', new RegExp(`\\nUser=${USER}\\n$`));
    assert.equal(statSync(join(host.places.units, `${unit}.d`)).mode & 0o777, 0o755);
  });

  it('changes nothing the second time, and says so', async () => {
    const host = new Host();
    const directory = host.directory('app1');
    await register(host, '-N', 'app1', '-D', directory);
    host.calls();
    for (const words of [
      ['-N', 'app1', '-D', directory],
      ['-N', 'app1'],
      ['-D', directory],
      ['-D', join(host.places.named, 'app1')],
      ['-D', directory, '-U', USER],
    ]) {
      const { status, stdout } = await register(host, ...words);
      assert.equal(status, 0);
      assert.match(stdout, /^conmgr@app1\.service is registered already with systemd; nothing was changed\n/);
      assert.deepEqual(host.calls(), []);
    }
  });

  it('links a directory elsewhere to its name, and lets the unit write there', async () => {
    const host = new Host();
    const directory = host.directory('my app');
    const { status, stdout } = await register(host, '-N', 'app1', '-D', directory);
    assert.equal(status, 0);
    assert.equal(readlinkSync(join(host.places.named, 'app1')), directory);
    assert.match(
      host.dropIn('conmgr@app1.service', '50-cm_ctl.conf') ?? '',
      new RegExp(`\\nReadWritePaths="-${directory}"\\n`),
    );
    assert.match(stdout, new RegExp(`\\nStart it with:\\n {4}cm_ctl start -D '${directory}'\\n$`));
  });

  it('makes nothing for a unit that is masked, or when the target of all is', async () => {
    for (const masked of ['conmgr@app1.service', 'conmgr.target', 'conmgr@x.service']) {
      const host = new Host();
      host.set(`masked-${masked}`);
      if (masked === 'conmgr@x.service') host.set('no-template');
      const { status, stderr } = await register(host, '-N', 'app1', '-U', USER);
      assert.equal(status, 1);
      assert.match(stderr, /unit "conmgr(@app1|@)?\.(service|target)" is masked\nHINT: +"systemctl unmask /);
      assert.deepEqual(host.calls(), []);
      assert.ok(!existsSync(join(host.places.named, 'app1')));
    }
  });

  it('names the unit after the path without a name', async () => {
    const host = new Host();
    const directory = host.directory('app1');
    assert.equal((await register(host, '-D', directory)).status, 0);
    const unit = `conmgr@${directory.slice(1).replaceAll('-', '\\x2d').replaceAll('/', '-')}.service`;
    assert.ok(host.isEnabled(unit));
    assert.doesNotMatch(host.dropIn(unit, '50-cm_ctl.conf') ?? '', /ReadWritePaths/);
  });

  it('warns of a low limit with figure, formula and command, and writes it only when asked', async () => {
    const host = new Host();
    const directory = host.directory('app1', 'backend_host0 = 127.0.0.1\nmax_connections = 30000\n');
    const { status, stderr } = await register(host, '-N', 'app1', '-D', directory);
    assert.equal(status, 0);
    assert.equal(
      stderr,
      'cm_ctl: warning: limit of 20000 open files of conmgr@app1.service is too low: at least 30011 are needed\n' +
        'DETAIL:  9 + 2 x 1 instances + 30000 max_connections = 30011.\n' +
        `HINT:  Use: cm_ctl register -D ${directory} --write-limits\n`,
    );
    assert.equal(host.dropIn('conmgr@app1.service', '51-cm_ctl-limits.conf'), undefined);
    assert.equal((await register(host, '-D', directory, '--write-limits')).stderr, '');
    assert.match(host.dropIn('conmgr@app1.service', '51-cm_ctl-limits.conf') ?? '', /\nLimitNOFILE=30011\n$/);
    assert.equal((await register(host, '-D', directory)).stderr, '');
  });

  it('takes the limit away again when the template suffices, and only with --write-limits', async () => {
    const host = new Host();
    const directory = host.directory('app1', 'backend_host0 = 127.0.0.1\nmax_connections = 30000\n');
    await register(host, '-N', 'app1', '-D', directory, '--write-limits');
    writeFileSync(join(directory, 'conmgr.conf'), 'backend_host0 = 127.0.0.1\n');
    await register(host, '-D', directory);
    assert.ok(host.dropIn('conmgr@app1.service', '51-cm_ctl-limits.conf'));
    await register(host, '-D', directory, '--write-limits');
    assert.equal(host.dropIn('conmgr@app1.service', '51-cm_ctl-limits.conf'), undefined);
  });

  it("tells that an administrator's drop-in has the last word about the limit", async () => {
    const host = new Host();
    const directory = host.directory('app1', 'backend_host0 = 127.0.0.1\nmax_connections = 30000\n');
    const folder = join(host.places.units, 'conmgr@app1.service.d');
    mkdirSync(folder);
    writeFileSync(join(folder, 'override.conf'), '[Service]\nLimitNOFILE=100\n');
    const { status, stderr } = await register(host, '-N', 'app1', '-D', directory, '--write-limits');
    assert.equal(status, 0);
    assert.match(
      stderr,
      /warning: limit of open files of conmgr@app1\.service stays 100, although 30011 was/,
    );
  });

  it('writes the limit that the template would give where a drop-in of somebody else takes it away', async () => {
    const host = new Host();
    const directory = host.directory('app1', 'backend_host0 = 127.0.0.1\nmax_connections = 1000\n');
    const folder = join(host.places.units, 'conmgr@app1.service.d');
    mkdirSync(folder);
    const writeLimits = () => register(host, '-N', 'app1', '-D', directory, '--write-limits');
    writeFileSync(join(folder, '10-site.conf'), '[Service]\nLimitNOFILE=300\n');
    host.daemonReload();
    assert.equal((await writeLimits()).stderr, '');
    assert.match(host.dropIn('conmgr@app1.service', '51-cm_ctl-limits.conf') ?? '', /\nLimitNOFILE=1011\n$/);
    const again = await writeLimits();
    assert.equal(again.stderr, '');
    assert.match(again.stdout, /nothing was changed/);
    assert.ok(host.dropIn('conmgr@app1.service', '51-cm_ctl-limits.conf'));
    writeFileSync(join(folder, 'override.conf'), '[Service]\nLimitNOFILE=300\n');
    host.daemonReload();
    const overruled = await writeLimits();
    assert.match(overruled.stderr, /conmgr@app1\.service stays 300, although 1011 was written/);
  });

  it('overwrites no file of somebody else, and makes nothing then', async () => {
    const host = new Host();
    const folder = join(host.places.units, 'conmgr@app1.service.d');
    mkdirSync(folder);
    writeFileSync(join(folder, '50-cm_ctl.conf'), '[Service]\n');
    const { status, stderr } = await register(host, '-N', 'app1', '-U', USER);
    assert.equal(status, 1);
    assert.match(stderr, /50-cm_ctl\.conf" was not written by cm_ctl/);
    assert.ok(!existsSync(join(host.places.named, 'app1')));
    assert.deepEqual(host.calls(), []);
  });

  it('tells all errors of conmgr.conf and ends with 78', async () => {
    const host = new Host();
    const directory = host.directory('app1', 'nonsense = 1\n');
    const { status, stderr } = await register(host, '-N', 'app1', '-D', directory);
    assert.equal(status, 78);
    assert.match(stderr, /DETAIL: {2}conmgr\.conf:1: .*nonsense.*\n\tconmgr\.conf:1: at least one instance/);
    assert.deepEqual(readdirSync(host.places.units), []);
    assert.ok(!existsSync(join(host.places.named, 'app1')));
  });

  it('lets one directory have one unit', async () => {
    const host = new Host();
    const directory = host.directory('app1');
    await register(host, '-N', 'one', '-D', directory);
    const { status, stderr } = await register(host, '-N', 'two', '-D', directory);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /is registered as conmgr@one\.service already\nHINT: {2}Use first: cm_ctl unregister -D /,
    );
    assert.ok(!existsSync(join(host.places.named, 'two')));
  });

  it('refuses what can never run', async () => {
    const host = new Host();
    host.directory('app1');
    const other = host.directory('other');
    await register(host, '-N', 'app1', '-D', join(host.home, 'app1'));
    const table: readonly (readonly [string, number, RegExp])[] = [
      ['-N app1 -D other', 1, /instance name "app1" is taken: ".*" leads to ".*\/app1"/],
      ['-N .x -U me', 2, /invalid instance name: "\.x"/],
      ['-N new', 2, /does not exist, and no user was named/],
      ['-N new -U no_such_user_here', 1, /user "no_such_user_here" does not exist/],
      ['-N new -U root', 1, /conmgr does not run as root/],
      ['-N new -U me --manager none', 2, /is registered with the service manager of the host or/],
      ['-D missing', 1, /directory ".*" does not exist/],
      ['-D /tmp', 78, /"\/tmp" cannot be used by a systemd unit/],
      [
        '-D /usr',
        78,
        /"\/usr" cannot be named by a unit: it lies directly below \/\nHINT: {2}Give .* -N NAME/,
      ],
      ['-D / -N new', 78, /"\/" cannot be named by a unit: it is the root/],
    ];
    for (const [line, status, pattern] of table) {
      const words = line
        .split(' ')
        .map((word) => ({ me: USER, other, missing: join(host.home, 'missing') })[word] ?? word);
      const result = await register(host, ...words);
      assert.match(result.stderr, pattern);
      assert.equal(result.status, status, line);
    }
    assert.ok(!existsSync(join(host.places.named, 'new')));
  });

  it('refuses a directory of root, or of another user, and names the cure', async () => {
    const host = new Host();
    const ofRoot = await register(host, '-D', '/usr/share');
    assert.equal(ofRoot.status, 1);
    assert.match(ofRoot.stderr, /HINT: .*: chown -R conmgr: \/usr\/share\n$/);
    const other = USER === 'daemon' ? 'bin' : 'daemon';
    const { status, stderr } = await register(host, '-D', host.directory('app1'), '-U', other);
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`belongs to user ${USER}, not to ${other}\\nHINT: {2}Leave -U out`));
  });

  it('needs systemd and the template', async () => {
    const host = new Host();
    const directory = host.directory('app1');
    const places = { ...host.places, booted: join(host.home, 'nowhere') };
    const { status, stderr } = await host.run(['register', '-D', directory], runRegister, { places });
    assert.equal(status, 1);
    assert.match(stderr, /this host does not run systemd\nHINT: {2}"cm_ctl start"/);
    host.set('no-template');
    assert.match((await register(host, '-D', directory)).stderr, /has no unit "conmgr@\.service"/);
  });

  it('tells somebody who is not root the command', async () => {
    const host = new Host();
    const line = ['register', '-N', 'app1', '-U', 'alice', '--write-limits', '--manager', 'system'];
    const places = { ...host.places, units: join(host.home, 'nowhere') };
    const { status, stderr } = await host.run(line, runRegister, { uid: 1000, places });
    assert.equal(status, 1);
    assert.match(stderr, /HINT: {2}Use: sudo cm_ctl register -N app1 -U alice --write-limits\n$/);
  });
});

describe('cm_ctl unregister', () => {
  it('takes away what register made, and leaves the directory', async () => {
    const host = new Host();
    const directory = host.directory('app1', 'backend_host0 = 127.0.0.1\nmax_connections = 30000\n');
    await register(host, '-N', 'app1', '-D', directory, '--write-limits');
    host.calls();
    const { status, stdout, stderr } = await unregister(host, '-N', 'app1');
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.match(stdout, new RegExp(`\\nDirectory ${directory} stays as it is\\.\\n$`));
    assert.deepEqual(host.calls(), ['disable conmgr@app1.service', 'daemon-reload']);
    assert.deepEqual(readdirSync(host.places.units), []);
    assert.deepEqual(readdirSync(host.places.named), []);
    assert.ok(existsSync(join(directory, 'conmgr.conf')));
  });

  it('finds the unit of a directory, also of one that is gone', async () => {
    const host = new Host();
    const directory = host.directory('app1');
    await register(host, '-N', 'app1', '-D', directory);
    rmSync(directory, { recursive: true });
    assert.equal((await unregister(host, '-D', directory)).status, 0);
    assert.ok(!host.isEnabled('conmgr@app1.service'));
    assert.deepEqual(readdirSync(host.places.named), []);
  });

  it('stops nothing, and says how to; keeps the files of others', async () => {
    const host = new Host();
    const directory = host.directory('app1');
    await register(host, '-N', 'app1', '-D', directory);
    host.set('running-conmgr@app1.service');
    const own = join(host.places.units, 'conmgr@app1.service.d/override.conf');
    writeFileSync(own, '[Service]\n');
    const { status, stderr } = await unregister(host, '-D', directory);
    assert.equal(status, 0);
    assert.match(stderr, /were not written by cm_ctl and stay\nDETAIL: {2}override\.conf\n/);
    assert.match(
      stderr,
      new RegExp(`is still running\\nHINT: {2}To stop it: cm_ctl stop -D ${directory}\\n`),
    );
    assert.ok(existsSync(own));
  });

  it('fails for what is not registered', async () => {
    const host = new Host();
    const directory = host.directory('app1');
    assert.match((await unregister(host, '-N', 'app1')).stderr, /instance "app1" is not registered/);
    const { status, stderr } = await unregister(host, '-D', directory);
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`directory "${directory}" is not registered`));
  });
});
