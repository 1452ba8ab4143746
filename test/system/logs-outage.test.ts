/** Log daemons that are stopped, hang or start again: nothing waits for them, and nothing is lost in silence. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { suites } from './harness/images.js';
import { type LoggingDaemon, logScene } from './harness/log-scene.js';

/**
 * rsyslog as it is on hosts without a journal in between: it listens on the socket itself. The socket is that of the
 * journal, because it is what /dev/log of a unit leads to.
 */
const SOCKET = '/run/systemd/journal/dev-log';
const RSYSLOG_LISTENS = `input(type="imuxsock" Socket="${SOCKET}" CreatePath="on")\n`;

/** Messages that the socket holds for a reader. */
const QUEUE = 5;

const COUNT = /LOG: {2}number of messages that could not be written to syslog: (\d+)$/;

/** Kinds of messages that say something of the logs themselves. */
const OF_LOGS = new Set(['log_destination_lost', 'log_messages_dropped']);

for (const suite of suites()) {
  describe(`on ${suite.name}`, () => {
    const scene = logScene(suite);

    const pids = (): Promise<number[]> =>
      Promise.all(scene().daemons.map(({ unit }) => scene().host.mainPid(unit)));

    /** Messages that a daemon has sent to the journal, those of the logs themselves aside. */
    const sent = async (daemon: LoggingDaemon): Promise<number> =>
      (await scene().entries(daemon, 'journal')).filter(({ CM_EVENT = '' }) => !OF_LOGS.has(CM_EVENT)).length;

    /** How often a daemon has said that it gives rsyslog up. */
    const timesGivenUp = async (daemon: LoggingDaemon): Promise<number> =>
      (await scene().entries(daemon, 'stdout')).filter(({ MESSAGE = '' }) =>
        /could not write to syslog/.test(MESSAGE),
      ).length;

    /** Each reload is a message. */
    const reloadOften = (times: number): Promise<unknown> => {
      const units = scene().daemons.map(({ unit }) => unit);
      return scene().host.output(`for n in $(seq ${times}); do systemctl reload ${units.join(' ')}; done`);
    };

    /**
     * Waits for the count of what rsyslog has missed; it is the first that it gets of the daemon itself. journald may pass
     * on what it still had of the daemon's stderr; those lines have no facility of ours.
     */
    const countOf = async ({ ident }: LoggingDaemon, from: number): Promise<number> => {
      const line = await scene().untilReceived(new RegExp(`\\|${ident}\\|.*${COUNT.source}`), from);
      const received = (await scene().received()).slice(from);
      const [first] = received.filter((one) => /^local[0-7]\|/.test(one) && one.includes(`|${ident}|`));
      assert.equal(first, line);
      return Number(COUNT.exec(line)?.[1]);
    };

    it('all messages are in the journal when journald is started again while they are written', async () => {
      const { host, daemons } = scene();
      for (const daemon of daemons) await scene().reload(daemon, { log_destination: 'stderr, journald' });
      const before = await pids();
      const counts = await Promise.all(daemons.map(sent));
      for (let n = 0; n < 3; n += 1) {
        await Promise.all([host.output(['systemctl', 'restart', 'systemd-journald']), reloadOften(2)]);
      }
      for (const [i, daemon] of daemons.entries()) {
        await host.until('they are there', async () => (await sent(daemon)) >= (counts[i] ?? 0) + 6);
        const said = await scene().entries(daemon, 'stdout', `_PID=${before[i]}`);
        assert.equal(said.filter(({ MESSAGE = '' }) => /reloaded.*(nothing)/.test(MESSAGE)).length, 6);
      }
      assert.deepEqual(await pids(), before);
    });

    describe('where rsyslog listens itself', () => {
      before(async () => {
        const { host, daemons } = scene();
        for (const daemon of daemons) await scene().reload(daemon, { log_destination: 'syslog, journald' });
        await host.output(
          'systemctl stop systemd-journald-dev-log.socket; cat >>/etc/rsyslog.d/10-received.conf',
          { input: RSYSLOG_LISTENS },
        );
        // Few messages that are not read fill a socket that is made after this; the network of the host is its own.
        await host.output(`echo ${QUEUE} >/proc/sys/net/unix/max_dgram_qlen`);
        await host.output(`rm -f ${SOCKET}; systemctl restart rsyslog; test -S ${SOCKET}`);
      });

      it('messages are counted while it is stopped, and the count is the first that it gets afterwards', async () => {
        const { host, daemons } = scene();
        await host.output(['systemctl', 'stop', 'rsyslog.service', 'syslog.socket']);
        const before = await pids();
        const from = (await scene().received()).length;
        const counts = await Promise.all(daemons.map(sent));
        await reloadOften(5);
        const missed = await Promise.all(daemons.map(sent));
        await host.output(['systemctl', 'start', 'rsyslog']);
        for (const [i, daemon] of daemons.entries())
          assert.equal(await countOf(daemon, from), (missed[i] ?? 0) - (counts[i] ?? 0));
        assert.deepEqual(await pids(), before);
      });

      it('nothing waits while it hangs, and what is too much for it is counted', async () => {
        const { host, instance, daemons } = scene();
        await host.output(['systemctl', 'kill', '--signal=SIGSTOP', 'rsyslog']);
        const before = await pids();
        const from = (await scene().received()).length;
        const givenUp = await Promise.all(daemons.map(timesGivenUp));
        await host.until('it is given up', async () => {
          await reloadOften(2);
          const now = await Promise.all(daemons.map(timesGivenUp));
          return now.every((times, i) => times > (givenUp[i] ?? 0));
        });
        const { instances } = await instance.status();
        assert.equal(instances[0]?.link.phase, 'up');
        await host.output(['systemctl', 'kill', '--signal=SIGCONT', 'rsyslog']);
        for (const { ident } of daemons)
          await scene().untilReceived(new RegExp(`\\|${ident}\\|.*${COUNT.source}`), from);
        assert.deepEqual(await pids(), before);
      });
    });
  });
}
