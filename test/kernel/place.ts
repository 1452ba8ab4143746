/**
 * Where the tests of the kernel parts happen: the runner has put the whole run into a network and a mount namespace of
 * its own. This sets up what every test file needs in there: a loopback interface, a network in which nobody answers, a
 * file system for pins, and a control group.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { findCgroup2 } from '../../src/io/redirect-programs.js';
import { isRunning } from '../support/processes.js';
import { built } from '../support/programs.js';
import { type Running, startCommand } from '../support/running.js';
import { inTree, temporaryDirectory } from '../support/tree.js';

/** An address whose network takes every packet and answers none, and its neighbour, which answers. */
export const SILENT = { ipv4: '192.0.2.9', ipv6: '2001:db8::9' };
export const ANSWERING = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' };

/** The unprivileged user that everything runs as that needs no right. */
export const NOBODY = 65_534;

const ip = (words: string): void => {
  execFileSync('ip', words.split(' '), { stdio: ['ignore', 'ignore', 'inherit'] });
};

/** Prepares the network; once for the run, whichever test file comes first. */
export function setUpNetwork(): void {
  // The scratch directory belongs to root; helpers of other users have their sockets below it.
  chmodSync(dirname(temporaryDirectory()), 0o711);
  if (existsSync('/sys/class/net/silent')) return;
  const names = execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' });
  if (names.includes('silent')) return;
  ip('link set lo up');
  ip('link add silent type veth peer name silent-end');
  ip('link set silent up');
  ip('link set silent-end up');
  const neighbour = execFileSync('ip', ['-o', 'link', 'show', 'silent-end'], { encoding: 'utf8' });
  const [, address = ''] = /link\/ether ([0-9a-f:]+)/.exec(neighbour) ?? [];
  for (const [own, silent, bits] of [
    [ANSWERING.ipv4, SILENT.ipv4, 24],
    [ANSWERING.ipv6, SILENT.ipv6, 64],
  ] as const) {
    ip(`addr add ${own}/${bits} dev silent${own.includes(':') ? ' nodad' : ''}`);
    ip(`neigh add ${silent} lladdr ${address} dev silent`);
  }
}

/** A mounted file system for pins, in which everybody may walk. */
export function pinFileSystem(): string {
  const mount = temporaryDirectory();
  chmodSync(mount, 0o711);
  execFileSync('mount', ['-t', 'bpf', '-o', 'mode=0711', 'bpf', mount]);
  return mount;
}

const groups: string[] = [];

function removeGroup(path: string): void {
  try {
    const above = join(dirname(path), 'cgroup.procs');
    for (const pid of readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) {
      writeFileSync(above, pid);
    }
    rmdirSync(path);
  } catch {
    // Something of the test still runs in it; an empty control group without programs harms nobody.
  }
}

const PREFIX = 'conmgr-test-';

/** Removes the groups of processes that were killed before they could do it, with whatever still runs in them. */
function sweepGroups(root: string): void {
  for (const name of readdirSync(root)) {
    const [, pid] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? [];
    if (pid === undefined || isRunning(Number(pid))) continue;
    const path = join(root, name);
    try {
      writeFileSync(join(path, 'cgroup.kill'), '1');
    } catch {
      // Linux before 5.14 has no such file.
    }
    removeGroup(path);
  }
}

/** A control group for the programs of this test file; removed when the file is done. */
export function controlGroup(name: string): { readonly path: string; run(command: string[]): string[] } {
  const root = findCgroup2();
  if (root === undefined) throw new Error('there are no control groups of version 2');
  if (groups.length === 0) {
    sweepGroups(root);
    process.on('exit', () => groups.forEach(removeGroup));
  }
  const path = join(root, `${PREFIX}${process.pid}-${name}`);
  mkdirSync(path);
  groups.push(path);
  return {
    path,
    run: (command) => ['sh', '-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', path, ...command],
  };
}

/** The program with its arguments, as a command. */
export function helperWords(...args: string[]): string[] {
  return [process.execPath, built('bin/conmgr-helper.js'), ...args];
}

/** The program, as root. */
export function helperCommand(...args: string[]): Running {
  const [command = '', ...words] = helperWords(...args);
  return startCommand(command, words);
}

/** Loads the redirect programs for a control group, or "none", as their unit does. Rejects with what it said. */
export async function loadPrograms(pins: string, cgroup: string): Promise<void> {
  const whose = ['--user', String(NOBODY), '--object', OBJECT];
  await succeeds(helperCommand('load', '--pins', pins, '--cgroup', cgroup, ...whose));
}

export async function unloadPrograms(pins: string, cgroup: string): Promise<void> {
  await succeeds(helperCommand('unload', '--pins', pins, '--cgroup', cgroup));
}

async function succeeds(command: Running): Promise<void> {
  const { code, stderr } = await command.done;
  assert.equal(code, 0, stderr);
}

/** The program as its unit starts it: an unprivileged user with these capabilities and no other; `within` stands before it. */
export function startHelper(
  args: readonly string[],
  capabilities = '+net_admin',
  within: readonly string[] = [],
): Running {
  const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--no-new-privs'];
  const none = ['--bounding-set', '-all', '--inh-caps', '-all'];
  const some = ['--bounding-set', `-all,${capabilities}`, '--inh-caps', capabilities];
  const rights = capabilities === '' ? none : [...some, '--ambient-caps', capabilities];
  const program = ['setpriv', ...user, ...rights, '--', ...helperWords(...args)];
  const [command = '', ...words] = [...within, ...program];
  return startCommand(command, words);
}

/** Runs a command as that user and without any right. */
export function unprivileged(user = NOBODY): string[] {
  const id = String(user);
  const rights = ['--clear-groups', '--no-new-privs', '--bounding-set', '-all', '--inh-caps', '-all'];
  return ['setpriv', '--reuid', id, '--regid', id, ...rights, '--'];
}

/** A directory of lists with one list; the same one again with another list. */
export function targetLists(text: string, folder = temporaryDirectory()): string {
  chmodSync(folder, 0o755);
  const file = join(folder, 'test.conf');
  writeFileSync(file, text);
  chmodSync(file, 0o644);
  return folder;
}

/** A directory in which the helper can make its socket. */
export function socketPath(): string {
  const folder = temporaryDirectory();
  chmodSync(folder, 0o777);
  return join(folder, 's');
}

/** The object of redirect programs. */
export const OBJECT = inTree('dist/bpf/redirect.bpf.o');
