import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadNative } from '../../../src/io/native.js';
import { createNotifier, type Notifier, type NotifierOptions } from '../../../src/io/notify.js';
import { DatagramReceiver } from '../../support/datagram-receiver.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';
import { temporaryDirectory } from '../../support/tree.js';

const scratch = temporaryDirectory();
let sockets = 0;

function manager(
  options: { path?: string; paused?: boolean; env?: NodeJS.ProcessEnv } & Partial<NotifierOptions> = {},
): { notifier: Notifier; systemd: DatagramReceiver; clock: FakeClock; end: () => void } {
  sockets += 1;
  const path = options.path ?? join(scratch, `notify${sockets}`);
  const systemd = new DatagramReceiver(path, options);
  const clock = new FakeClock();
  const notifier = createNotifier({ ...options.env, NOTIFY_SOCKET: path }, { clock, ...options });
  const end = (): void => {
    notifier.close();
    systemd.close();
  };
  return { notifier, systemd, clock, end };
}

describe('the service manager', () => {
  it('is told readiness, state and end in its own words, by this very process (NotifyAccess=main)', async () => {
    const { notifier, systemd, end } = manager({ monotonicUsec: () => 123_456_789n });
    notifier.ready('2 links up');
    notifier.status('3 links up');
    notifier.watchdogPing();
    notifier.reloading();
    notifier.ready();
    notifier.stopping('goodbye');
    assert.equal((await systemd.next()).senderPid, process.pid);
    assert.deepEqual(systemd.takeTexts(), [
      'STATUS=3 links up',
      'WATCHDOG=1',
      'RELOADING=1\nMONOTONIC_USEC=123456789',
      'READY=1',
      'STOPPING=1\nSTATUS=goodbye',
    ]);
    end();
  });

  it('gets READY=1 with a status in one datagram', async () => {
    const { notifier, systemd, end } = manager();
    notifier.ready('up');
    assert.equal(await systemd.nextText(), 'READY=1\nSTATUS=up');
    end();
  });

  it('gets the moment of a reload on the clock that it compares with, CLOCK_MONOTONIC', async () => {
    const { notifier, systemd, end } = manager();
    const clockGettime = loadNative()!.func('int clock_gettime(int, void *)');
    const monotonicUsec = (): number => {
      const timespec = Buffer.alloc(16);
      assert.equal(clockGettime(1, timespec), 0);
      return Number(timespec.readBigInt64LE(0)) * 1e6 + Number(timespec.readBigInt64LE(8)) / 1000;
    };
    const before = Math.floor(monotonicUsec());
    notifier.reloading();
    const after = monotonicUsec();
    const told = Number(/MONOTONIC_USEC=(\d+)$/.exec(await systemd.nextText())![1]);
    assert.ok(before <= told && told <= after, `${before} <= ${told} <= ${after}`);
    end();
  });

  it('is reached at an abstract socket too', async () => {
    const { notifier, systemd, end } = manager({ path: `@conmgr-notify-${process.pid}` });
    notifier.ready();
    assert.equal(await systemd.nextText(), 'READY=1');
    end();
  });

  it('cannot be sent assignments of our making by a text from outside', async () => {
    const { notifier, systemd, end } = manager();
    notifier.status('up\nMAINPID=1');
    assert.equal(await systemd.nextText(), 'STATUS=up\\nMAINPID=1');
    end();
  });

  it('is handed descriptors', async () => {
    const { notifier, systemd, end } = manager();
    const file = openSync('/proc/self/status', 'r');
    assert.equal(notifier.send('FDSTORE=1\nFDNAME=port', [file]), true);
    const { bytes, fds } = await systemd.next();
    assert.equal(bytes.toString(), 'FDSTORE=1\nFDNAME=port');
    assert.equal(fstatSync(fds[0]!).ino, fstatSync(file).ino);
    for (const fd of [file, ...fds]) closeSync(fd);
    end();
  });

  it('that does not read for a while still gets everything, in order, and nobody waits', () => {
    const { notifier, systemd, clock, end } = manager({ paused: true });
    // As many as the queue of the kernel holds, and some more.
    let sent = 0;
    while (clock.pending === 0) {
      notifier.status(String(sent));
      sent += 1;
    }
    notifier.ready();
    const texts = systemd.takeTexts();
    clock.advance(100);
    texts.push(...systemd.takeTexts());
    assert.deepEqual(texts, [...Array.from({ length: sent }, (_, i) => `STATUS=${i}`), 'READY=1']);
    assert.equal(clock.pending, 0);
    end();
  });

  it('that does not read is waited for no longer than allowed, and told what waits before what is said now', () => {
    const { notifier, systemd, clock, end } = manager({ paused: true });
    let sent = 0;
    while (clock.pending === 0) {
      notifier.status(String(sent));
      sent += 1;
    }
    const begunMs = performance.now();
    assert.equal(notifier.sendNow('FDSTOREREMOVE=1', [], 50), false);
    assert.equal(notifier.barrier(50), false);
    assert.ok(performance.now() - begunMs >= 95);
    const texts = systemd.takeTexts();
    assert.equal(notifier.sendNow('FDSTOREREMOVE=1', [], 50), true);
    texts.push(...systemd.takeTexts());
    assert.deepEqual(texts, [...Array.from({ length: sent }, (_, i) => `STATUS=${i}`), 'FDSTOREREMOVE=1']);
    end();
  });

  it('is given a descriptor by a barrier and waited for until it is closed', async () => {
    const { notifier, systemd, end } = manager();
    const before = readdirSync('/proc/self/fd').length;
    assert.equal(notifier.barrier(20), false);
    const { bytes, fds } = await systemd.next();
    assert.deepEqual([bytes.toString(), fds.length], ['BARRIER=1', 1]);
    for (const fd of fds) closeSync(fd);
    assert.equal(readdirSync('/proc/self/fd').length, before);
    end();
  });

  it('that is gone costs nothing but the message', () => {
    const clock = new FakeClock();
    const notifier = createNotifier({ NOTIFY_SOCKET: join(scratch, 'nobody') }, { clock });
    notifier.ready();
    assert.equal(clock.pending, 0);
    notifier.close();
  });
});

describe('the environment of the process', () => {
  it('has no NOTIFY_SOCKET and no WATCHDOG_ any more, so that children cannot speak in our name', () => {
    const env = { NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '1', WATCHDOG_PID: '1', PATH: '/bin' };
    createNotifier(env, { clock: new FakeClock() }).close();
    assert.deepEqual(env, { PATH: '/bin' });
  });

  it('without NOTIFY_SOCKET means that nothing is sent and nothing native is loaded', () => {
    const native = (): never => assert.fail('must not be loaded');
    for (const env of [{}, { NOTIFY_SOCKET: 'vsock:2:1' }]) {
      const notifier = createNotifier(env, { clock: new FakeClock(), native });
      assert.deepEqual([notifier.enabled, notifier.watchdogIntervalMs], [false, undefined]);
      assert.equal(notifier.send('READY=1'), false);
    }
  });
});

describe('the watchdog of the service manager', () => {
  const intervalOf = (env: NodeJS.ProcessEnv): number | undefined => {
    const { notifier, end } = manager({ env });
    end();
    return notifier.watchdogIntervalMs;
  };

  it('is fed at half of its time-out', () => {
    assert.equal(intervalOf({ WATCHDOG_USEC: '60000000' }), 30_000);
    assert.equal(intervalOf({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: String(process.pid) }), 30_000);
  });

  it('is not fed when it is meant for another process, or switched off', () => {
    assert.equal(intervalOf({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }), undefined);
    assert.equal(intervalOf({ WATCHDOG_USEC: '0' }), undefined);
    assert.equal(intervalOf({}), undefined);
  });
});

describe('without native calls', () => {
  it('hears the last word of a process before it can end, also through the program', () => {
    const { notifier, systemd, end } = manager();
    notifier.failed('directory "/x" is\nnot there');
    assert.equal(systemd.takeTexts().length, 1);
    end();
    const out = join(scratch, 'last-word');
    const program = join(scratch, 'systemd-notify-last');
    writeFileSync(program, `#!/bin/sh\nprintf '%s ' "$NOTIFY_SOCKET" "$@" >> ${out}\n`, { mode: 0o755 });
    const byProgram = createNotifier(
      { NOTIFY_SOCKET: '/run/notify' },
      { clock: new FakeClock(), native: () => undefined, program },
    );
    byProgram.failed('gone');
    assert.equal(readFileSync(out, 'utf8'), '/run/notify STATUS=gone ');
  });

  it('the program systemd-notify speaks for us, one call after the other, with the socket in its environment', async () => {
    const out = join(scratch, 'said');
    const program = join(scratch, 'systemd-notify');
    writeFileSync(program, `#!/bin/sh\nprintf '%s ' "$NOTIFY_SOCKET" "$@" >> ${out}; echo >> ${out}\n`, {
      mode: 0o755,
    });
    const notifier = createNotifier(
      { NOTIFY_SOCKET: '/run/notify' },
      { clock: new FakeClock(), native: () => undefined, program },
    );
    assert.equal(notifier.enabled, true);
    notifier.ready('up and well');
    notifier.watchdogPing();
    notifier.stopping();
    assert.equal(notifier.send('FDSTORE=1', [0]), false);
    const said = await eventually(
      () => /STOPPING/.test(readFileSync(out, 'utf8')) && readFileSync(out, 'utf8'),
      {
        what: 'three calls of systemd-notify',
      },
    );
    assert.deepEqual(said.split('\n'), [
      '/run/notify READY=1 STATUS=up and well ',
      '/run/notify WATCHDOG=1 ',
      '/run/notify STOPPING=1 ',
      '',
    ]);
  });

  it('a missing systemd-notify ends nothing', async () => {
    const notifier = createNotifier(
      { NOTIFY_SOCKET: '/run/notify' },
      { clock: new FakeClock(), native: () => undefined, program: join(scratch, 'not-there') },
    );
    notifier.ready();
    notifier.stopping();
    await new Promise((resolve) => setImmediate(resolve));
    notifier.close();
  });
});
