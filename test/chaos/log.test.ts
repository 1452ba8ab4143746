/** Destinations of the log that take nothing: rows 34 and 35. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { ConmgrProcess } from '../support/conmgr-process.js';
import { DatagramReceiver } from '../support/datagram-receiver.js';
import { eventually } from '../support/eventually.js';
import { temporaryDirectory } from '../support/tree.js';
import { nowMs } from './harness/application.js';
import { Beats } from './harness/beats.js';
import type { Scene } from './harness/scene.js';
import { row, type Trial } from './harness/trial.js';

/** More than a pipe, a small disk and what may wait for them have room for. */
const MESSAGES = 6000;
/** After so many, memory no longer grows by itself. */
const WARM = 2000;
const COUNTED = /number of messages that could not be written to/;
const O_RDWR_NONBLOCK = 0x802;

/** Has conmgr say something so often. */
async function talk(conmgr: ConmgrProcess, times: number): Promise<number> {
  for (let said = 0; said < times; said += 10) {
    await Promise.all(Array.from({ length: 10 }, () => conmgr.reload()));
  }
  return times;
}

/** Talks while the beats are watched. */
async function talkOn(trial: Trial, scene: Scene): Promise<void> {
  const lateness = scene.lateness();
  const beats = new Beats(scene.primary);
  trial.load(await talk(scene.conmgr, MESSAGES));
  trial.took('longest silence of a link', await beats.end(), lateness);
}

it(
  ...row(34, async (trial) => {
    const disk = temporaryDirectory();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    trial.atEnd(() => execFileSync('umount', ['--lazy', disk]));
    const fifo = join(temporaryDirectory(), 'pipe');
    execFileSync('mkfifo', [fifo]);
    // Open for reading, so that it can be written to; nobody reads.
    const reader = openSync(fifo, O_RDWR_NONBLOCK);
    trial.atEnd(() => closeSync(reader));
    const file = join(disk, 'log');
    for (const target of [file, fifo]) {
      const scene = await trial.scene({
        start: { within: ['sh', '-c', `exec "$@" 2>>${target}`, 'sh'] },
      });
      const { conmgr } = scene;
      const app = await scene.app({ target: 'primary' });
      await scene.trusted();
      await talk(conmgr, WARM);
      const before = conmgr.residentKb;
      await talkOn(trial, scene);
      trial.amount('growth of memory', (conmgr.residentKb - before) / 1024);
      let text = '';
      if (target === file) {
        execFileSync('mount', ['-o', 'remount,size=10m', disk]);
        await conmgr.reload();
      }
      const buffer = Buffer.alloc(65_536);
      const counted = await eventually(
        async () => {
          if (target === file) text = readFileSync(file, 'utf8');
          else {
            try {
              text += buffer.toString('utf8', 0, readSync(reader, buffer));
            } catch {
              // Nothing there now.
            }
          }
          return COUNTED.test(text);
        },
        { timeoutMs: 30_000, what: 'what was lost is counted' },
      ).catch(() => false);
      trial.never('losses of messages that are not counted in the log', counted ? 0 : 1);
      await app.load();
      trial.never('sessions told of a loss', app.events('lost').length);
      trial.never('sessions ended by a watchdog', scene.endedSessions());
      await scene.end();
    }
  }),
);

/** A directory that takes the place of /dev for one process; the socket of syslog in it is the test's. */
function deviceDirectory(): { readonly socket: string; readonly within: readonly string[] } {
  const folder = temporaryDirectory();
  const shared = ['null', 'zero', 'random', 'urandom', 'tty'];
  for (const name of shared) writeFileSync(join(folder, name), '');
  execFileSync('mkdir', [join(folder, 'shm')]);
  execFileSync('chmod', ['0755', folder]);
  const script = [
    ...shared.map((name) => `mount --bind /dev/${name} ${folder}/${name}`),
    `mount --rbind /dev/shm ${folder}/shm`,
    `mount --rbind ${folder} /dev`,
    'exec "$@"',
  ];
  return {
    socket: join(folder, 'log'),
    within: ['unshare', '--mount', '--', 'sh', '-c', script.join(' && '), 'sh'],
  };
}

it(
  ...row(35, async (trial) => {
    const { socket, within } = deviceDirectory();
    const scene = await trial.scene({ conmgr: { log_destination: 'syslog' }, start: { within } });
    const { conmgr } = scene;
    await conmgr.logged(/could not write to syslog/);
    const app = await scene.app({ target: 'primary' });
    await scene.trusted();
    // No socket.
    await talkOn(trial, scene);
    // A socket, whose reader does not read.
    const receiver = new DatagramReceiver(socket, { paused: true });
    execFileSync('chmod', ['0666', socket]);
    trial.atEnd(() => receiver.close());
    await talkOn(trial, scene);
    const lateness = scene.lateness();
    const readingMs = nowMs();
    receiver.resume();
    receiver.takeTexts();
    await eventually(
      async () => {
        await conmgr.reload();
        return receiver.takeTexts().some((text) => text.includes('reload'));
      },
      { timeoutMs: 30_000, everyMs: 100, what: 'messages arrive' },
    );
    trial.took('used again', nowMs() - readingMs, lateness);
    await app.load();
    trial.never('sessions told of a loss', app.events('lost').length);
    trial.never('sessions ended by a watchdog', scene.endedSessions());
  }),
);
