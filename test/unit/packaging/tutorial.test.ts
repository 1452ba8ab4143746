import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { tutorialSteps } from '../../../packaging/manual/tutorial.js';
import { inTree } from '../../support/tree.js';

const page = [
  '.Ss First',
  '.\\" step 1 on db1 db2',
  '.Bd -literal -offset indent',
  'echo "',
  "a = 'b'",
  '" > x',
  '.Ed',
  '.\\" not typed',
  '.Bd -literal',
  'what is printed',
  '.Ed',
  '.\\" step 2 on app',
  '.Bd -literal',
  'cm_ctl list',
  '.Ed',
  '.\\" step 3 on app db1 as ann',
  '.Bd -literal',
  'cm_ctl stop',
  '.Ed',
  '.\\" step 4 on db1 as postgres until Ctrl-C',
  '.Bd -literal',
  'conmgr-watchdog',
  '.Ed',
  '',
].join('\n');

describe('the steps of a tutorial', () => {
  it('are the marked displays, with their hosts and users, in order', () => {
    const byRoot = { user: 'root', stays: false };
    assert.deepEqual(tutorialSteps(page), [
      { step: 1, hosts: ['db1', 'db2'], commands: 'echo "\na = \'b\'\n" > x\n', ...byRoot },
      { step: 2, hosts: ['app'], commands: 'cm_ctl list\n', ...byRoot },
      { step: 3, hosts: ['app', 'db1'], commands: 'cm_ctl stop\n', user: 'ann', stays: false },
      { step: 4, hosts: ['db1'], commands: 'conmgr-watchdog\n', user: 'postgres', stays: true },
    ]);
  });

  for (const [what, source] of Object.entries({
    'a step that is missing': page.replace('step 1 on', 'step 2 on'),
    'a step without hosts': page.replace('step 2 on app', 'step 2 on'),
    'a user without a name': page.replace('as ann', 'as'),
    'a name that no host has': page.replace('on app', 'on App'),
    'a step without a display': page.replace('.\\" step 2 on app\n', '.\\" step 2 on app\ntext\n'),
    'a display that is not marked': page.replace('.\\" not typed\n', ''),
    'a line of display that is not marked': page.replace('.Ss First', '.Dl cm_ctl list'),
    'a display without an end': page.replace(/\.Ed\n$/, ''),
  })) {
    it(`are refused with ${what}`, () => {
      assert.throws(() => tutorialSteps(source), /step/);
    });
  }
});

const shellUnderstands = (script: string): boolean =>
  spawnSync('sh', ['-n'], { input: script, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;

/** How often a shell in front of somebody who types these lines takes a command. */
function commandsIn(lines: string): number {
  let open = '';
  let commands = 0;
  for (const line of lines.trimEnd().split('\n')) {
    open += `${line}\n`;
    if (line.endsWith('\\') || !shellUnderstands(open)) continue;
    commands += 1;
    open = '';
  }
  return open === '' ? commands : Number.NaN;
}

describe('the tutorial of conmgr(7)', () => {
  const source = readFileSync(inTree('man/conmgr.7.in'), 'utf8');
  const steps = tutorialSteps(source);

  it('makes a pair in ten commands, on three hosts, and goes on with a failover', () => {
    const [pair = '', rest = ''] = source.split('.Sh FIRST SESSION');
    assert.match(pair, /^\.Sh TEN COMMANDS TO A PAIR$/m);
    assert.deepEqual(
      tutorialSteps(pair).map(({ commands }) => commandsIn(commands)),
      Array.from({ length: 10 }, () => 1),
    );
    assert.equal([...pair.matchAll(/^\.Ss \d+\. /gm)].length, 10);
    assert.match(rest, /^\.Sh PULL THE PLUG$/m);
    assert.deepEqual([...new Set(steps.flatMap(({ hosts }) => hosts))].sort(), ['app', 'db1', 'db2']);
  });

  it('has a heading for each of the ten that names the hosts of the step', () => {
    const headings = [...source.matchAll(/^\.Ss (\d+)\. .*$/gm)];
    for (const [heading, number] of headings) {
      const hosts = steps[Number(number) - 1]?.hosts ?? [];
      for (const host of ['app', 'db1', 'db2'])
        assert.equal(
          new RegExp(`\\b${host}$|\\b${host} and\\b`).test(heading),
          hosts.includes(host),
          heading,
        );
    }
  });

  for (const { step, commands } of steps) {
    it(`step ${step} is a script that a shell understands, also indented as a page is`, () => {
      for (const script of [commands, commands.replace(/^/gm, '     ')]) {
        const { status, stderr } = spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' });
        assert.deepEqual([status, stderr], [0, '']);
      }
      assert.doesNotMatch(commands, /<</, 'a here-document does not end where it is indented');
    });
  }
});
